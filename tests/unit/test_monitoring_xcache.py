"""The cache's metrics say what its packets say; what is no packet of the cache changes nothing."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest

from casita.monitoring.metrics import EVENTS, SUMMARY, CacheMetrics
from casita.monitoring.packets import PacketError, read_events, read_summary

HEADER = '{"code":"g","pseq":  1,"stod":1795320567,"sid":19323177929330,"gs":{"type":"C"}}'
COLD = {
    "event": "file_close",
    "lfn": "/store/f",
    "remotes": ["origin:1094"],
    "b_hit": 300,
    "b_miss": 100,
    "b_bypass": 0,
    "b_todisk": 400,
    "b_prefetch": 300,
    "n_cks_errs": 0,
}
WARM = {**COLD, "remotes": [], "b_hit": 400, "b_miss": 0, "b_todisk": 0}
REPORT = (
    '<statistics tod="1795320687" ver="v5.8.1" src="vm:1094" tos="1795320567" pgm="xrootd" '
    'ins="anon" pid="3442" site="casita"><stats id="link"><num>2</num><tot>4</tot><in>1340</in>'
    '<out>800566</out></stats><stats id="xrootd"><num>4</num><ops><open>2</open></ops><err>1</err>'
    "<lgn><num>3</num><af>1</af><au>2</au></lgn></stats>"
    '<stats id="pss"><open>1<errs>0</errs></open></stats></statistics>'
)


def events(*given: object) -> bytes:
    return "\n".join([HEADER, *(json.dumps(each) for each in given)]).encode() + b"\0"


@pytest.fixture
def metrics(tmp_path: Path) -> CacheMetrics:
    return CacheMetrics(tmp_path, lambda: 100.0)


def value(metrics: CacheMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"casita_xcache_{name}", labels)


def test_a_warm_read_is_a_hit_and_a_cold_one_a_miss_though_it_was_prefetched(
    metrics: CacheMetrics,
) -> None:
    metrics.take(EVENTS, events(COLD, WARM, WARM))
    assert value(metrics, "accesses_total", result="miss") == 1
    assert value(metrics, "accesses_total", result="hit") == 2
    assert value(metrics, "bytes_total", kind="hit") == 300 + 400 + 400
    assert value(metrics, "bytes_total", kind="miss") == 100
    assert value(metrics, "bytes_total", kind="stored") == 400


def test_a_server_that_introduces_itself_is_no_fault(metrics: CacheMetrics) -> None:
    metrics.take(EVENTS, HEADER.replace('"g"', '"="', 1).encode())
    assert value(metrics, "packets_total", stream=EVENTS, result="malformed") == 0
    assert value(metrics, "packets_total", stream=EVENTS, result="read") == 1


def test_the_servers_counters_are_shown_as_they_are(metrics: CacheMetrics) -> None:
    assert value(metrics, "opens_total") is None
    metrics.take(SUMMARY, REPORT.encode() + b"\0")
    assert value(metrics, "opens_total") == 2
    assert value(metrics, "authenticated_total") == 2
    assert value(metrics, "auth_failures_total") == 1
    assert value(metrics, "sent_bytes_total") == 800566
    assert value(metrics, "origin_opens_total") == 1
    assert value(metrics, "origin_open_errors_total") == 0
    assert value(metrics, "connections") == 2
    # A server that starts again counts from zero, as Prometheus expects of a counter.
    metrics.take(SUMMARY, REPORT.replace("<open>2</open>", "<open>0</open>").encode())
    assert value(metrics, "opens_total") == 0


def test_a_cache_that_fell_silent_is_seen(tmp_path: Path) -> None:
    clock = iter((100.0, 130.0, 130.0, 130.0))
    metrics = CacheMetrics(tmp_path, lambda: next(clock))
    metrics.take(SUMMARY, REPORT.encode())
    assert value(metrics, "silence_seconds") == 30


def test_the_disk_is_the_one_of_the_files(metrics: CacheMetrics) -> None:
    size = value(metrics, "disk_bytes", state="size")
    used = value(metrics, "disk_bytes", state="used")
    assert size is not None
    assert used is not None
    assert 0 < used < size


def test_an_origin_that_does_not_answer_is_named(metrics: CacheMetrics) -> None:
    metrics.tell_origin("origin.example.org:1094", up=False)
    assert value(metrics, "origin_up", origin="origin.example.org:1094") == 0


BOMB = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    '<statistics pgm="xrootd">&b;</statistics>'
)


@pytest.mark.parametrize(
    ("stream", "packet"),
    [
        (EVENTS, b""),
        (EVENTS, b"\xff\xfe"),
        (EVENTS, b"[" * 60_000),
        (EVENTS, HEADER.replace('"g"', '"x"').encode()),
        (EVENTS, events([])),
        (EVENTS, events({**WARM, "b_hit": -1})),
        (EVENTS, events({**WARM, "b_hit": 2**70})),
        (EVENTS, events({**WARM, "b_hit": 1.5})),
        (EVENTS, events({**WARM, "b_hit": True})),
        (EVENTS, events({**WARM, "remotes": "none"})),
        (EVENTS, events({"event": "file_close"})),
        (EVENTS, events(WARM)[:-9]),
        (SUMMARY, b""),
        (SUMMARY, b"<statistics"),
        (SUMMARY, REPORT.replace("xrootd", "cmsd", 1).encode()),
        (SUMMARY, REPORT.replace("<open>2</open>", "<open>-2</open>").encode()),
        (SUMMARY, REPORT.replace("<open>2</open>", f"<open>{'9' * 5000}</open>").encode()),
        (SUMMARY, BOMB.encode()),
    ],
)
def test_what_is_malformed_is_counted_and_nothing_else(
    metrics: CacheMetrics, stream: str, packet: bytes
) -> None:
    metrics.take(EVENTS, events(WARM))
    metrics.take(SUMMARY, REPORT.encode())
    before = generate_latest(metrics.registry)
    metrics.take(stream, packet)
    assert value(metrics, "packets_total", stream=stream, result="malformed") == 1
    changed = set(generate_latest(metrics.registry).splitlines()) - set(before.splitlines())
    ours = [line for line in changed if b"disk_bytes" not in line]
    assert [b"malformed" in line for line in ours] == [True]


def test_a_packet_counts_as_a_whole_or_not_at_all(metrics: CacheMetrics) -> None:
    metrics.take(EVENTS, events(WARM, {**WARM, "b_miss": "many"}))
    assert value(metrics, "accesses_total", result="hit") == 0


@given(st.binary(max_size=2000))
def test_no_bytes_break_the_readers(packet: bytes) -> None:
    for read in (read_events, read_summary):
        with pytest.raises(PacketError):
            read(packet)
