"""What a batch pool says of itself: the condition's verdict and the counts."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from casita.api.conditions import Reason
from casita.clients.batch.jobs import Job, JobState
from casita.config import RouteApi
from casita.sessions.batch_known import LOST_SECONDS
from casita.sessions.batch_plan import REMOVAL, is_waiting
from casita.sessions.check_reasons import SCHEDD_REASONS, told
from casita.sessions.checks import SCHEDD
from casita.sessions.findings import Findings, Verdict
from casita.sessions.scaling import PoolPlan
from casita.sessions.view import View

_SILENT: Final = "HTCondor says nothing of why"


def batch_verdict(view: View, step: PoolPlan, findings: Findings) -> Verdict | None:
    """Return what keeps a batch pool from being served, or `None` if nothing does.

    First what is true of the whole site, then of the session's jobs, the worst first.
    """
    found = _of_the_site(view, findings) or _of_the_jobs(view, step)
    if found is None:
        return None
    return Verdict(False, found[0], f"pool {step.pool.pool}: {found[1]}")


def batch_counts(view: View, step: PoolPlan) -> tuple[int, int]:
    """Return how many workers are asked of a batch pool, and how many the scheduler can reach.

    After a restart of the operator, what the last status said stands until more is known.
    """
    before = view.told.get(step.pool.pool, {})
    known = not view.bound or (view.queue is not None and view.queue.last is not None)
    requested = len(step.jobs) if known else int(before.get("requested", 0))
    if known and view.reported:
        return requested, sum(job.worker in view.registered for job in step.jobs)
    return requested, min(requested, int(before.get("ready", 0)))


def _of_the_site(view: View, findings: Findings) -> tuple[Reason, str] | None:
    if view.site.batch is None:
        return Reason.NOT_CONFIGURED, "this site has no HTCondor pool; take it out of spec.workers"
    if view.site.gateway.route_api is RouteApi.NONE:
        text = "jobs come in by the gateway, and this site routes nothing (gateway.routeApi)"
        return Reason.NOT_CONFIGURED, text
    status, reason, message = told(findings.answers.get(SCHEDD), SCHEDD_REASONS)
    if status is False:
        return reason, message
    if view.queue is not None and view.queue.trouble:
        return view.queue.reason, view.queue.trouble
    return None


def _of_the_jobs(view: View, step: PoolPlan) -> tuple[Reason, str] | None:
    held = [job for job in step.jobs if job.state is JobState.HELD]
    if held:
        return Reason.JOBS_HELD, _words(held, "held")
    pauses = view.queue.pauses if view.queue else {}
    pause = pauses.get(step.pool.pool)
    if pause is not None and step.desired > batch_counts(view, step)[1]:
        return pause.reason, pause.message
    removal = pauses.get(REMOVAL)
    if removal is not None and len(step.jobs) > step.kept:
        return removal.reason, f"jobs cannot be removed: {removal.message}"
    waiting = [job for job in step.jobs if is_waiting(view, job)]
    evicted = [job for job in waiting if job.starts]
    if evicted:
        return Reason.JOBS_EVICTED, _words(evicted, "put back into the queue")
    batch = view.site.batch
    patience = batch.workers.long_idle_seconds if batch else 0
    lost = [job for job in step.jobs if _is_lost(view, job)]
    if lost:
        return Reason.JOBS_LOST, _without_worker(lost)
    late = [job for job in waiting if view.now.timestamp() - job.since >= patience]
    if late:
        return Reason.JOBS_WAIT, _words(late, f"without a machine for more than {patience} s")
    return None


def _is_lost(view: View, job: Job) -> bool:
    """A worker that ends leaves its scheduler a moment before its job leaves the queue."""
    lost_at = view.queue.lost_at.get(job.id) if view.queue else None
    return lost_at is not None and view.now >= lost_at - timedelta(seconds=LOST_SECONDS / 2)


def _without_worker(jobs: Sequence[Job]) -> str:
    count = "1 job runs" if len(jobs) == 1 else f"{len(jobs)} jobs run"
    return (
        f"{count} for HTCondor, but not as a worker of this session, first {jobs[0].id}: the "
        "machine may be gone; it is replaced within minutes"
    )


def _words(jobs: Sequence[Job], what: str) -> str:
    count = "1 job is" if len(jobs) == 1 else f"{len(jobs)} jobs are"
    return f"{count} {what}, first {jobs[0].id}: {jobs[0].reason or _SILENT}"
