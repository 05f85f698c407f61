"""How many workers each pool should have, for what is asked and what is allowed."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casita.api.session import SessionSpec, WorkerPool
from casita.sessions.demand import Demand
from casita.sessions.desired import before_of, belongs, desired_workers, wish_of
from casita.sessions.view import QueueView, View
from tests.unit.sessions_site import NOW, OWNER, SITE, job, with_site, worker

A = {"pool": "a", "max": 4}
B = {"pool": "b", "min": 1, "max": 10, "cores": 2}
BIG = {"pool": "big", "max": 10, "cores": 8, "backend": "HTCondor"}


def view_of(
    *pools: dict[str, Any], demand: dict[str, Any] | None = None, **beside: Any
) -> tuple[View, tuple[WorkerPool, ...]]:
    manual = {"mode": "Manual"} if "replicas" in beside else {"mode": "Adaptive"}
    values = {"user": "alice", "workers": list(pools), "scaling": manual}
    spec = SessionSpec.model_validate({**values, "replicas": beside.pop("replicas", 0)})
    told = None if demand is None else Demand.model_validate(demand)
    return View(OWNER, spec, SITE, {}, NOW, demand=told, **beside), spec.workers or ()


def wanted(*pools: dict[str, Any], limit: int = 100, **beside: Any) -> list[int]:
    view, found = view_of(*pools, **beside)
    return list(desired_workers(view, found, limit).workers.values())


def kept(*pools: dict[str, Any], limit: int = 100, **beside: Any) -> list[int]:
    view, found = view_of(*pools, **beside)
    return list(desired_workers(view, found, limit).kept.values())


@pytest.mark.parametrize(
    ("replicas", "expected"), [(0, [0, 1]), (1, [0, 1]), (3, [2, 1]), (7, [4, 3]), (99, [4, 10])]
)
def test_by_hand_each_pool_has_its_minimum_and_then_they_fill_in_list_order(
    replicas: int, expected: list[int]
) -> None:
    assert wanted(A, B, replicas=replicas, demand={"cores": 50}) == expected


@pytest.mark.parametrize(
    ("cores", "expected"),
    [
        (0, [0, 1]),
        (2, [0, 1]),
        (3, [1, 1]),
        (6, [4, 1]),
        (7, [4, 2]),  # a whole worker for one core
        (9, [4, 3]),
        (1000, [4, 10]),
    ],
)
def test_by_the_work_as_many_cores_as_it_could_use_minimums_first(
    cores: int, expected: list[int]
) -> None:
    assert wanted(A, B, demand={"cores": cores}) == expected


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({"minimum": 3}, [2, 1]),
        ({"minimum": 99}, [4, 10]),
        ({"maximum": 4}, [3, 1]),
        ({"maximum": 0}, [0, 1]),  # a pool's minimum is the specification's
    ],
)
def test_a_users_bounds_are_of_workers_over_all_pools(
    bounds: dict[str, int], expected: list[int]
) -> None:
    assert wanted(A, B, demand={"cores": 20 if "maximum" in bounds else 0, **bounds}) == expected


def test_the_instant_worker_does_its_part_of_the_work() -> None:
    view, pools = view_of(A, demand={"cores": 3})
    site = with_site(profiles=[{"name": "default", "image": "x", "instantWorker": {"cores": 2}}])
    beside = View(OWNER, view.spec, site, {}, NOW, demand=view.demand)
    assert desired_workers(beside, pools, 100).workers == {"a": 1}


def test_a_users_number_of_workers_fills_pools_in_list_order() -> None:
    assert wanted(A, B, demand={"workers": 7}) == [4, 3]


def test_a_users_numbers_for_pools_are_clamped_and_unnamed_pools_have_their_minimum() -> None:
    assert wanted(A, B, demand={"pools": {"a": 9, "other": 5}}) == [4, 1]
    assert wanted(A, B, demand={"pools": {"b": 0}}) == [0, 1]


def test_before_the_scheduler_has_told_what_was_wanted_stays_wanted() -> None:
    assert wanted(A, B) == [0, 1]
    assert wanted(A, B, before={"a": 3, "b": 5, "gone": 9}) == [3, 5]
    assert wanted(A, B, before={"a": 99, "b": 0}) == [4, 1]


def test_what_was_wanted_in_an_earlier_run_is_not() -> None:
    status = {"runId": "1", "workers": [{"pool": "a", "desired": 3}]}
    assert before_of(SessionSpec(user="alice", run_id="1"), status) == {"a": 3}
    assert before_of(SessionSpec(user="alice", run_id="2"), status) == {}
    assert before_of(SessionSpec(user="alice"), {}) == {}


@pytest.mark.parametrize(
    ("limit", "cores", "expected"),
    [
        (100, None, [4, 10]),
        (6, None, [4, 2]),
        (4, None, [3, 1]),  # the minimum of the last pool comes before the rest of the first
        (1, None, [0, 1]),
        (0, None, [0, 0]),
        (100, 8, [4, 2]),
        (100, 7, [4, 1]),  # one core is left, too few for a worker
        (100, 1, [1, 0]),  # a quota binds minimums too
        (100, 0, [0, 0]),
        (3, 100, [2, 1]),
    ],
)
def test_limits_take_from_the_last_pools_first_and_bind_minimums(
    limit: int, cores: int | None, expected: list[int]
) -> None:
    assert wanted(A, B, replicas=100, limit=limit, allowed_cores=cores) == expected
    assert wanted(A, B, demand={"cores": 1000}, limit=limit, allowed_cores=cores) == expected


def names(pool: str, count: int) -> list[str]:
    return [f"{OWNER.slug}-{pool}-{index}" for index in range(count)]


def test_busy_workers_stay_though_no_more_are_wanted() -> None:
    demand = {"cores": 2, "busy": [*names("a", 3), f"{OWNER.slug}-instant", "stranger-a-1"]}
    assert wanted(A, B, demand=demand) == [0, 1]
    assert kept(A, B, demand=demand) == [3, 1]


def test_where_the_user_says_how_many_busy_workers_go_too() -> None:
    asks: list[dict[str, Any]] = [{"workers": 1}, {"pools": {}}]
    for asked in asks:
        assert kept(A, B, demand={**asked, "busy": names("a", 3)}) == [0, 1]
    assert kept(A, B, replicas=1, demand={"cores": 9, "busy": names("a", 3)}) == [0, 1]


def test_a_limit_forces_busy_workers_out_and_leaves_them_before_others_are_started() -> None:
    demand = {"cores": 100, "busy": names("b", 3)}
    assert kept(A, B, demand=demand, allowed_cores=6) == [0, 3]
    assert wanted(A, B, demand=demand, allowed_cores=6) == [0, 1]
    assert kept(A, B, demand=demand, allowed_cores=4) == [0, 2]
    smaller = {**B, "max": 2}
    assert kept(A, smaller, demand=demand) == [4, 2]


def test_what_is_asked_for_is_told_without_limits() -> None:
    view, pools = view_of(A, B, demand={"cores": 12}, allowed_cores=3)
    found = desired_workers(view, pools, 5)
    assert (found.asked, found.within_profile, sum(found.workers.values())) == (8, 5, 2)
    assert found.asked_cores == 6


pools = st.lists(
    st.builds(
        lambda least, more, cores: {"min": least, "max": least + more, "cores": cores},
        st.integers(0, 4),
        st.integers(0, 6),
        st.integers(1, 8),
    ),
    max_size=4,
).map(lambda found: [{**pool, "pool": f"p{index}"} for index, pool in enumerate(found)])
counts = st.integers(0, 60)
demands = st.one_of(
    st.none(),
    st.builds(lambda cores: {"cores": cores}, counts),
    st.builds(
        lambda cores, least, more: {"cores": cores, "minimum": least, "maximum": least + more},
        counts,
        counts,
        counts,
    ),
    st.builds(lambda workers: {"workers": workers}, counts),
    st.builds(
        lambda found: {"pools": found},
        st.dictionaries(st.sampled_from(["p0", "p1", "p9"]), counts),
    ),
)
busy = st.builds(lambda a, b: names("p0", a) + names("p1", b), st.integers(0, 9), st.integers(0, 9))


@settings(max_examples=300, deadline=None)
@given(pools, demands, busy, st.integers(0, 30), st.none() | st.integers(0, 60))
def test_desired_workers_keep_to_all_bounds(
    found: list[dict[str, Any]],
    demand: dict[str, Any] | None,
    working: list[str],
    limit: int,
    cores: int | None,
) -> None:
    told = {**demand, "busy": working} if demand is not None else None
    view, listed = view_of(*found, demand=told, allowed_cores=cores)
    answer = desired_workers(view, listed, limit)
    for counted in (answer.workers, answer.kept):
        assert sum(counted.values()) <= limit
        assert all(0 <= counted[pool.pool] <= pool.max for pool in listed)
        taken = sum(counted[pool.pool] * pool.cores for pool in listed)
        assert cores is None or taken <= cores
    # What is started and what is left of other pools fit together.
    assert all(answer.workers[name] <= answer.kept[name] for name in answer.kept)
    if cores is None and sum(pool.min for pool in listed) <= limit:
        assert all(answer.workers[pool.pool] >= pool.min for pool in listed)


@settings(max_examples=200, deadline=None)
@given(pools, counts, counts)
def test_more_work_never_wants_fewer_workers(
    found: list[dict[str, Any]], cores: int, more: int
) -> None:
    fewer = wanted(*found, demand={"cores": cores})
    assert all(map(int.__le__, fewer, wanted(*found, demand={"cores": cores + more})))


@settings(max_examples=200, deadline=None)
@given(pools, counts)
def test_the_workers_suffice_for_the_work_or_all_pools_are_full(
    found: list[dict[str, Any]], cores: int
) -> None:
    counted = wanted(*found, demand={"cores": cores})
    enough = sum(count * pool["cores"] for count, pool in zip(counted, found, strict=True)) >= cores
    assert enough or counted == [pool["max"] for pool in found]


def test_a_workers_pool_is_known_by_its_name() -> None:
    local, batch = WorkerPool(pool="a", max=1), WorkerPool.model_validate({**BIG, "pool": "a"})
    assert belongs("s", local, "s-a-0")
    assert not belongs("s", local, "s-a-0-0")
    assert belongs("s", batch, "s-a-12-0")
    assert not belongs("s", batch, "s-a-12")
    for name in ("s-a-", "s-a-x", "t-a-1", "s-b-1", "s-instant", "s-a-\u0663"):
        assert not belongs("s", local, name)
        assert not belongs("s", batch, name)


def test_a_session_asks_for_the_cores_that_it_could_use_and_tells_those_that_it_has() -> None:
    view, _ = view_of(A, B, BIG, demand={"cores": 12}, allowed_cores=0)
    pods = [worker("a", 0), worker("a", 1, deleting=True), worker("b", 0), worker("b", 1)]
    queue = QueueView(jobs=(job("big", 1), job("big", 2, state="Leaving")))
    full = View(
        OWNER, view.spec, SITE, {p.key: p for p in pods}, NOW, demand=view.demand, queue=queue
    )
    wish = wish_of(full)
    assert (wish.asked, wish.held, wish.leaving) == (12, 1 + 4 + 8, 1 + 8)


def test_jobs_that_are_not_known_after_a_restart_count_as_the_last_status_says() -> None:
    view, _ = view_of(BIG, before={"big": 3}, queue=QueueView())
    assert (wish_of(view).held, wish_of(view).asked) == (24, 24)


@pytest.mark.parametrize("spec", [{"lifecycle": "Stopped"}, {"profile": "unknown"}])
def test_a_session_that_does_not_run_asks_for_nothing(spec: dict[str, Any]) -> None:
    found = SessionSpec.model_validate({"user": "alice", "workers": [B], **spec})
    assert wish_of(View(OWNER, found, SITE, {}, NOW)).asked == 0
