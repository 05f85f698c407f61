"""What kubelet, Prometheus and whoever reads logs are told; and that none of it holds a key."""

import asyncio
import json
import logging
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from casita.config import Site
from casita.operator import process
from casita.operator.logs import JsonFormatter
from casita.operator.process import Ports
from tests.cluster.control_plane import ControlPlane
from tests.controlplane.conftest import Operate, connect
from tests.support import proxy as faults
from tests.support.bed import ROLES, Bed, texts
from tests.support.cluster import eventually
from tests.support.gateway import Gateway
from tests.support.proxy import Proxy


@pytest.fixture
def proxy(plane: ControlPlane) -> Iterator[Proxy]:
    with Proxy(connect(plane.kubeconfig)) as running:
        yield running


def get(ports: Ports, path: str) -> tuple[int, str]:
    """Ask the operator's status port."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{ports.status}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def health(ports: Ports) -> tuple[int, str]:
    return get(ports, "/healthz")


def answers(ports: Ports, path: str, wanted: tuple[int, str]) -> bool:
    """Say whether the status port answers so; before it listens, it does not."""
    try:
        return get(ports, path) == wanted
    except urllib.error.URLError:
        return False


class Lines(logging.Handler):
    """Keeps what the operator's formatter makes of every record."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """The operator's log, as it would write it at its most talkative."""
    handler, root = Lines(), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler.lines
    root.removeHandler(handler)
    root.setLevel(before)


@pytest.mark.parametrize("plural", ["secrets", "pods", "tlsroutes", "analysissessions"])
async def test_health_fails_when_a_watch_is_deaf_and_recovers(
    bed: Bed,
    operate: Operate,
    proxy: Proxy,
    free_ports: Ports,
    monkeypatch: pytest.MonkeyPatch,
    plural: str,
) -> None:
    monkeypatch.setattr(process, "DEAF_SECONDS", 3.0)
    # An open watch is asked for anew when it is silent, so that silence means something.
    monkeypatch.setattr("casita.clients.watch.SILENT_SECONDS", 1.0)
    with operate(connection=proxy.connection, ports=free_ports):
        bed.create()
        await bed.until_issued()
        assert health(free_ports) == (200, "ok\n")
        proxy.decide = lambda call: (
            faults.Fault(delay=30.0) if call.of(plural) and call.method == "GET" else None
        )
        proxy.cut_watches()
        await eventually(
            lambda: health(free_ports) == (500, f"the watch of {plural} is silent\n"), 15
        )
        proxy.decide = lambda _: None
        proxy.cut_watches()


async def test_an_operator_to_which_nothing_happens_is_healthy(
    operate: Operate, free_ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "DEAF_SECONDS", 2.0)
    monkeypatch.setattr("casita.clients.watch.SILENT_SECONDS", 0.5)
    with operate(ports=free_ports):
        await eventually(lambda: answers(free_ports, "/readyz", (200, "ok\n")))
        end = time.monotonic() + 5
        while time.monotonic() < end:
            assert await asyncio.to_thread(health, free_ports) == (200, "ok\n")
            await asyncio.sleep(0.1)


async def test_an_operator_is_not_ready_before_it_knows_its_objects_but_can_be_stopped(
    operate: Operate, proxy: Proxy, free_ports: Ports
) -> None:
    proxy.decide = lambda call: faults.answer(503, "Unavailable") if call.of("pods") else None
    waiting = (500, "the first list of pods is not in\n")
    with operate(connection=proxy.connection, ports=free_ports):
        await eventually(lambda: answers(free_ports, "/readyz", waiting))
        assert health(free_ports)[0] == 200
    with operate(connection=proxy.connection, ports=free_ports):
        await eventually(lambda: answers(free_ports, "/readyz", waiting))
        proxy.decide = lambda _: None
        await eventually(lambda: answers(free_ports, "/readyz", (200, "ok\n")))


async def test_metrics_tell_sessions_durations_and_credentials_by_time_left(
    bed: Bed, operate: Operate, routed: Site, gateway: Gateway, free_ports: Ports
) -> None:
    with operate(routed, ports=free_ports):
        bed.create(scaling={"mode": "Manual"}, replicas=1)
        await bed.until_issued()
        bed.create("bob", profile="nowhere")
        await bed.until("Ready", "False", "UnknownProfile", name="bob")
        gateway.route(bed.host(), bed.files("scheduler"))
        bed.answer_route()
        bed.mark_ready("scheduler")
        await bed.until("Ready", "True")
        status, page = get(free_ports, "/metrics")
    assert status == 200
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }
    assert samples["casita_sessions", "Ready", "True"] == 1
    assert samples["casita_sessions", "False", "UnknownProfile"] == 1
    left = {name: value for name, value in samples.items() if name[0] == "casita_credentials"}
    assert sum(left.values()) == 4, left
    for role in ROLES:
        assert samples["casita_credentials_issued_total", role] == 1
    assert samples["casita_reconcile_duration_seconds_count",] >= 2
    assert samples["casita_reconcile_errors_total",] == 0
    # Only what is about one session names it, and nothing its user.
    named = {name for name, *labels in samples if "alice" in labels}
    assert named == {
        *("casita_session_ready", "casita_session_workers", "casita_session_credential_seconds")
    }


async def test_nothing_that_is_logged_told_or_exposed_holds_a_key_or_a_token(
    bed: Bed, operate: Operate, free_ports: Ports, lines: list[str], site: Site
) -> None:
    with operate(ports=free_ports):
        bed.create(scaling={"mode": "Manual"}, replicas=1)
        await bed.until_issued()
        secrets = [bed.files(role) for role in ROLES]
        # Damage, so that whatever is said of broken material is said.
        bed.edit_child("Secret", "scheduler", {"data": {"tls.key": "AAAA"}})
        await eventually(lambda: len(bed.files("scheduler")["tls.key"]) > 100)
        bed.edit_child("Secret", "authority", {"data": {"tls.key.sealed": "AAAA"}})
        await eventually(lambda: len(bed.files("authority")["tls.key.sealed"]) > 100, 30)
        await bed.until_issued()
        secrets += [bed.files(role) for role in ROLES]
        page = get(free_ports, "/metrics")[1]
    told = [*lines, page, *texts(bed.session()), *texts(bed.events())]
    told += texts([pod["spec"] for pod in bed.children("Pod").values()])
    root = site.root_key_file.read_bytes()
    forbidden = {root.hex(), repr(root), "PRIVATE KEY"}
    for files in secrets:
        for name, content in files.items():
            if name in ("tls.key", "usercert.pem"):
                key = content.decode().partition("PRIVATE KEY-----")[2]
                forbidden |= {line for line in key.splitlines() if len(line) > 30}
            if name == "report-token":
                forbidden.add(content.decode())
    assert len(forbidden) > 20
    for secret in forbidden:
        assert not [text for text in told if secret in text], "a key or token was told"


async def test_every_line_of_the_log_is_json_and_every_credential_has_its_audit_line(
    bed: Bed, operate: Operate, lines: list[str]
) -> None:
    with operate():
        bed.create()
        await bed.until_issued()
        serials = bed.serials()
    entries = [json.loads(line) for line in lines]
    for entry in entries:
        assert {"time", "level", "logger", "message"} <= entry.keys()
    audit = {e["kind"]: e for e in entries if e["logger"] == "casita.audit"}
    assert {kind: entry["serial"] for kind, entry in audit.items()} == serials
    for entry in audit.values():
        assert entry["user"] == "alice"
        assert entry["session"] == f"{bed.namespace}/alice"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", entry["notAfter"])


async def test_a_namespace_that_is_deleted_goes_and_nothing_is_made_in_it(
    bed: Bed, operate: Operate, proxy: Proxy, lines: list[str]
) -> None:
    with operate(connection=proxy.connection) as operator:
        for name in ("alice", "bob"):
            bed.create(name, scaling={"mode": "Manual"}, replicas=2)
            await bed.until_issued(name)
        count, logged = len(proxy.writes()), len(lines)
        bed.cluster.delete("v1", "Namespace", bed.namespace)

        def gone() -> bool:
            names = {n["metadata"]["name"] for n in bed.cluster.items("v1", "Namespace")}
            return bed.namespace not in names

        await eventually(gone, 60)
        await eventually(lambda: not operator.process.cache.sessions)
        writes = proxy.writes()[count:]
    assert len(writes) <= 40, writes
    entries = [json.loads(line) for line in lines[logged:]]
    loud = [e for e in entries if e["level"] in ("error", "critical") and "kopf" not in e["logger"]]
    assert loud == []
