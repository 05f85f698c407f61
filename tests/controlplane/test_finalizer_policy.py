"""What the operator may change of a session, and how sessions with jobs are stopped at the end.

Tried against a real API server on which Helm installed the chart.
"""

import asyncio
import json
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from kubernetes.client import ApiException

from casita.api.names import BATCH_FINALIZER
from casita.clients.kubernetes import Connection
from casita.operator.stop import NotStoppedError, stop_sessions
from tests.chart import scenarios
from tests.chart.helm import CHART, render
from tests.cluster.binaries import module_folder
from tests.cluster.control_plane import ControlPlane
from tests.cluster.errors import ClusterError
from tests.controlplane.test_admission import Facility, helm
from tests.support.cluster import SESSION, Cluster, eventually

SYSTEM, NAMESPACE = "casita-system", "casita"
OPERATOR = f"system:serviceaccount:{SYSTEM}:casita-operator"
VALUES = scenarios.values("external-batch-and-cache")
WORDS = "nothing of a session but its finalizer"
MINE = {"finalizers": [BATCH_FINALIZER]}


@dataclass(frozen=True)
class Held(Facility):
    """The facility, and its operator's own account."""

    operator: Cluster

    def hold(self, name: str, patch: dict[str, Any]) -> None:
        """Patch a session as the operator does, without reading it first."""
        self.operator.patch(*SESSION, name, NAMESPACE, patch)

    def edit(self, name: str, patch: dict[str, Any]) -> None:
        """Patch a session as an admin."""
        where = ("patch", "asess", name, "-n", NAMESPACE, "--type=merge")
        self.kubectl("admin", *where, "--patch", json.dumps(patch))

    def free(self, name: str) -> None:
        """Take all finalizers away and delete a session."""
        self.edit(name, {"metadata": {"finalizers": None}})
        self.delete("admin", name)


@pytest.fixture(scope="module")
def facility() -> Iterator[Held]:
    gateway = module_folder("crds", "sigs.k8s.io/gateway-api") / "config" / "crd" / "standard"
    with ControlPlane(manifests=[gateway]) as plane:
        # There are no nodes to run the hooks' Jobs.
        helm(
            plane,
            *("install", "casita", str(CHART), "--namespace", SYSTEM, "--create-namespace"),
            *("--no-hooks", "--values", "-"),
            stdin=yaml.safe_dump(VALUES),
        )
        found = Held(plane, {}, Cluster(plane.user_kubeconfig(OPERATOR)))
        asyncio.run(_until_enforced(found))
        yield found


async def _until_enforced(facility: Held) -> None:
    """The API server looks for new policies once a second."""
    name = facility.make("admin", "alice")

    def refuses() -> bool:
        try:
            facility.hold(name, {"metadata": {"annotations": {"tried": str(time.monotonic())}}})
        except ApiException as error:
            return "casita-operator-finalizer" in str(error.body)
        return False

    await eventually(refuses, 30, what="the operator's policy is enforced")
    facility.delete("admin", name)


def read(facility: Held, name: str) -> dict[str, Any]:
    answer = facility.kubectl("admin", "get", "asess", name, "-n", NAMESPACE, "-o", "json")
    return dict(json.loads(answer))


def test_the_operator_holds_a_session_and_lets_go_of_it(facility: Held) -> None:
    name = facility.make("admin", "alice")
    facility.edit(name, {"metadata": {"finalizers": ["other.example.org/keep"]}})
    both = ["other.example.org/keep", BATCH_FINALIZER]
    facility.hold(name, {"metadata": {"finalizers": both}})
    assert read(facility, name)["metadata"]["finalizers"] == both
    facility.kubectl("admin", "delete", "asess", name, "-n", NAMESPACE, "--wait=false")
    facility.hold(name, {"metadata": {"finalizers": both[:1]}})
    assert read(facility, name)["metadata"]["finalizers"] == both[:1]
    facility.edit(name, {"metadata": {"finalizers": None}})


