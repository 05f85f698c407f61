"""How many workers each pool should have: what is asked for, within what is allowed.

Pure, and to be read as the specification; ``docs/admin/quotas.md`` tells it to admins.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from casita.api.names import WORKER
from casita.api.session import Backend, Lifecycle, ScalingMode, SessionSpec, WorkerPool
from casita.clients.batch.jobs import JobState
from casita.manifests.resources import POD
from casita.sessions.demand import Demand
from casita.sessions.refusal import pools_of, refuse
from casita.sessions.shares import Wish
from casita.sessions.view import View

Counts = Mapping[str, int]
"""Workers by pool."""

_NUMBERS: Final = {Backend.KUBERNETES: 1, Backend.HTCONDOR: 2}
"""How many numbers end a worker's name: an index, or cluster and process."""


@dataclass(frozen=True, slots=True)
class Desired:
    """What is wanted of a session's pools.

    Attributes:
        workers: wanted of each pool, within all limits; no more than this is started.
        kept: no less than this is left of each pool, within all limits: more than wanted while
            workers are busy.
        asked: wanted in total, before limits of profile and quota.
        within_profile: the same, within the profile's limit alone.
        asked_cores: what `kept` takes within the profile's limit: what a quota is asked for.
    """

    workers: Counts
    kept: Counts
    asked: int
    within_profile: int
    asked_cores: int


def desired_workers(view: View, pools: Sequence[WorkerPool], limit: int) -> Desired:
    """Decide how many workers each pool should have.

    Manual: `spec.replicas`. Adaptive: what the session's work or its user asks for, by its
    scheduler; before it has told, as many as the last status says. Each pool has its minimum
    first, then pools fill in list order. `limit`, in workers, and `view.allowed_cores` bind
    minimums too, and take from the last pools first.

    Where the work at hand decides, workers that are busy stay until they are not, unless a limit
    forces them out.
    """
    asked = _asked(view, pools)
    busy = _busy(view, pools)
    kept = {pool.pool: max(asked[pool.pool], busy[pool.pool]) for pool in pools}
    allowed = view.allowed_cores
    staying = _within(pools, kept, busy, limit, allowed)
    fitting = _within(pools, asked, {}, limit, allowed)
    # What busy workers hold of a limit is not given to others yet.
    workers = {name: min(fitting[name], staying[name]) for name in fitting}
    return Desired(
        workers=workers,
        kept=staying,
        asked=sum(asked.values()),
        within_profile=sum(_within(pools, asked, {}, limit, None).values()),
        asked_cores=_cores(pools, _within(pools, kept, busy, limit, None)),
    )


def _asked(view: View, pools: Sequence[WorkerPool]) -> dict[str, int]:
    """Return what is asked for, within each pool's minimum and maximum."""
    least = {pool.pool: pool.min for pool in pools}
    if view.spec.scaling.mode is ScalingMode.MANUAL:
        return _filled(pools, least, view.spec.replicas)
    demand = view.demand
    if demand is None:
        return {p.pool: min(p.max, max(p.min, view.before.get(p.pool, 0))) for p in pools}
    if demand.pools is not None:
        return {p.pool: min(p.max, max(p.min, demand.pools.get(p.pool, 0))) for p in pools}
    if demand.workers is not None:
        return _filled(pools, least, demand.workers)
    found = _filled(pools, _for_cores(view, pools, demand.cores or 0), demand.minimum)
    if demand.maximum is None:
        return found
    return _within(pools, found, {}, max(demand.maximum, sum(least.values())), None)


