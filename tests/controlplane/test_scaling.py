"""Workers come and go with what is asked; one that ended is replaced, one that works drains."""

import pytest

from casita.sessions.observed import parse_time
from tests.cluster.control_plane import ControlPlane
from tests.controlplane.conftest import Operate
from tests.support.bed import Bed
from tests.support.clock import Clock
from tests.support.cluster import Json, condition, eventually

MANUAL: Json = {"scaling": {"mode": "Manual"}}


def workers(bed: Bed, name: str = "alice") -> set[str]:
    return bed.pods(name) - {"scheduler"}


def local(*indices: int) -> set[str]:
    return {f"local-{index}" for index in indices}


def now(clock: Clock) -> str:
    return clock().strftime("%Y-%m-%dT%H:%M:%SZ")


async def until_workers(bed: Bed, wanted: set[str], seconds: float = 20.0) -> None:
    await eventually(lambda: workers(bed) == wanted, seconds, what=f"workers {sorted(wanted)}")


async def test_workers_follow_replicas_up_and_down_and_the_idle_and_youngest_leave_first(
    bed: Bed, operate: Operate
) -> None:
    with operate():
        bed.create(**MANUAL, replicas=4)
        await until_workers(bed, local(0, 1, 2, 3))
        for worker in local(0, 1, 2, 3):
            bed.place(worker)
        bed.mark_ready(*local(0, 2, 3))
        await eventually(lambda: bed.status()["replicas"] == 3)
        bed.edit(replicas=2)
        # Number 1 never came up, and of the others number 3 is the youngest.
        await until_workers(bed, local(0, 2))
        for leaving in local(1, 3):
            metadata = bed.child("Pod", leaving)["metadata"]
            assert metadata["deletionGracePeriodSeconds"] == 310  # it drains
        bed.edit(replicas=4)
        # Names of those that still drain are not free.
        await until_workers(bed, local(0, 2, 4, 5))
        for leaving in local(1, 3):
            bed.clear(leaving)
        bed.edit(replicas=6)
        await until_workers(bed, local(0, 1, 2, 3, 4, 5))


async def test_kubectl_scale_works(bed: Bed, operate: Operate, plane: ControlPlane) -> None:
    with operate():
        bed.create(**MANUAL)
        await bed.until_issued()
        plane.kubectl("scale", "-n", bed.namespace, "asess/alice", "--replicas=3")
        await until_workers(bed, local(0, 1, 2))
        bed.mark_ready(*local(0, 1, 2))
        await eventually(lambda: bed.status()["replicas"] == 3)
        path = f"/apis/casita.dev/v1alpha1/namespaces/{bed.namespace}/analysissessions/alice/scale"
        scale = plane.kubectl("get", "--raw", path)
        assert '"replicas":3' in scale
        assert "casita.dev/component=worker" in scale


async def test_pools_fill_in_list_order_minimum_first_and_never_beyond_the_profile(
    bed: Bed, operate: Operate
) -> None:
    pools = [{"pool": "a", "max": 3}, {"pool": "b", "min": 1, "max": 3}]
    with operate():
        bed.create(**MANUAL, workers=pools, replicas=3)
        await until_workers(bed, {"a-0", "a-1", "b-0"})
        bed.edit(replicas=100)
        await until_workers(bed, {"a-0", "a-1", "a-2", "b-0", "b-1", "b-2"})
        bed.edit(profile="small")
        await until_workers(bed, {"a-0", "b-0"})


async def test_workers_of_a_pool_that_is_taken_out_leave(bed: Bed, operate: Operate) -> None:
    with operate():
        bed.create(**MANUAL, workers=[{"pool": "a", "min": 1, "max": 1}], replicas=1)
        await until_workers(bed, {"a-0"})
        bed.edit(workers=[{"pool": "a-0", "min": 1, "max": 1}])
        await until_workers(bed, {"a-0-0"})


def one(bed: Bed) -> tuple[str, str]:
    """Return name and uid of the one worker that is not going."""
    found = workers(bed)
    assert len(found) == 1, found
    return next(iter(found)), bed.uid("Pod", next(iter(found)))


def another(bed: Bed, before: tuple[str, str]) -> tuple[str, str]:
    """Return name and uid of the one worker, once it is not `before`."""
    found = one(bed)
    assert found != before
    return found


