"""Which workers of a pool go, and in which order."""

from typing import Any

import pytest

from casita.api.session import SessionSpec, WorkerPool
from casita.sessions.demand import Demand
from casita.sessions.desired import desired_workers
from casita.sessions.observed import Child, PodState
from casita.sessions.scaling import PoolPlan, leaving_order, plan_pool
from casita.sessions.view import View
from tests.unit.sessions_site import NOW, OWNER, SITE, worker

POOL = WorkerPool(pool="local", max=8)
NAMES = [f"s-local-{index}" for index in range(5)]


def order(up: set[str], **demand: Any) -> list[int]:
    told = Demand.model_validate({"cores": 0, **demand}) if demand else None
    return [int(name[-1]) for name in leaving_order(NAMES, up, told)]


@pytest.mark.parametrize(
    ("up", "demand", "expected"),
    [
        ({0, 1, 2, 3, 4}, {}, [4, 3, 2, 1, 0]),
        ({0, 1, 3}, {}, [4, 2, 3, 1, 0]),
        ({0, 1, 2, 3, 4}, {"retire": [1, 0, 3, 2, 4]}, [1, 0, 3, 2, 4]),
        ({0, 1, 2, 4}, {"retire": [1, 3]}, [3, 1, 4, 2, 0]),
        ({0, 1, 2, 3, 4}, {"retire": [4, 3, 2], "busy": [4, 0]}, [3, 2, 1, 4, 0]),
        ({0, 1}, {"busy": [4]}, [3, 2, 1, 0, 4]),  # who is busy came up
    ],
)
def test_who_never_came_up_goes_first_then_by_what_is_lost_then_the_youngest(
    up: set[int], demand: dict[str, list[int]], expected: list[int]
) -> None:
    told = {kind: [NAMES[index] for index in found] for kind, found in demand.items()}
    assert order({NAMES[index] for index in up}, **told) == expected


def test_the_youngest_job_has_the_highest_cluster_then_process() -> None:
    names = ["s-b-9-0", "s-b-10-1", "s-b-10-0"]
    assert leaving_order(names, names, None) == ["s-b-10-1", "s-b-10-0", "s-b-9-0"]


def step(workers: list[Child], demand: dict[str, Any] | None, **beside: Any) -> PoolPlan:
    scaling = {"mode": "Adaptive" if demand else "Manual"}
    replicas = beside.pop("replicas", 0)
    spec = SessionSpec.model_validate({"user": "alice", "scaling": scaling, "replicas": replicas})
    told = Demand.model_validate(demand) if demand else None
    view = View(OWNER, spec, SITE, {}, NOW, demand=told, **beside)
    return plan_pool(view, POOL, desired_workers(view, [POOL], 100), workers)


def indices(children: tuple[Child, ...]) -> list[int]:
    return [int(child.name.rpartition("-")[2]) for child in children]


def test_workers_that_are_not_wanted_any_more_drain_and_busy_ones_wait() -> None:
    workers = [worker("local", index) for index in range(4)]
    demand = {"cores": 1, "busy": [workers[0].name, workers[3].name]}
    found = step(workers, demand)
    assert (indices(found.draining), found.starting) == ([2, 1], ())
    assert (found.desired, found.kept, found.held_back) == (1, 2, True)
    done = step([workers[0], workers[3]], {"cores": 1, "busy": [workers[0].name]})
    assert (indices(done.draining), done.held_back) == ([3], False)


def test_a_quota_drains_busy_workers_in_the_schedulers_order() -> None:
    workers = [worker("local", index) for index in range(4)]
    names = [w.name for w in workers]
    demand = {"cores": 9, "busy": names, "retire": [names[2], names[0], names[1], names[3]]}
    found = step(workers, demand, allowed_cores=2)
    assert (indices(found.draining), found.starting) == ([2, 0], ())
    assert not found.held_back


def test_a_pod_that_its_scheduler_has_came_up_whatever_its_probe_says() -> None:
    workers = [worker("local", 0, PodState()), worker("local", 1, PodState())]
    found = step(workers, None, replicas=1, registered=frozenset({workers[1].name}))
    assert indices(found.draining) == [0]


def test_places_of_workers_that_still_drain_are_not_taken() -> None:
    workers = [worker("local", 0), worker("local", 1, deleting=True)]
    assert step(workers, {"cores": 3}).starting == (2, 3)
