"""Status: what was seen becomes conditions that say it; what is worth an event becomes one."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from casita.api.conditions import ConditionType, Reason
from casita.api.names import (
    AUTHORITY_ANNOTATION,
    ISSUED_AT_ANNOTATION,
    NOT_AFTER_ANNOTATION,
    POOL_LABEL,
    SCHEDULER,
    SERIAL_ANNOTATION,
    WORKER,
)
from casita.api.session import SessionSpec
from casita.manifests.common import labels
from casita.manifests.pods import scheduler_name, worker_name
from casita.manifests.resources import POD, SECRET, TLS_ROUTE, Resource
from casita.manifests.secrets import AUTHORITY, LEAVES, secret_name
from casita.sessions.conditions import MAX_MESSAGE, invalid_status, status_of
from casita.sessions.events import ScaleWatch, transitions
from casita.sessions.findings import Findings, Probe, Verdict
from casita.sessions.observed import Child, PodState, RouteState
from casita.sessions.plan import Plan
from casita.sessions.refusal import Refusal
from casita.sessions.telling import without_nulls
from casita.sessions.view import View
from tests.unit.sessions_site import OWNER, SITE

NOW = datetime(2026, 1, 1, tzinfo=UTC)
READY = ConditionType.READY
CREDENTIALS = ConditionType.CREDENTIALS_READY
SCHEDULED = ConditionType.SCHEDULER_READY
ROUTED = ConditionType.ROUTE_READY
WORKERS = ConditionType.WORKERS_READY
FACTS = {
    SERIAL_ANNOTATION: "1f",
    ISSUED_AT_ANNOTATION: "2026-01-01T00:00:00Z",
    NOT_AFTER_ANNOTATION: "2026-01-08T00:00:00Z",
    AUTHORITY_ANNOTATION: "0123456789abcdef",
}


def child(resource: Resource, name: str, component: str, **beside: Any) -> Child:
    known: dict[str, Any] = {
        "uid": f"uid of {name}",
        "owner_uid": OWNER.uid,
        "version": 1,
        "deleting": False,
        "labels": labels(OWNER, component),
        "facts": {},
    }
    return Child(resource=resource, name=name, **{**known, **beside})


def scheduler(state: PodState) -> Child:
    return child(POD, scheduler_name(OWNER), SCHEDULER, pod=state)


def route(state: RouteState) -> Child:
    return child(TLS_ROUTE, OWNER.slug, SCHEDULER, route=state)


def worker(index: int, state: PodState) -> Child:
    mine = {**labels(OWNER, WORKER), POOL_LABEL: "local"}
    return child(POD, worker_name(OWNER, "local", index), WORKER, labels=mine, pod=state)


SECRETS = [
    child(SECRET, secret_name(OWNER, role), role, facts=FACTS) for role in (AUTHORITY, *LEAVES)
]
UP = scheduler(PodState(ready=True, reason=Reason.READY))
ACCEPTED = route(RouteState(accepted=True))
REFUSED = route(RouteState(accepted=False, message="NoMatchingListener"))
MET = Probe(reached=True, message="the session's own scheduler answered")
NOT_MET = Probe(reached=False, reason=Reason.ROUTE_UNREACHABLE, message="refused")
WHOLE = [*SECRETS, UP, ACCEPTED]


def status(
    children: Iterable[Child],
    plan: Plan | None = None,
    findings: Findings | None = None,
    previous: dict[str, Any] | None = None,
    replicas: int = 0,
    now: datetime = NOW,
) -> dict[str, Any]:
    spec = SessionSpec.model_validate(
        {"user": "alice", "scaling": {"mode": "Manual"}, "replicas": replicas}
    )
    view = View(OWNER, spec, SITE, {c.key: c for c in children}, now)
    return status_of(view, plan or Plan(), findings or Findings({}), 3, previous or {})


def told(status: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}


def message(status: dict[str, Any], kind: ConditionType) -> str:
    found: str = next(c["message"] for c in status["conditions"] if c["type"] == kind)
    return found


Case = tuple[list[Child], Plan, Findings, dict[ConditionType, tuple[str, str]]]
NOTHING = Findings({})
CASES: dict[str, Case] = {
    "nothing is there": (
        [],
        Plan(),
        NOTHING,
        {
            READY: ("False", "Issuing"),
            CREDENTIALS: ("False", "Issuing"),
            SCHEDULED: ("False", "Starting"),
            ROUTED: ("False", "AwaitingScheduler"),
        },
    ),
    "one certificate is missing": (
        SECRETS[1:],
        Plan(),
        NOTHING,
        {CREDENTIALS: ("False", "Issuing")},
    ),
    "a certificate is on its way out": (
        [*SECRETS[1:], child(SECRET, SECRETS[0].name, AUTHORITY, deleting=True)],
        Plan(),
        NOTHING,
        {CREDENTIALS: ("False", "Issuing")},
    ),
    "the scheduler starts": (
        [*SECRETS, scheduler(PodState())],
        Plan(),
        NOTHING,
        {CREDENTIALS: ("True", "Issued"), READY: ("False", "Starting")},
    ),
    "the scheduler finds no node": (
        [*SECRETS, scheduler(PodState(reason=Reason.UNSCHEDULABLE, message="0/3 nodes"))],
        Plan(),
        NOTHING,
        {SCHEDULED: ("False", "Unschedulable"), READY: ("False", "Unschedulable")},
    ),
    "the gateway has not answered": (
        [*SECRETS, UP, route(RouteState())],
        Plan(),
        Findings({}, probe=MET),
        {SCHEDULED: ("True", "Ready"), ROUTED: ("False", "AwaitingGateway")},
    ),
    "the gateway refuses, whatever the scheduler does": (
        [*SECRETS, REFUSED],
        Plan(),
        NOTHING,
        {ROUTED: ("False", "RouteRefused"), READY: ("False", "Starting")},
    ),
    "the route is not proven yet": (
        WHOLE,
        Plan(),
        NOTHING,
        {ROUTED: ("False", "AwaitingGateway"), READY: ("False", "AwaitingGateway")},
    ),
    "the route leads nowhere": (
        WHOLE,
        Plan(),
        Findings({}, probe=NOT_MET),
        {ROUTED: ("False", "RouteUnreachable"), READY: ("False", "RouteUnreachable")},
    ),
    "everything was seen": (
        WHOLE,
        Plan(),
        Findings({}, probe=MET),
        {
            READY: ("True", "Ready"),
            CREDENTIALS: ("True", "Issued"),
            SCHEDULED: ("True", "Ready"),
            ROUTED: ("True", "Connected"),
            WORKERS: ("True", "Served"),
        },
    ),
    "a newer template waits": (
        WHOLE,
        Plan(update_pending=True),
        Findings({}, probe=MET),
        {SCHEDULED: ("True", "UpdatePending"), READY: ("True", "Ready")},
    ),
    "the server forbade something": (
        WHOLE,
        Plan(),
        Findings({SCHEDULED: Verdict(False, Reason.FORBIDDEN, "no")}, probe=MET),
        {SCHEDULED: ("False", "Forbidden"), READY: ("False", "Forbidden")},
    ),
    "objects of a predecessor are in the way": (
        [],
        Plan(blockers=(child(SECRET, "old", AUTHORITY, owner_uid="another"),)),
        NOTHING,
        {CREDENTIALS: ("False", "WaitingForPredecessor")},
    ),
    "stopped": (
        [],
        Plan(stopped=Reason.STOPPED),
        NOTHING,
        dict.fromkeys((READY, CREDENTIALS, SCHEDULED, ROUTED, WORKERS), ("False", "Stopped")),
    ),
    "refused": (
        [],
        Plan(refusal=Refusal(Reason.UNKNOWN_PROFILE, "there is no profile 'x'")),
        NOTHING,
        {READY: ("False", "UnknownProfile"), SCHEDULED: ("Unknown", "SpecRefused")},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_conditions_say_what_was_seen(case: str) -> None:
    children, plan, findings, expected = CASES[case]
    found = told(status(children, plan, findings))
    assert set(found) == set(ConditionType)
    assert {kind: found[kind] for kind in expected} == expected


def test_a_condition_changed_when_its_status_did_and_not_when_its_reason_did() -> None:
    later, latest = NOW + timedelta(hours=1), NOW + timedelta(hours=2)
    first = status([])
    second = status([*SECRETS, scheduler(PodState())], previous=first, now=later)
    third = status(WHOLE, findings=Findings({}, probe=MET), previous=second, now=latest)
    changed = [
        {c["type"]: c["lastTransitionTime"] for c in each["conditions"]}
        for each in (first, second, third)
    ]
    assert [each[CREDENTIALS][11:13] for each in changed] == ["00", "01", "01"]
    assert [each[READY][11:13] for each in changed] == ["00", "00", "02"]


def test_a_status_speaks_of_the_generation_that_was_acted_upon() -> None:
    found = status([])
    assert found["observedGeneration"] == 3
    assert {c["observedGeneration"] for c in found["conditions"]} == {3}


def test_a_message_is_cut_to_what_the_server_takes() -> None:
    problem = {SCHEDULED: Verdict(False, Reason.API_ERROR, "x" * 5000)}
    assert message(status([], findings=Findings(problem)), SCHEDULED) == "x" * MAX_MESSAGE


def test_workers_count_when_they_are_ready_and_reachable() -> None:
    ready = PodState(ready=True, reason=Reason.READY)
    workers = [worker(0, ready), worker(1, ready), worker(2, PodState())]
    unreachable = {workers[1].name: "connection refused"}
    found = status([*WHOLE, *workers], findings=Findings({}, MET, unreachable), replicas=3)
    assert found["workers"] == [{"pool": "local", "desired": 3, "requested": 3, "ready": 1}]
    assert found["replicas"] == 1
    assert told(found)[WORKERS] == ("False", "WorkersUnreachable")
    assert workers[1].name in message(found, WORKERS)
    assert told(found)[READY] == ("True", "Ready")


def test_a_workers_trouble_is_told_with_its_pool_and_name() -> None:
    lost = worker(0, PodState(reason=Reason.IMAGE_PULL_FAILED, message="not found"))
    found = status([*WHOLE, lost], replicas=1)
    assert told(found)[WORKERS] == ("False", "ImagePullFailed")
    assert message(found, WORKERS) == f"pool local, worker {lost.name}: not found"


def test_credentials_are_told_by_number_and_times() -> None:
    found = {c.pop("name"): c for c in status(SECRETS)["credentials"]}
    renewal = found["worker"].pop("renewalTime")
    assert "2026-01-05T04" <= renewal <= "2026-01-05T16:00:00Z"
    plain = {"id": "1f", "issuedAt": "2026-01-01T00:00:00Z", "notAfter": "2026-01-08T00:00:00Z"}
    assert found["authority"] == plain
    assert found["worker"] == plain
    assert set(found) == {AUTHORITY, *LEAVES}


@pytest.mark.parametrize("stopped", [None, Reason.STOPPED])
def test_addresses_are_told_while_the_session_runs(stopped: Reason | None) -> None:
    found = without_nulls(status(WHOLE, Plan(stopped=stopped)))
    assert ("scheduler" in found) is (stopped is None)
    assert ("credentialsSecretName" in found) is (stopped is None)


def test_what_is_kept_of_a_status_is_what_the_server_keeps() -> None:
    partial = child(SECRET, SECRETS[1].name, SCHEDULER, facts={SERIAL_ANNOTATION: "1f"})
    found = status([SECRETS[0], partial])
    kept = without_nulls({**found, "scheduler": {"address": "tls://a:1", "externalAddress": None}})
    assert kept["scheduler"] == {"address": "tls://a:1"}
    assert "runId" not in kept
    assert not any(value is None for entry in found["credentials"] for value in entry.values())


def test_a_specification_that_cannot_be_read_is_told_with_the_error() -> None:
    found = invalid_status(4, ValueError("replicas: 1 is too many"), {}, NOW)
    assert told(found)[READY] == ("False", "SpecInvalid")
    assert told(found)[SCHEDULED] == ("Unknown", "SpecRefused")
    assert message(found, READY) == "replicas: 1 is too many"
    assert {c["observedGeneration"] for c in found["conditions"]} == {4}


def conditions(**known: tuple[str, str]) -> dict[str, Any]:
    return {
        "conditions": [
            {"type": kind, "status": status, "reason": reason, "message": f"{kind} {reason}"}
            for kind, (status, reason) in known.items()
        ]
    }


EVENTS: dict[str, tuple[dict[str, Any], dict[str, Any], list[tuple[str, str]]]] = {
    "the way there is no event": ({}, conditions(Ready=("False", "Starting")), []),
    "ready": (
        conditions(Ready=("False", "Starting")),
        conditions(Ready=("True", "Ready")),
        [("Normal", "Ready")],
    ),
    "still ready": (conditions(Ready=("True", "Ready")), conditions(Ready=("True", "Ready")), []),
    "ready no more": (
        conditions(Ready=("True", "Ready")),
        conditions(Ready=("False", "RouteUnreachable")),
        [("Warning", "RouteUnreachable")],
    ),
    "another trouble": (
        conditions(Ready=("False", "RouteUnreachable")),
        conditions(Ready=("False", "OutOfMemory")),
        [("Warning", "OutOfMemory")],
    ),
    "stopped as asked": (
        conditions(Ready=("True", "Ready")),
        conditions(Ready=("False", "Stopped"), WorkersReady=("False", "Stopped")),
        [("Normal", "Stopped")],
    ),
    "a worker in trouble": (
        conditions(Ready=("True", "Ready"), WorkersReady=("True", "Served")),
        conditions(Ready=("True", "Ready"), WorkersReady=("False", "ImagePullFailed")),
        [("Warning", "ImagePullFailed")],
    ),
    "workers well again": (
        conditions(Ready=("True", "Ready"), WorkersReady=("False", "ImagePullFailed")),
        conditions(Ready=("True", "Ready"), WorkersReady=("True", "Served")),
        [],
    ),
    "a quota is reached": (
        conditions(WorkersReady=("True", "Scaling")),
        conditions(WorkersReady=("True", "QuotaReached")),
        [("Normal", "QuotaReached")],
    ),
    "still at the quota": (
        conditions(WorkersReady=("True", "QuotaReached")),
        conditions(WorkersReady=("True", "QuotaReached")),
        [],
    ),
    "versions differ": (
        conditions(WorkersReady=("True", "Served")),
        conditions(WorkersReady=("False", "VersionMismatch")),
        [("Warning", "VersionMismatch")],
    ),
    "idle for too long": (
        conditions(Ready=("True", "Ready")),
        conditions(Ready=("False", "IdleStopped"), WorkersReady=("False", "IdleStopped")),
        [("Warning", "IdleStopped")],
    ),
    "parts that Ready sums up": ({}, conditions(SchedulerReady=("False", "OutOfMemory")), []),
}


@pytest.mark.parametrize("case", EVENTS)
def test_a_change_that_matters_is_one_event(case: str) -> None:
    before, after, expected = EVENTS[case]
    found = transitions(before, after)
    assert [(kind, reason) for kind, reason, _ in found] == expected
    assert all(text.endswith(reason) for _, reason, text in found)


def scaled(mode: str, replicas: int) -> SessionSpec:
    return SessionSpec.model_validate(
        {"user": "alice", "scaling": {"mode": mode}, "replicas": replicas}
    )


def test_scaling_by_hand_what_scales_with_the_work_is_told_once() -> None:
    watch, key = ScaleWatch(), ("casita", "alice")
    assert not watch.ignored(key, scaled("Adaptive", 3))  # made so, or seen first after a restart
    text = watch.ignored(key, scaled("Adaptive", 5))
    assert "spec.replicas is 5" in text
    assert "Manual" in text
    assert not watch.ignored(key, scaled("Adaptive", 5))
    assert not watch.ignored(key, scaled("Manual", 6))
    assert not watch.ignored(key, scaled("Manual", 7))
    assert not watch.ignored(key, scaled("Adaptive", 8))
    watch.forget(key)
    assert not watch.ignored(key, scaled("Adaptive", 9))


def credentials_of(**numbers: str) -> dict[str, Any]:
    found = [{"name": n, "id": i, "notAfter": "2026-02-01T00:00:00Z"} for n, i in numbers.items()]
    return {"conditions": [], "credentials": found}


def test_renewed_credentials_are_told_in_one_event() -> None:
    before = credentials_of(authority="1", client="2", idtoken="3", macaroon="4")
    after = credentials_of(authority="1", client="2", idtoken="5", macaroon="6")
    text = "idtoken until 2026-02-01T00:00:00Z, macaroon until 2026-02-01T00:00:00Z"
    assert transitions(before, after) == [("Normal", "Renewed", text)]
    assert transitions(after, after) == []


def test_a_first_issue_and_another_run_are_no_renewal() -> None:
    first = credentials_of(authority="1", client="2")
    assert transitions({"conditions": []}, first) == []
    assert transitions(first, credentials_of(authority="3", client="4")) == []
    assert transitions(first, credentials_of(authority="1", client="2", idtoken="3")) == []
