"""How many workers a session's work is given, and which go first."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as some

from casita.dask.load import Kind, Load, Window, useful_cores
from casita.dask.standing import Standing, busy, retire_order

TARGET = 30.0
HOUR = 3600.0

kinds = some.builds(
    Kind,
    tasks=some.integers(0, 10_000),
    running=some.lists(some.floats(0, 2 * HOUR), max_size=8).map(tuple),
    completed=some.integers(0, 10_000),
    known=some.none() | some.floats(0.001, 2 * HOUR),
)


def cores(*work: Kind, **more: int) -> int:
    return useful_cores(Load(kinds=work, **more), TARGET)


@given(some.lists(kinds, max_size=6))
def test_there_are_never_more_cores_than_tasks_and_never_none_for_work(work: list[Kind]) -> None:
    tasks = sum(kind.tasks for kind in work)
    assert (1 if tasks else 0) <= cores(*work) <= tasks


@given(kinds, some.integers(1, 1000))
def test_more_tasks_are_never_given_fewer_cores(kind: Kind, more: int) -> None:
    added = Kind(kind.tasks + more, kind.running, kind.completed, kind.known)
    assert cores(added) >= cores(kind)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Kind(tasks=600, known=1.0, completed=50), 20),
        (Kind(tasks=600, known=10.0, completed=50), 200),
        (Kind(tasks=600, known=HOUR, completed=50), 600),
        (Kind(tasks=600), 10),  # Dask's half a second each, until one has run for longer
        (Kind(tasks=600, default=60.0), 600),
        (Kind(tasks=0, known=HOUR), 0),
    ],
)
def test_work_is_given_what_does_it_in_the_target_time(kind: Kind, expected: int) -> None:
    assert cores(kind) == expected


def test_one_long_task_does_not_bring_workers_for_short_ones() -> None:
    assert cores(Kind(tasks=1, known=HOUR), Kind(tasks=100, known=0.1)) == 2


def test_hour_long_tasks_have_all_they_can_use_long_before_one_has_ended() -> None:
    """What stock Dask is criticised for: with no task ended it would hold each for a short one."""
    wanted = [
        cores(Kind(tasks=100, running=(float(elapsed),) * 4)) for elapsed in (0, 1, 3, 10, 15)
    ]
    assert wanted == sorted(wanted)
    assert wanted[0] == math.ceil(100 * 0.5 / TARGET)
    assert wanted[-1] == 100


def test_a_straggler_among_many_ended_tasks_brings_no_crowd() -> None:
    calm = cores(Kind(tasks=300, completed=2000, known=1.0, running=(0.5,) * 10))
    excited = cores(Kind(tasks=300, completed=2000, known=1.0, running=(0.5,) * 9 + (600.0,)))
    assert calm == 10
    assert excited <= 2 * calm


def test_a_wrong_hint_is_overruled_by_tasks_that_run_on() -> None:
    hinted = Kind(tasks=100, known=1.0, running=(0.1,) * 10)
    assert cores(hinted) == 4
    assert cores(Kind(tasks=100, known=1.0, running=(100.0,) * 10)) == 100


def test_results_keep_the_memory_that_they_need() -> None:
    full = Load(cores=10, data_bytes=30 * 2**30, memory_bytes=100 * 2**30)
    assert useful_cores(full, TARGET) == 5
    assert useful_cores(Load(cores=10, data_bytes=1, memory_bytes=100 * 2**30), TARGET) == 1
    assert useful_cores(Load(cores=10, data_bytes=1), TARGET) == 1, "workers without a limit"
    assert useful_cores(Load(cores=10), TARGET) == 0


def test_full_workers_bring_more_only_where_there_is_work() -> None:
    data = {"cores": 10, "data_bytes": 90 * 2**30, "memory_bytes": 100 * 2**30}
    assert cores(**data) == 10
    assert cores(Kind(tasks=12, known=0.1), **data) == 12
    assert cores(Kind(tasks=1000, known=0.1), **data) == 15


def test_more_is_wanted_at_once_and_less_after_the_window() -> None:
    window = Window(60)
    seen = [
        window.push(now, wanted)
        for now, wanted in [(0, 5), (1, 20), (2, 3), (30, 8), (61, 3), (62, 3), (91, 3), (152, 0)]
    ]
    assert seen == [5, 20, 20, 20, 20, 8, 3, 0]
    assert window.settled


def test_a_short_gap_between_two_computations_costs_no_worker() -> None:
    window = Window(60)
    assert window.push(0, 100) == 100
    assert not window.push(1, 0) < 100
    assert not window.settled
    assert window.push(50, 100) == 100


def test_those_go_first_with_whom_least_is_lost() -> None:
    workers = [
        Standing("hour", tasks=1, engaged=True),
        Standing("short", tasks=3),
        Standing("data", data_bytes=2**30),
        Standing("idle"),
        Standing("going", leaving=True),
        Standing("crumbs", data_bytes=100),
    ]
    assert retire_order(workers) == ("idle", "crumbs", "data", "short", "hour")
    assert busy(workers) == ("hour",)