async def test_a_worker_that_ended_is_cleared_and_replaced_after_a_pause_that_grows(
    bed: Bed, operate: Operate
) -> None:
    clock = Clock()
    with operate(clock=clock) as operator:
        bed.create(**MANUAL, replicas=1)
        await until_workers(bed, local(0))
        first = one(bed)
        bed.mark_ended(first[0], "OOMKilled", 137, at=now(clock))
        session = await bed.until("WorkersReady", "False", "OutOfMemory")
        assert first[0] in condition(session, "WorkersReady")["message"]
        assert one(bed) == first
        second = await eventually(lambda: another(bed, first))
        bed.mark_ended(second[0], at=now(clock))
        await bed.until("WorkersReady", "False", "Failed")
        clock.forward(seconds=2.5)
        operator.look(bed.namespace)
        bed.create("bob")
        await bed.until_issued("bob")
        assert one(bed) == second
        clock.forward(seconds=2)
        operator.look(bed.namespace)
        await eventually(lambda: another(bed, second))


REJECTED: Json = {
    "phase": "Failed",
    "reason": "OutOfcpu",
    "message": "Pod was rejected: Node didn't have enough resource: cpu",
}


@pytest.mark.parametrize("component", ["worker", "scheduler"])
async def test_pods_that_a_node_rejects_are_not_made_again_and_again_without_a_pause(
    bed: Bed, operate: Operate, component: str
) -> None:
    clock = Clock()
    seen: set[str] = set()

    def newcomer() -> str:
        selector = f"casita.dev/component={component}"
        pods = bed.cluster.items("v1", "Pod", bed.namespace, label_selector=selector)
        new = [pod["metadata"] for pod in pods if pod["metadata"]["uid"] not in seen]
        assert new, "none yet"
        seen.update(metadata["uid"] for metadata in new)
        return str(new[0]["name"])

    with operate(clock=clock):
        bed.create(**MANUAL, replicas=1)
        await until_workers(bed, local(0))
        begin = clock()
        for _ in range(4):
            pod = (await eventually(newcomer)).removeprefix(f"{bed.child_name()}-")
            bed.mark(pod, {**REJECTED, "startTime": now(clock)})
        took = (clock() - begin).total_seconds()
    # Two seconds, then four, then eight; times of Kubernetes are whole seconds.
    assert took > 10


async def test_the_schedulers_trouble_is_told_and_it_is_made_again_when_lost(
    bed: Bed, operate: Operate
) -> None:
    with operate():
        bed.create()
        await bed.until_issued()
        unschedulable = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/3 nodes are available",
        }
        bed.mark("scheduler", {"phase": "Pending", "conditions": [unschedulable]})
        session = await bed.until("SchedulerReady", "False", "Unschedulable")
        assert "0/3 nodes" in condition(session, "Ready")["message"]
        bed.mark_ready("scheduler")
        await bed.until("SchedulerReady", "True", "Ready")
        killed = {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-01-01T00:00:00Z"}
        container = {
            "name": "scheduler",
            "image": "any",
            "imageID": "",
            "ready": False,
            "restartCount": 1,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": killed},
        }
        not_ready = {"type": "Ready", "status": "False"}
        bed.mark("scheduler", {"conditions": [not_ready], "containerStatuses": [container]})
        session = await bed.until("Ready", "False", "OutOfMemory")
        uid = bed.uid("Pod", "scheduler")
        bed.mark("scheduler", {"phase": "Failed", "reason": "Evicted", "message": "low on disk"})
        await eventually(lambda: bed.uid("Pod", "scheduler") != uid)


async def test_the_time_of_a_transition_changes_with_the_status_alone(
    bed: Bed, operate: Operate
) -> None:
    clock = Clock()
    with operate(clock=clock):
        bed.create()
        session = await bed.until_issued()
        before = condition(session, "SchedulerReady")
        clock.forward(seconds=100)
        waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
        container = {
            "name": "scheduler",
            "image": "any",
            "imageID": "",
            "ready": False,
            "restartCount": 0,
            "state": {"waiting": waiting},
        }
        bed.mark("scheduler", {"phase": "Pending", "containerStatuses": [container]})
        session = await bed.until("SchedulerReady", "False", "ImagePullFailed")
        same = condition(session, "SchedulerReady")
        assert same["lastTransitionTime"] == before["lastTransitionTime"]
        bed.mark_ready("scheduler")
        session = await bed.until("SchedulerReady", "True")
        changed = condition(session, "SchedulerReady")
    gap = parse_time(changed["lastTransitionTime"]) - parse_time(before["lastTransitionTime"])
    assert gap.total_seconds() >= 100