@pytest.mark.parametrize(
    "patch",
    [
        {"spec": {"replicas": 3}},
        {"spec": {"lifecycle": "Stopped"}},
        {"metadata": {"labels": {"a": "b"}}},
        {"metadata": {"labels": {"had": None}}},
        {"metadata": {"annotations": {"a": "b"}}},
        {"metadata": {"annotations": {"had": "else"}}},
        {"metadata": {"finalizers": ["another.example.org/mine", "other.example.org/keep"]}},
        {"metadata": {"finalizers": [BATCH_FINALIZER]}},
        {"metadata": {"finalizers": None}},
        {
            "metadata": {
                "ownerReferences": [
                    {"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "not-there"}
                ]
            }
        },
        {"metadata": MINE, "spec": {"replicas": 3}},
    ],
    ids=json.dumps,
)
def test_it_changes_nothing_else_of_a_session(facility: Held, patch: dict[str, Any]) -> None:
    name = facility.make("admin", "alice")
    had = {
        "labels": {"had": "one"},
        "annotations": {"had": "one"},
        "finalizers": ["other.example.org/keep"],
    }
    facility.edit(name, {"metadata": had})
    before = read(facility, name)
    with pytest.raises(ApiException) as refused:
        facility.hold(name, patch)
    assert refused.value.status == 403
    if "spec" not in patch:  # of a specification the makers' policy may speak first
        assert WORDS in str(refused.value.body)
    assert read(facility, name) == before
    facility.free(name)


async def test_not_even_if_it_might_act_for_everybody(facility: Held) -> None:
    name = facility.make("admin", "alice")
    facility.kubectl(
        *("admin", "create", "rolebinding", "too-much", "-n", NAMESPACE),
        *("--clusterrole=casita-session-minter", f"--serviceaccount={SYSTEM}:casita-operator"),
    )

    def words() -> str:
        with pytest.raises(ApiException) as refused:
            facility.hold(name, {"spec": {"replicas": 3}})
        return str(refused.value.body)

    await eventually(lambda: WORDS in words(), what="the operator's own policy speaks")
    facility.kubectl("admin", "delete", "rolebinding", "too-much", "-n", NAMESPACE)
    facility.delete("admin", name)


def test_it_neither_makes_nor_deletes_sessions(facility: Held) -> None:
    name = facility.make("admin", "alice")
    for act, whose in (
        (facility.make, "alice"),
        (facility.delete, name),
        (facility.scale, name),
    ):
        with pytest.raises(ClusterError, match="orbidden"):
            act(OPERATOR, whose)
    facility.delete("admin", name)


def test_users_stop_and_delete_sessions_that_are_held(facility: Held) -> None:
    """The policy is about the operator alone."""
    name = facility.make("admin", "alice")
    facility.hold(name, {"metadata": MINE})
    facility.edit(name, {"spec": {"lifecycle": "Stopped"}})
    facility.kubectl("admin", "delete", "asess", name, "-n", NAMESPACE, "--wait=false")
    assert "deletionTimestamp" in read(facility, name)["metadata"]
    facility.hold(name, {"metadata": {"finalizers": None}})


@pytest.fixture
def leaving(facility: Held) -> Connection:
    """The connection of the hook that ends the facility, with the rights of the chart."""
    chart = render(VALUES)
    for kind in ("ServiceAccount", "Role", "RoleBinding"):
        manifest = yaml.safe_dump(dict(chart.one(kind, "casita-stop")))
        facility.kubectl("admin", "apply", "--filename", "-", stdin=manifest)
    plane = facility.plane
    token = plane.kubectl("create", "token", "casita-stop", "-n", SYSTEM).strip()
    context = ssl.create_default_context(cafile=str(plane.ca_file))
    return Connection(plane.url, context, {}, lambda: token)


async def test_sessions_with_jobs_are_stopped_and_waited_for_and_others_left_alone(
    facility: Held, leaving: Connection
) -> None:
    held, free = facility.make("admin", "alice"), facility.make("admin", "bob")
    facility.hold(held, {"metadata": MINE})

    def lifecycle(name: str) -> Callable[[], bool]:
        return lambda: read(facility, name)["spec"]["lifecycle"] == "Stopped"

    ending = asyncio.create_task(stop_sessions(leaving, [NAMESPACE], seconds=60, pause=0.1))
    await eventually(lifecycle(held), what="the session is stopped")
    assert not ending.done()
    await asyncio.to_thread(facility.hold, held, {"metadata": {"finalizers": None}})
    await asyncio.wait_for(ending, 20)
    assert read(facility, free)["spec"]["lifecycle"] == "Running"
    for name in (held, free):
        facility.delete("admin", name)


async def test_a_session_that_nobody_lets_go_of_is_named(
    facility: Held, leaving: Connection
) -> None:
    name = facility.make("admin", "alice")
    facility.hold(name, {"metadata": MINE})
    with pytest.raises(NotStoppedError, match=f"{NAMESPACE}/{name} .*{BATCH_FINALIZER}"):
        await stop_sessions(leaving, [NAMESPACE], seconds=0.5, pause=0.1)
    assert read(facility, name)["spec"]["lifecycle"] == "Stopped"
    facility.hold(name, {"metadata": {"finalizers": None}})
    facility.delete("admin", name)
