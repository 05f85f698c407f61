"""What is seen of pods, routes and Secrets becomes what a condition tells; edits are noticed."""

from typing import Any

import pytest

from casita.api.conditions import Reason
from casita.api.names import API_VERSION, KIND, MANAGER
from casita.manifests.common import Owner, labels
from casita.manifests.network_policy import network_policy
from casita.manifests.resources import INGRESS_ROUTE_TCP, POD, SECRET, SERVICE, TLS_ROUTE
from casita.manifests.service import service
from casita.sessions.observed import PodState, RouteState, child_of, deviates, parse_time, pod_state
from tests.unit.sessions_site import OWNER, SITE

MADE = "2026-01-01T00:00:00Z"


def container(**state: Any) -> dict[str, Any]:
    return {"phase": "Running", "containerStatuses": [{"name": "scheduler", **state}]}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return container(state={"waiting": {"reason": reason, "message": message}})


def over(phase: str, **end: Any) -> dict[str, Any]:
    return {**container(state={"terminated": {"exitCode": 1, **end}}), "phase": phase}


def beside(*, instant_ready: bool, ready: bool) -> dict[str, Any]:
    """A pod that is not ready, of a scheduler and a worker beside it."""
    crashed = {"waiting": {"reason": "CrashLoopBackOff"}}
    return {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "False"}],
        "containerStatuses": [
            {"name": "scheduler", "ready": ready, "state": {"running": {}}},
            {"name": "instant", "ready": instant_ready, "state": crashed},
        ],
    }


STARTING = PodState()
PODS: dict[str, tuple[dict[str, Any], PodState]] = {
    "just made": ({}, STARTING),
    "pending": ({"phase": "Pending"}, STARTING),
    "pulling": (waiting("ContainerCreating"), STARTING),
    "ready": (
        {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        PodState(ready=True, reason=Reason.READY),
    ),
    "not ready yet": (
        {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]},
        STARTING,
    ),
    "no node has room": (
        {
            "phase": "Pending",
            "conditions": [
                {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}
            ],
        },
        PodState(reason=Reason.UNSCHEDULABLE, message="0/3 nodes are available"),
    ),
    "no such image": (
        waiting("ErrImagePull", "not found"),
        PodState(reason=Reason.IMAGE_PULL_FAILED, message="not found"),
    ),
    "no such image, and no words": (
        waiting("ImagePullBackOff"),
        PodState(reason=Reason.IMAGE_PULL_FAILED, message="ImagePullBackOff"),
    ),
    "cannot be started": (
        waiting("CreateContainerConfigError", 'secret "a" not found'),
        PodState(reason=Reason.FAILED, message='CreateContainerConfigError: secret "a" not found'),
    ),
    "starts again after a crash": (
        container(
            state={"waiting": {"reason": "CrashLoopBackOff"}},
            lastState={"terminated": {"exitCode": 3, "reason": "Error", "message": "boom\n"}},
        ),
        PodState(reason=Reason.FAILED, message="last ended with exit code 3 (Error): boom"),
    ),
    "starts again after it used too much memory": (
        container(state={"running": {}}, lastState={"terminated": {"reason": "OOMKilled"}}),
        PodState(
            reason=Reason.OUT_OF_MEMORY, message="killed for using more memory than its limit"
        ),
    ),
    "ended well": (
        over("Succeeded", exitCode=0, reason="Completed", finishedAt="2026-01-01T01:00:00Z"),
        PodState(
            ended=True,
            succeeded=True,
            ended_at="2026-01-01T01:00:00Z",
            reason=Reason.FAILED,
            message="last ended with exit code 0 (Completed)",
        ),
    ),
    "ended for want of memory": (
        over("Failed", reason="OOMKilled", finishedAt="2026-01-01T01:00:00Z"),
        PodState(
            ended=True,
            ended_at="2026-01-01T01:00:00Z",
            reason=Reason.OUT_OF_MEMORY,
            message="killed for using more memory than its limit",
        ),
    ),
    "evicted": (
        {"phase": "Failed", "message": "the node was low on memory", "startTime": MADE},
        PodState(
            ended=True, ended_at=MADE, reason=Reason.FAILED, message="the node was low on memory"
        ),
    ),
    "its scheduler serves, and the worker beside it starts again and again": (
        beside(instant_ready=False, ready=True),
        PodState(ready=True, reason=Reason.READY),
    ),
    "its scheduler does not serve, and the worker beside it does": (
        beside(instant_ready=True, ready=False),
        STARTING,
    ),
    "its node is lost, and all of its containers were well": (
        beside(instant_ready=True, ready=True),
        STARTING,
    ),
    "rejected by its node": (
        {"phase": "Failed"},
        PodState(ended=True, ended_at=MADE, reason=Reason.FAILED, message="the pod ended"),
    ),
}


@pytest.mark.parametrize("case", PODS)
def test_a_pods_state_is_told_by_its_status(case: str) -> None:
    status, expected = PODS[case]
    assert pod_state(status, MADE) == expected


