"""What is to be done about a session's jobs, from what is wanted and what is in the queue.

Pure. Nothing is asked for while it is not known what is there: so no job is asked for twice, and
none is forgotten. A session that may have jobs has a finalizer, and one that has none had no jobs
ever: only then is the batch system not asked.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from casita.api.session import Backend, WorkerPool
from casita.clients.batch.jobs import Job, JobState
from casita.config import RouteApi
from casita.manifests.pods import scheduler_name
from casita.manifests.resources import POD
from casita.sessions.desired import belongs
from casita.sessions.scaling import PoolPlan, leaving_order
from casita.sessions.view import QueueView, View

HELD_SECONDS: Final = 600
"""A held job is told of for so long; then it is removed, and another one asked for."""

SPOOLING_SECONDS: Final = 600
"""Files arrive within seconds, or whoever sent them has died."""

MOST_AT_ONCE: Final = 200
"""Jobs of one submission: it is all or none, and must end in time."""

LET_GO: Final = timedelta(hours=1)
"""So long a deletion waits for a batch system that does not answer."""

REMOVAL: Final = ""
"""Name of the pause of removals, for want of a pool."""

_LEAST_LOST: Final = {
    JobState.HELD: 0,
    JobState.SPOOLING: 1,
    JobState.IDLE: 2,
    JobState.RUNNING: 3,
}


@dataclass(frozen=True, slots=True)
class Submission:
    """So many more jobs for one pool."""

    pool: WorkerPool
    count: int


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """What to do about a session's jobs.

    Attributes:
        watch: the session may have jobs, or is to have some: what is in the queue must be known.
        remove: ids of jobs to tell to end.
        submit: jobs to ask for.
        release: there are no jobs and none are to come: nothing holds up a deletion any more.
        steady: nothing is expected to change by itself.
        registered: workers of batch pools that the scheduler has, by name.
        reported: the scheduler of this run has told of its workers.
        run: fingerprint of the authority that submitted jobs belong to.
        due: when to plan again.
        left: what is given up, in words, if something is.
    """

    watch: bool = False
    remove: tuple[str, ...] = ()
    submit: tuple[Submission, ...] = ()
    release: bool = False
    steady: bool = False
    registered: frozenset[str] = frozenset()
    reported: bool = False
    run: str = ""
    due: datetime | None = None
    left: str = ""


def plan_batch(view: View, steps: Sequence[PoolPlan], run: str) -> BatchPlan:
    """Decide about the jobs of a running session, whose authority has the fingerprint `run`."""
    batch = [step for step in steps if step.pool.backend is Backend.HTCONDOR]
    queue = view.queue
    wanted = any(step.desired for step in batch) and servable(view)
    if queue is None or not (wanted or view.bound or queue.busy):
        return BatchPlan()
    names = _workers(view, batch)
    if queue.jobs is None or queue.busy:
        return BatchPlan(watch=True, registered=names, reported=view.reported)
    pools = {step.pool.pool for step in batch}
    staying = [job for job in queue.jobs if job.state is not JobState.LEAVING]
    remove = [job for job in staying if job.run != run or job.pool not in pools]
    submit: list[Submission] = []
    waits = _removal_waits(queue, view.now)  # nothing is replaced that cannot be removed
    for step in batch:
        mine = [job for job in staying if job.run == run and job.pool == step.pool.pool]
        kept = [job for job in mine if waits or not _of_no_use(job, queue, view.now)]
        remove += [job for job in mine if job not in kept]
        remove += _surplus(view, kept, len(kept) - step.kept)
        missing = min(step.desired - len(kept), MOST_AT_ONCE)
        if missing > 0 and servable(view) and _may_submit(view, queue, step.pool.pool):
            submit.append(Submission(step.pool, missing))
    times = [*(pause.until for pause in queue.pauses.values()), *queue.lost_at.values()]
    return BatchPlan(
        watch=True,
        remove=() if waits else tuple(job.id for job in remove),
        submit=tuple(submit),
        steady=_steady(view, queue.jobs, batch),
        registered=names,
        reported=view.reported,
        run=run,
        due=min((moment for moment in times if moment > view.now), default=None),
    )


def plan_withdrawal(view: View, *, ends: bool) -> BatchPlan:
    """Decide about the jobs of a session that may have none now; `ends` if that is to stay so."""
    queue = view.queue
    if queue is None or not (view.bound or queue.busy):
        return BatchPlan()
    if queue.jobs is None or queue.busy:
        return BatchPlan(watch=True)
    return BatchPlan(
        watch=True,
        remove=() if _removal_waits(queue, view.now) else tuple(job.id for job in _staying(queue)),
        release=ends and view.bound and not queue.jobs,
        due=min((p.until for p in queue.pauses.values() if p.until > view.now), default=None),
    )


def plan_end(
    queue: QueueView | None, deleted_at: datetime, now: datetime, drain_seconds: int
) -> BatchPlan:
    """Decide about the jobs of a session that is being deleted and waits for their end.

    Jobs that the batch system has noted to be leaving need nobody any more; they are waited for as
    long as they may drain.
    """
    if queue is None:
        return BatchPlan(release=True, left="any jobs: this site has no batch system any more")
    if queue.jobs is not None and not queue.busy:
        staying = _staying(queue)
        drained = now >= deleted_at + timedelta(seconds=drain_seconds)
        if not queue.jobs or (drained and not staying):
            return BatchPlan(release=True)
    else:
        staying = []
    end = deleted_at + LET_GO
    if now >= end:
        return BatchPlan(release=True, left=_left(queue))
    if _removal_waits(queue, now):
        return BatchPlan(watch=True, due=min(end, queue.pauses[REMOVAL].until))
    return BatchPlan(watch=True, remove=tuple(job.id for job in staying), due=end)


def servable(view: View) -> bool:
    """Say whether this site can give a session jobs: they come in by the gateway."""
    return view.site.batch is not None and view.site.gateway.route_api is not RouteApi.NONE


def current_jobs(view: View, pool: str, run: str) -> tuple[Job, ...]:
    """Return the jobs of a pool that are not leaving, as last known."""
    known = (view.queue.last if view.queue else None) or ()
    return tuple(
        job
        for job in known
        if job.pool == pool and job.run == run and job.state is not JobState.LEAVING
    )


def is_waiting(view: View, job: Job) -> bool:
    """Say whether a job has no machine; the scheduler may know better than the last answer."""
    return job.state is JobState.IDLE and job.worker not in view.registered


def _of_no_use(job: Job, queue: QueueView, now: datetime) -> bool:
    """Say whether a job will not become a worker, or is none any more."""
    lost = queue.lost_at.get(job.id)
    return _stuck(job, now) or (lost is not None and lost <= now)


def _stuck(job: Job, now: datetime) -> bool:
    patience = {JobState.HELD: HELD_SECONDS, JobState.SPOOLING: SPOOLING_SECONDS}.get(job.state)
    return patience is not None and now.timestamp() - job.since >= patience


def _surplus(view: View, jobs: Sequence[Job], count: int) -> list[Job]:
    """Choose jobs to remove: what waits first, the youngest of it; then as the scheduler says.

    A job that runs is no worker for a second or two, and after a restart of the operator no worker
    is known until the scheduler has told: then it is left alone.
    """
    if count <= 0:
        return []
    absent = [
        job
        for job in jobs
        if job.worker not in view.registered
        and (view.reported or job.state is not JobState.RUNNING)
    ]
    absent.sort(key=lambda job: (_LEAST_LOST[job.state], -job.queued_at, job.id))
    present = {job.worker: job for job in jobs if job.worker in view.registered}
    order = leaving_order(present, view.registered, view.demand)
    return [*absent, *(present[name] for name in order)][:count]


def _workers(view: View, batch: Iterable[PoolPlan]) -> frozenset[str]:
    pools, slug = [step.pool for step in batch], view.owner.slug
    return frozenset(
        name for name in view.registered if any(belongs(slug, pool, name) for pool in pools)
    )


def _may_submit(view: View, queue: QueueView, pool: str) -> bool:
    """A job that meets no scheduler gives up within a minute, and another would be asked for."""
    scheduler = view.children.get((POD.kind, scheduler_name(view.owner)))
    if scheduler is None or scheduler.deleting or not (scheduler.pod and scheduler.pod.ready):
        return False
    pause = queue.pauses.get(pool)
    return pause is None or pause.until <= view.now


def _removal_waits(queue: QueueView, now: datetime) -> bool:
    pause = queue.pauses.get(REMOVAL)
    return pause is not None and pause.until > now


def _staying(queue: QueueView) -> list[Job]:
    return [job for job in queue.jobs or () if job.state is not JobState.LEAVING]


def _steady(view: View, jobs: Iterable[Job], batch: Iterable[PoolPlan]) -> bool:
    found = list(jobs)
    return len(found) == sum(step.desired for step in batch) and all(
        job.state in (JobState.IDLE, JobState.RUNNING) and job.worker in view.registered
        for job in found
    )


def _left(queue: QueueView) -> str:
    staying = [job.id for job in queue.last or () if job.state is not JobState.LEAVING]
    what = f"{len(staying)} jobs, first {staying[0]}" if staying else "any jobs"
    return f"{what}: {queue.trouble or 'the batch system has not answered'}"