def _for_cores(view: View, pools: Sequence[WorkerPool], cores: int) -> dict[str, int]:
    profile = view.site.profile(view.spec.profile)
    left = cores - (profile.instant_worker.cores if profile else 0)
    left -= sum(pool.min * pool.cores for pool in pools)
    found = {}
    for pool in pools:
        more = min(pool.max - pool.min, -(-max(0, left) // pool.cores))
        found[pool.pool] = pool.min + more
        left -= more * pool.cores
    return found


def _filled(pools: Sequence[WorkerPool], counts: Counts, total: int) -> dict[str, int]:
    """Fill pools in list order up to a total."""
    left = total - sum(counts.values())
    found = {}
    for pool in pools:
        more = max(0, min(pool.max - counts[pool.pool], left))
        found[pool.pool] = counts[pool.pool] + more
        left -= more
    return found


def _within(
    pools: Sequence[WorkerPool], counts: Counts, busy: Counts, limit: int, cores: int | None
) -> dict[str, int]:
    """Return what of `counts` fits: minimums first, then busy workers, then the rest, in order."""
    found = {pool.pool: 0 for pool in pools}
    for stage in ({pool.pool: pool.min for pool in pools}, busy, counts):
        for pool in pools:
            name = pool.pool
            more = min(stage.get(name, 0), counts[name]) - found[name]
            more = min(more, limit)
            if cores is not None:
                more = min(more, cores // pool.cores)
            if more <= 0:
                continue
            found[name] += more
            limit -= more
            cores = None if cores is None else cores - more * pool.cores
    return found


def _busy(view: View, pools: Sequence[WorkerPool]) -> dict[str, int]:
    """Count the busy workers of each pool, as far as that keeps any of them."""
    names: Sequence[str] = ()
    if view.spec.scaling.mode is ScalingMode.ADAPTIVE and _by_work(view.demand):
        names = view.demand.busy if view.demand else ()
    found = {}
    for pool in pools:
        count = sum(belongs(view.owner.slug, pool, name) for name in set(names))
        found[pool.pool] = min(pool.max, count)
    return found


def _by_work(demand: Demand | None) -> bool:
    return demand is not None and demand.cores is not None


def belongs(slug: str, pool: WorkerPool, name: str) -> bool:
    """Say whether a worker of this name is of the pool."""
    prefix = f"{slug}-{pool.pool}-"
    numbers = name.removeprefix(prefix).split("-")
    return (
        name.startswith(prefix)
        and len(numbers) == _NUMBERS[pool.backend]
        and all(n.isascii() and n.isdecimal() and len(n) <= 10 for n in numbers)
    )


def before_of(spec: SessionSpec, status: Mapping[str, Any]) -> dict[str, int]:
    """Return the workers wanted of each pool by the last status of this run."""
    if status.get("runId") != spec.run_id:
        return {}
    return {entry["pool"]: entry["desired"] for entry in status.get("workers") or ()}


def wish_of(view: View) -> Wish:
    """Return what a session asks of its quotas, and what its workers have.

    While its jobs are not known, a batch pool is taken to have what the last status wanted of it.
    """
    profile = view.site.profile(view.spec.profile)
    pools = pools_of(view.spec, profile) if profile else ()
    held = leaving = 0
    for pool in pools:
        staying, going = _present(view, pool)
        held += pool.cores * staying
        leaving += pool.cores * going
    stopped = view.stopped or view.spec.lifecycle is Lifecycle.STOPPED
    if profile is None or stopped or refuse(view.spec, view.site):
        return Wish(0, held, leaving)
    asked = desired_workers(view, pools, profile.limits.workers).asked_cores
    return Wish(asked, held, leaving)


def _present(view: View, pool: WorkerPool) -> tuple[int, int]:
    """Count a pool's workers, and those of them that are on their way out."""
    if pool.backend is Backend.KUBERNETES:
        pods = [
            child.deleting
            for child in view.children.values()
            if child.resource is POD
            and child.component == WORKER
            and not (child.pod and child.pod.ended)
            and belongs(view.owner.slug, pool, child.name)
        ]
        return pods.count(False), pods.count(True)
    if view.queue is None:
        return 0, 0
    if view.queue.jobs is None:
        return view.before.get(pool.pool, 0), 0
    going = [job.state is JobState.LEAVING for job in view.queue.jobs if job.pool == pool.pool]
    return going.count(False), going.count(True)


def _cores(pools: Sequence[WorkerPool], counts: Counts) -> int:
    return sum(pool.cores * counts[pool.pool] for pool in pools)