DEVIATIONS: dict[str, tuple[Any, Any, bool]] = {
    "equal": ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}, False),
    "a default that the server adds": ({"a": 1}, {"a": 1, "type": "ClusterIP"}, False),
    "a default within an entry of a list": (
        [{"port": 1}],
        [{"port": 1, "protocol": "TCP"}],
        False,
    ),
    "another value": ({"a": 1}, {"a": 2}, True),
    "a field taken away": ({"a": 1, "b": 2}, {"a": 1}, True),
    "everything taken away": ({"a": 1}, None, True),
    "nothing planned, nothing there": ({}, None, True),
    "an entry more in a list": ([1], [1, 2], True),
    "an entry less in a list": ([1, 2], [1], True),
    "the order of a list": ([1, 2], [2, 1], True),
    "a list that became something else": ([1], {"0": 1}, True),
    "an object that became something else": ({"a": 1}, [1], True),
    "one more entry in a selector": ({"selector": {"a": 1}}, {"selector": {"a": 1, "b": 2}}, True),
    "one more label to match": (
        {"peers": [{"matchLabels": {"a": 1}}]},
        {"peers": [{"matchLabels": {"a": 1, "b": 2}}]},
        True,
    ),
    "an equal selector, a default beside": (
        {"selector": {"a": 1}},
        {"selector": {"a": 1}, "b": 2},
        False,
    ),
    "deep down": ({"a": {"b": [{"c": {"d": 1}}]}}, {"a": {"b": [{"c": {"d": 2}}]}}, True),
}


@pytest.mark.parametrize("case", DEVIATIONS)
def test_edits_deviate_and_defaults_do_not(case: str) -> None:
    planned, actual, expected = DEVIATIONS[case]
    assert deviates(planned, actual) is expected


@pytest.mark.parametrize("manifest", [service(OWNER), network_policy(OWNER, SITE)])
def test_every_field_of_a_planned_object_counts(manifest: dict[str, Any]) -> None:
    assert not deviates(manifest["spec"], manifest["spec"])
    for field in manifest["spec"]:
        without = {k: v for k, v in manifest["spec"].items() if k != field}
        assert deviates(manifest["spec"], without), field


def item(name: str, owner: Owner = OWNER, **beside: Any) -> dict[str, Any]:
    """An object as the server tells it."""
    reference = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": owner.name,
        "uid": owner.uid,
        "controller": True,
    }
    metadata = {
        "name": name,
        "uid": f"uid of {name}",
        "resourceVersion": "7",
        "generation": 2,
        "labels": labels(owner, "scheduler"),
        "ownerReferences": [reference],
    }
    return {"metadata": {**metadata, **beside.pop("metadata", {})}, **beside}


def test_what_no_session_controls_is_nobodys_child() -> None:
    reference = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "alice", "uid": "1"}
    for references in ([], None, [{**reference, "controller": True}]):
        assert child_of(POD, item("a", metadata={"ownerReferences": references})) is None


def test_a_specification_is_kept_where_it_is_compared() -> None:
    seen = child_of(SERVICE, item("a", spec={"ports": [1]}))
    assert seen is not None
    assert seen.unchecked == b'{"ports": [1]}'
    for resource, told in ((SERVICE, item("a")), (POD, item("a", spec={"containers": []}))):
        child = child_of(resource, told)
        assert child is not None
        assert child.unchecked is None


def secret(*managers: str, files: tuple[str, ...]) -> dict[str, Any]:
    fields: dict[str, Any] = {"f:data": {f"f:{name}": {} for name in files}}
    managed = [{"manager": manager, "fieldsV1": fields} for manager in managers]
    return item("alice-worker", metadata={"managedFields": managed})


@pytest.mark.parametrize(
    ("managers", "files", "suspect"),
    [
        ((MANAGER,), ("ca.pem", "tls.crt", "tls.key"), False),
        ((MANAGER,), ("ca.pem", "tls.crt"), True),
        ((MANAGER, "kubectl-edit"), ("ca.pem", "tls.crt", "tls.key"), True),
        ((), (), True),
    ],
)
def test_a_secret_that_others_wrote_or_that_lost_a_file_is_suspect(
    managers: tuple[str, ...], files: tuple[str, ...], suspect: bool
) -> None:
    child = child_of(SECRET, secret(*managers, files=files))
    assert child is not None
    assert child.suspect is suspect


def answer(*conditions: tuple[str, str], generation: int = 2) -> dict[str, Any]:
    found = [
        {
            "type": kind,
            "status": status,
            "reason": "BackendNotFound",
            "message": "no such Service",
            "observedGeneration": generation,
        }
        for kind, status in conditions
    ]
    return {"parents": [{"conditions": found}]}


REFUSED = RouteState(accepted=False, message="BackendNotFound: no such Service")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, RouteState()),
        ({"parents": []}, RouteState()),
        (answer(("Accepted", "True")), RouteState(accepted=True)),
        (answer(("Accepted", "True"), ("ResolvedRefs", "True")), RouteState(accepted=True)),
        (answer(("Accepted", "False")), REFUSED),
        (answer(("Accepted", "True"), ("ResolvedRefs", "False")), REFUSED),
        (answer(("Accepted", "True"), generation=1), RouteState()),
    ],
)
def test_a_route_is_as_the_gateway_says_of_its_present_generation(
    status: dict[str, Any], expected: RouteState
) -> None:
    child = child_of(TLS_ROUTE, item("alice", status=status))
    assert child is not None
    assert child.route == expected


def test_a_route_without_a_status_is_left_to_the_proof() -> None:
    child = child_of(INGRESS_ROUTE_TCP, item("alice"))
    assert child is not None
    assert child.route == RouteState(accepted=True)


def test_a_time_without_a_zone_is_refused() -> None:
    assert parse_time("2026-01-01T00:00:00Z").utcoffset() is not None
    with pytest.raises(ValueError, match="time with a zone"):
        parse_time("2026-01-01T00:00:00")
