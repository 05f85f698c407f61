"""What HTCondor says of jobs is told, the worst first; counts are those of real workers."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from casita.api.conditions import ConditionType, Reason
from casita.clients.batch.jobs import JobState
from casita.clients.checking.request import CheckAnswer, CheckReason
from casita.config import RouteApi
from casita.sessions.batch_conditions import batch_counts, batch_verdict
from casita.sessions.checks import SCHEDD
from casita.sessions.conditions import status_of
from casita.sessions.findings import Findings, Verdict
from casita.sessions.plan import make_plan
from casita.sessions.pods import plan_pools
from casita.sessions.scaling import PoolPlan
from casita.sessions.view import Pause, QueueView, View
from tests.unit.sessions_batch import NOW, SECONDS, SITE, job, name, spec_of, view_of

IDLE, RUNNING, HELD = JobState.IDLE, JobState.RUNNING, JobState.HELD
NOTHING = Findings({})
LONG_AGO = SECONDS - 600


def step_of(view: View) -> PoolPlan:
    return plan_pools(view, list(view.children.values()))[0]


def verdict(view: View, findings: Findings = NOTHING) -> Verdict | None:
    return batch_verdict(view, step_of(view), findings)


def paused(reason: Reason, message: str, pool: str = "batch") -> dict[str, Pause]:
    return {pool: Pause(NOW + timedelta(seconds=5), 1, reason, message)}


@pytest.mark.parametrize(
    ("beside", "reason", "words"),
    [
        (
            {"jobs": [job(1), job(2, HELD, reason="disk full"), job(3, HELD)]},
            Reason.JOBS_HELD,
            "2 jobs are held, first 2.0: disk full",
        ),
        (
            {"jobs": [job(1, starts=1, reason="being evicted"), job(2)]},
            Reason.JOBS_EVICTED,
            "1 job is put back into the queue, first 1.0: being evicted",
        ),
        (
            {
                "queue": QueueView(
                    jobs=(job(1, RUNNING),), last=(job(1, RUNNING),), lost_at={"1.0": NOW}
                )
            },
            Reason.JOBS_LOST,
            "1 job runs for HTCondor, but not as a worker of this session, first 1.0",
        ),
        (
            {"jobs": [job(1, since=LONG_AGO), job(2)]},
            Reason.JOBS_WAIT,
            "1 job is without a machine for more than 600 s, first 1.0: HTCondor says nothing",
        ),
        (
            {"queue": QueueView(jobs=(), pauses=paused(Reason.SUBMIT_REFUSED, "no such group"))},
            Reason.SUBMIT_REFUSED,
            "no such group",
        ),
        (
            {
                "queue": QueueView(
                    jobs=None, trouble="no answer", outage=True, reason=Reason.SCHEDD_UNREACHABLE
                )
            },
            Reason.SCHEDD_UNREACHABLE,
            "no answer",
        ),
        ({"site": SITE.model_copy(update={"batch": None})}, Reason.NOT_CONFIGURED, "no HTCondor"),
        (
            {
                "site": SITE.model_copy(
                    update={"gateway": SITE.gateway.model_copy(update={"route_api": RouteApi.NONE})}
                )
            },
            Reason.NOT_CONFIGURED,
            "gateway.routeApi",
        ),
    ],
)
def test_what_keeps_a_pool_from_being_served_is_told(
    beside: dict[str, Any], reason: Reason, words: str
) -> None:
    found = verdict(view_of(spec=spec_of(3), **beside))
    assert found is not None
    assert (found.status, found.reason) == (False, reason)
    assert found.message.startswith("pool batch: ")
    assert words in found.message


def test_a_schedd_that_does_not_answer_the_operator_is_told_first() -> None:
    silent = CheckAnswer(CheckReason.UNREACHABLE, "no connection", 1.0)
    view = view_of([job(1, HELD, reason="x")], spec_of(1))
    found = verdict(view, Findings({}, answers={SCHEDD: silent}))
    assert found == Verdict(False, Reason.SCHEDD_UNREACHABLE, "pool batch: no connection")


@pytest.mark.parametrize(
    "view",
    [
        view_of([job(1), job(2, RUNNING)], spec_of(2)),
        view_of([], spec_of(0)),
        # The scheduler knows better than the queue did when it was asked.
        view_of([job(1, since=LONG_AGO, starts=1)], spec_of(1), registered=frozenset({name(1)})),
        # Nobody wants more than there are.
        view_of(
            spec=spec_of(0),
            queue=QueueView(jobs=(), pauses=paused(Reason.SUBMIT_REFUSED, "no such group")),
        ),
        # Of another run, on its way out.
        view_of([job(1, HELD, run="another")], spec_of(0)),
    ],
)
def test_nothing_is_told_while_all_goes_its_way(view: View) -> None:
    assert verdict(view) is None


def test_a_removal_that_is_refused_is_told_while_there_are_too_many() -> None:
    pauses = paused(Reason.SCHEDD_REFUSED, "permission denied", "")
    queue = QueueView(jobs=(job(1),), last=(job(1),), pauses=pauses)
    found = verdict(view_of(queue=queue, spec=spec_of(0)))
    assert found is not None
    assert "jobs cannot be removed: permission denied" in found.message
    assert verdict(view_of(queue=queue, spec=spec_of(1))) is None


def test_a_worker_is_ready_when_its_scheduler_can_reach_it() -> None:
    found = [job(1, RUNNING), job(2), job(3, RUNNING), job(4, JobState.LEAVING)]
    view = view_of(found, spec_of(3), registered=frozenset({name(1), name(2), name(4)}))
    assert batch_counts(view, step_of(view)) == (3, 2)


def test_after_a_restart_the_last_status_stands_until_more_is_known() -> None:
    told = {"batch": {"pool": "batch", "desired": 3, "requested": 3, "ready": 2}}
    unknown = view_of(None, spec_of(3), queue=QueueView(), told=told, reported=False)
    assert batch_counts(unknown, step_of(unknown)) == (3, 2)
    asked = view_of([job(1), job(2, RUNNING), job(3)], spec_of(3), told=told, reported=False)
    assert batch_counts(asked, step_of(asked)) == (3, 2)
    fewer = view_of([job(1)], spec_of(3), told=told, reported=False)
    assert batch_counts(fewer, step_of(fewer)) == (1, 1)
    reported = replace(asked, reported=True)
    assert batch_counts(reported, step_of(reported)) == (3, 0)
    never = replace(unknown, bound=False, queue=None)
    assert batch_counts(never, step_of(never)) == (0, 0)


def test_what_was_last_known_is_told_while_an_operation_is_under_way() -> None:
    view = view_of(spec=spec_of(5), queue=QueueView(jobs=None, busy=True, last=(job(1), job(2))))
    status = status_of(view, make_plan(view), NOTHING, 1, {})
    assert status["workers"] == [{"pool": "batch", "desired": 5, "requested": 2, "ready": 0}]
    found = {c["type"]: c for c in status["conditions"]}[ConditionType.WORKERS_READY]
    assert (found["status"], found["reason"]) == ("True", "Scaling")
