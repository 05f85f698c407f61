"""Schedulers report by HTTPS with their session's token; nobody else is listened to."""

import json
from collections.abc import AsyncIterator

import pytest

from casita.config import Site
from casita.credentials.report import report_token
from casita.operator.process import Ports
from tests.controlplane.conftest import Operate
from tests.support.bed import Bed
from tests.support.cluster import Json, condition, eventually, repeatedly
from tests.support.reporter import Reporter, reporting, run_of, token_of


def report(run: str, *workers: Json) -> bytes:
    return json.dumps({"run": run, "workers": list(workers)}).encode()


def lost(name: str, error: str = "timed out") -> Json:
    return {"name": name, "address": "tls://10.0.0.1:8789", "reachable": False, "error": error}


@pytest.fixture
async def reporter(bed: Bed, operate: Operate, free_ports: Ports) -> AsyncIterator[Reporter]:
    """Two sessions with a worker each, and the road to the operator's endpoint."""
    with operate(ports=free_ports):
        for name in ("alice", "bob"):
            bed.create(name, scaling={"mode": "Manual"}, replicas=1)
            await bed.until_issued(name)
            await eventually(lambda: len(bed.pods(name)) == 2)  # noqa: B023 - awaited here
            bed.mark_ready("local-0", name=name)
        async with reporting(bed, free_ports.report) as found:
            yield found


async def test_workers_that_the_scheduler_cannot_reach_are_told_within_seconds_and_heal(
    bed: Bed, reporter: Reporter
) -> None:
    worker = bed.child_name("local-0")
    await eventually(lambda: bed.status()["replicas"] == 1)
    body = report(run_of(bed), lost(worker, "no route to host"))
    assert await reporter.send(body, token_of(bed)) == 200
    session = await bed.until("WorkersReady", "False", "WorkersUnreachable", seconds=5)
    message = condition(session, "WorkersReady")["message"]
    assert worker in message
    assert "no route to host" in message
    assert session["status"]["replicas"] == 0
    healed = report(run_of(bed), {"name": worker, "reachable": True})
    # One that comes too soon is told to wait.
    sent = await repeatedly(lambda: reporter.send(healed, token_of(bed)), lambda a: a != 429)
    assert sent == 200
    session = await bed.until("WorkersReady", "True", seconds=5)
    assert session["status"]["replicas"] == 1


async def test_reports_without_the_sessions_own_token_are_refused(
    bed: Bed, reporter: Reporter, site: Site
) -> None:
    body = report(run_of(bed), lost(bed.child_name("local-0")))
    token = token_of(bed)
    root = site.root_key_file.read_bytes()
    uid = bed.session()["metadata"]["uid"]
    refused = {
        "none": await reporter.send(body, ""),
        "wrong": await reporter.send(body, token[:-1] + ("A" if token[-1] != "A" else "B")),
        "truncated": await reporter.send(body, token[:-1]),
        "not ascii": await reporter.send(body, "\u00e9" * 43),
        "another scheme": await reporter.send(body, token, scheme="Basic"),
        "another session's": await reporter.send(body, token_of(bed, "bob")),
        "for another session": await reporter.send(body, token, name="bob"),
        "unknown session": await reporter.send(body, token, name="carol"),
        "an earlier run's": await reporter.send(
            report("0" * 16), report_token(root, uid, "0" * 16)
        ),
    }
    assert set(refused.values()) == {401}, refused
    assert condition(bed.session(), "WorkersReady")["reason"] != "WorkersUnreachable"


async def test_malformed_and_too_large_reports_are_refused(bed: Bed, reporter: Reporter) -> None:
    token, run = token_of(bed), run_of(bed)
    malformed = [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        report("not hexadecimal"),
        report(run, {"name": "x" * 1000, "reachable": True}),
        report(run, {"name": "x", "reachable": "perhaps"}),
        json.dumps({"run": run, "workers": 5}).encode(),
        json.dumps({"run": run, "demand": {"cores": -1}}).encode(),
        json.dumps({"run": run, "demand": {"cores": 1, "workers": 1}}).encode(),
        json.dumps({"run": run, "idleSeconds": "long"}).encode(),
        json.dumps({"run": run, "mismatches": ["x" * 1000]}).encode(),
    ]
    for body in malformed:
        assert await reporter.send(body, token) == 400, body
    assert await reporter.send(b" " * (2**20 + 1), token) == 413
    assert await reporter.send(report(run), token) == 200


async def test_reports_that_come_too_fast_are_told_to_wait(bed: Bed, reporter: Reporter) -> None:
    body, token = report(run_of(bed)), token_of(bed)
    other, others = report(run_of(bed, "bob")), token_of(bed, "bob")
    answers = [await reporter.send(body, token) for _ in range(5)]
    assert answers[0] == 200
    assert 429 in answers
    assert await reporter.send(other, others, name="bob") == 200


async def test_a_report_on_workers_that_are_no_more_is_of_no_effect(
    bed: Bed, reporter: Reporter
) -> None:
    body = report(run_of(bed), lost(bed.child_name("local-7")), lost("a\nb"))
    assert await reporter.send(body, token_of(bed)) == 200
    bed.create("carol")
    await bed.until_issued("carol")
    assert condition(bed.session(), "WorkersReady")["status"] == "True"


async def test_a_message_of_a_scheduler_cannot_exceed_the_bounds_of_the_status(
    bed: Bed, reporter: Reporter
) -> None:
    body = report(run_of(bed), lost(bed.child_name("local-0"), "\u2603" * 300))
    assert await reporter.send(body, token_of(bed)) == 200
    await bed.until("WorkersReady", "False", "WorkersUnreachable")


async def test_a_scheduler_is_told_how_its_pools_are(bed: Bed, reporter: Reporter) -> None:
    await eventually(lambda: bed.status()["replicas"] == 1)
    assert await reporter.tell() == {
        "mode": "Manual",
        "message": "1 worker wanted",
        "pools": [
            {
                "pool": "local",
                "backend": "Kubernetes",
                "min": 0,
                "max": 8,
                "desired": 1,
                "requested": 1,
                "ready": 1,
            }
        ],
    }


async def test_versions_that_differ_are_told_and_do_not_hide_that_clients_can_connect(
    bed: Bed, reporter: Reporter
) -> None:
    line = "client Client-1: distributed 2026.7.0, scheduler has 2026.8.0"
    before = condition(bed.session(), "Ready")
    await reporter.tell(mismatches=[line])
    session = await bed.until("WorkersReady", "False", "VersionMismatch", seconds=5)
    assert line in condition(session, "WorkersReady")["message"]
    assert condition(session, "Ready") == before
    assert "VersionMismatch" in {event["reason"] for event in bed.events()}
    await reporter.tell()
    await bed.until("WorkersReady", "True", seconds=5)
