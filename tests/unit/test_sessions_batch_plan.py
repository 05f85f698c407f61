"""Jobs: as many as are wanted are asked for, what costs least goes first, nothing on a guess."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from casita.api.conditions import Reason
from casita.api.session import SessionSpec
from casita.clients.batch.jobs import Job, JobState
from casita.config import RouteApi, Site
from casita.sessions.batch_plan import (
    LET_GO,
    MOST_AT_ONCE,
    BatchPlan,
    plan_end,
    plan_withdrawal,
)
from casita.sessions.demand import Demand
from casita.sessions.plan import make_plan
from casita.sessions.view import Pause, QueueView, View
from tests.unit.sessions_batch import (
    NOW,
    OWNER,
    POOLS,
    RUN,
    SECONDS,
    SITE,
    job,
    name,
    plan_of,
    running_children,
    spec_of,
    view_of,
)

IDLE, RUNNING, HELD = JobState.IDLE, JobState.RUNNING, JobState.HELD
SPOOLING, LEAVING = JobState.SPOOLING, JobState.LEAVING


def submitted(plan: BatchPlan) -> dict[str, int]:
    return {order.pool.pool: order.count for order in plan.submit}


def test_what_is_missing_is_asked_for_in_one_submission_of_each_pool() -> None:
    pools = [*POOLS, {**POOLS[0], "pool": "other", "min": 2}]
    plan = plan_of(view_of([job(1), job(2, RUNNING)], spec_of(7, pools)))
    assert submitted(plan) == {"batch": 3, "other": 2}
    assert plan.remove == ()
    assert plan.run == RUN


def test_leaving_jobs_do_not_count_and_are_not_told_twice() -> None:
    plan = plan_of(view_of([job(1, LEAVING), job(2)], spec_of(2)))
    assert submitted(plan) == {"batch": 1}
    assert plan.remove == ()


def test_a_large_number_is_asked_for_in_parts() -> None:
    pools = [{**POOLS[0], "max": 1000}]
    site = Site.model_validate(
        {
            **SITE.model_dump(),
            "profiles": [{"name": "default", "image": "x", "limits": {"workers": 1000}}],
        }
    )
    assert submitted(plan_of(view_of([], spec_of(1000, pools), site=site))) == {
        "batch": MOST_AT_ONCE
    }


@pytest.mark.parametrize(
    "beside",
    [
        {"queue": QueueView()},
        {"queue": QueueView(jobs=None, last=(job(1),))},
        {"queue": QueueView(jobs=(), busy=True)},
        {"queue": QueueView(trouble="no answer", outage=True)},
        {"children": running_children(ready=False)},
        {"children": {}},
        {
            "queue": QueueView(
                jobs=(),
                pauses={"batch": Pause(NOW + timedelta(seconds=1), 1, Reason.SUBMIT_REFUSED, "no")},
            )
        },
    ],
)
def test_nothing_is_asked_for_on_a_guess_or_in_vain(beside: dict[str, Any]) -> None:
    plan = plan_of(view_of(spec=spec_of(3), **beside))
    assert (plan.submit, plan.remove) == ((), ())
    assert plan.watch


def test_a_pause_that_is_over_holds_nothing_back_and_one_that_is_not_says_when_to_look() -> None:
    until = NOW + timedelta(seconds=9)
    pauses = {"batch": Pause(until, 2, Reason.SUBMIT_REFUSED, "no")}
    view = view_of(spec=spec_of(3), queue=QueueView(jobs=(), pauses=pauses))
    assert plan_of(view).due == until
    assert submitted(plan_of(replace(view, now=until))) == {"batch": 3}


def test_jobs_of_another_run_or_of_no_pool_are_removed_always() -> None:
    found = [job(1, RUNNING, run="another"), job(2, pool="gone"), job(3, RUNNING)]
    assert plan_of(view_of(found, spec_of(1))).remove == ("1.0", "2.0")


@pytest.mark.parametrize(("state", "seconds"), [(HELD, 600), (SPOOLING, 600)])
def test_stuck_jobs_are_replaced_after_ten_minutes(state: JobState, seconds: int) -> None:
    stuck = [job(1, state, since=SECONDS - seconds), job(2, state, since=SECONDS - seconds + 1)]
    plan = plan_of(view_of(stuck, spec_of(2)))
    assert plan.remove == ("1.0",)
    assert submitted(plan) == {"batch": 1}


def test_what_costs_least_goes_first() -> None:
    found = [
        job(1, RUNNING),
        job(2, RUNNING),
        job(3, RUNNING),  # no worker yet
        job(4, IDLE),
        job(5, IDLE),
        job(6, SPOOLING),
        job(7, HELD),
    ]
    registered = frozenset({name(1), name(2)})
    demand = Demand(workers=0, retire=(name(2), name(1)))
    order = ["7.0", "6.0", "5.0", "4.0", "3.0", "2.0", "1.0"]
    for wanted in range(8):
        view = view_of(found, spec_of(wanted), registered=registered, demand=demand)
        assert list(plan_of(view).remove) == order[: 7 - wanted]


def test_workers_that_are_busy_stay_while_the_work_decides() -> None:
    spec = SessionSpec.model_validate({"user": "alice", "workers": list(POOLS)})
    found = [job(1, RUNNING), job(2, RUNNING), job(3)]
    workers = frozenset({name(1), name(2)})
    demand = Demand(cores=0, busy=(name(1),), retire=(name(2), name(1)))
    view = view_of(found, spec, registered=workers, demand=demand)
    assert plan_of(view).remove == ("3.0", "2.0")


def test_what_runs_is_left_alone_until_the_scheduler_has_told_of_its_workers() -> None:
    view = view_of([job(1, RUNNING), job(2)], spec_of(0), reported=False)
    assert plan_of(view).remove == ("2.0",)


@pytest.mark.parametrize(
    ("found", "registered", "steady"),
    [
        ([job(1, RUNNING), job(2, IDLE)], {1, 2}, True),
        ([job(1, RUNNING), job(2, RUNNING)], {1}, False),
        ([job(1, RUNNING), job(2, HELD)], {1}, False),
        ([job(1, RUNNING)], {1}, False),
        ([job(1, RUNNING), job(2, RUNNING), job(3, LEAVING)], {1, 2}, False),
    ],
)
def test_all_is_steady_when_every_job_is_a_worker(
    found: list[Job], registered: set[int], steady: bool
) -> None:
    names = frozenset(name(number) for number in registered)
    assert plan_of(view_of(found, spec_of(2), registered=names)).steady is steady


@pytest.mark.parametrize(
    "view",
    [
        view_of(None, spec_of(0), bound=False),
        view_of(None, spec_of(5), bound=False, queue=None),
        view_of(None, SessionSpec(user="alice"), bound=False),
        view_of(
            None,
            spec_of(5),
            bound=False,
            site=SITE.model_copy(
                update={"gateway": SITE.gateway.model_copy(update={"route_api": RouteApi.NONE})}
            ),
        ),
    ],
)
def test_the_batch_system_is_not_asked_for_who_has_no_jobs_and_wants_none(view: View) -> None:
    assert plan_of(view) == BatchPlan()


def test_who_wants_a_first_job_asks_what_is_there() -> None:
    plan = plan_of(view_of(None, spec_of(1), bound=False))
    assert plan.watch
    assert plan.submit == ()


@pytest.mark.parametrize(
    "change",
    [{"lifecycle": "Stopped"}, {"profile": "unknown"}],
)
def test_a_session_that_does_not_run_loses_its_jobs_and_then_its_finalizer(
    change: dict[str, Any],
) -> None:
    spec = SessionSpec.model_validate(
        {**spec_of(2).model_dump(by_alias=True, exclude_none=True), **change}
    )
    plan = make_plan(view_of([job(1, RUNNING), job(2)], spec)).batch
    assert (plan.remove, plan.release, plan.watch) == (("1.0", "2.0"), False, True)
    waiting = make_plan(view_of([job(1, LEAVING)], spec)).batch
    assert (waiting.remove, waiting.release, waiting.watch) == ((), False, True)
    assert make_plan(view_of([], spec)).batch.release
    assert not make_plan(view_of(None, spec)).batch.release
    assert make_plan(view_of([], spec, bound=False)).batch == BatchPlan()


def test_a_session_that_is_not_in_use_stops_and_its_jobs_with_it() -> None:
    spec = spec_of(2).model_copy(update={"idle_timeout_seconds": 600})
    idle = view_of([job(1, RUNNING)], spec, idle_since=NOW)
    end = NOW + timedelta(seconds=600)
    assert make_plan(idle).stopped is None
    assert make_plan(replace(idle, now=end)).stopped is Reason.IDLE_STOPPED
    assert make_plan(replace(idle, now=end)).batch.remove == ("1.0",)
    assert make_plan(replace(idle, now=end, idle_since=None)).stopped is None


def test_another_run_ends_jobs_and_keeps_the_finalizer() -> None:
    spec = spec_of(2).model_copy(update={"run_id": "2"})
    plan = make_plan(view_of([job(1, RUNNING)], spec)).batch
    assert (plan.remove, plan.release) == (("1.0",), False)


def test_a_removal_that_was_refused_waits() -> None:
    pause = {"": Pause(NOW + timedelta(seconds=5), 1, Reason.SCHEDD_REFUSED, "no")}
    queue = QueueView(jobs=(job(1),), pauses=pause)
    plan = plan_withdrawal(view_of(queue=queue), ends=True)
    assert plan.remove == ()
    assert plan.due == NOW + timedelta(seconds=5)
    assert plan_of(view_of(queue=queue, spec=spec_of(0))).remove == ()


def test_what_cannot_be_removed_is_not_replaced() -> None:
    pause = {"": Pause(NOW + timedelta(seconds=5), 1, Reason.SCHEDD_REFUSED, "no")}
    stuck = job(1, HELD, since=SECONDS - 600)
    view = view_of(queue=QueueView(jobs=(stuck,), pauses=pause), spec=spec_of(1))
    assert (plan_of(view).remove, plan_of(view).submit) == ((), ())
    later = plan_of(replace(view, now=NOW + timedelta(seconds=5)))
    assert (later.remove, submitted(later)) == (("1.0",), {"batch": 1})


# -- deletion -----------------------------------------------------------------------------------

DRAIN = 60


def ended(queue: QueueView | None, seconds: float = 1) -> BatchPlan:
    return plan_end(queue, NOW, NOW + timedelta(seconds=seconds), DRAIN)


def test_a_deletion_waits_until_it_is_known_that_no_job_is_left() -> None:
    assert not ended(QueueView()).release
    assert not ended(QueueView(jobs=(), busy=True)).release
    found = ended(QueueView(jobs=(job(1), job(2, RUNNING), job(3, LEAVING))))
    assert (found.remove, found.release) == (("1.0", "2.0"), False)
    assert ended(QueueView(jobs=())) == BatchPlan(release=True)


def test_jobs_that_are_known_to_leave_are_waited_for_as_long_as_they_may_drain() -> None:
    queue = QueueView(jobs=(job(1, LEAVING),))
    assert not ended(queue, DRAIN - 1).release
    assert ended(queue, DRAIN) == BatchPlan(release=True)


def test_a_batch_system_that_does_not_answer_holds_a_deletion_up_for_an_hour() -> None:
    queue = QueueView(last=(job(1), job(2, LEAVING)), trouble="no answer", outage=True)
    hour = LET_GO.total_seconds()
    assert not ended(queue, hour - 1).release
    assert ended(queue, hour - 1).due == NOW + LET_GO
    given_up = ended(queue, hour)
    assert given_up.release
    assert given_up.left == "1 jobs, first 1.0: no answer"
    assert ended(replace(queue, busy=True), hour).release  # it hangs


def test_a_site_that_has_no_batch_system_any_more_lets_go_and_says_so() -> None:
    found = ended(None)
    assert found.release
    assert "no batch system" in found.left


def test_names_of_jobs_are_those_of_their_workers() -> None:
    assert job(7).worker == f"{OWNER.slug}-batch-7-0"
