"""Which pods of a pool come and go for the number of workers that is wanted."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from casita.api.session import Backend, WorkerPool
from casita.clients.batch.jobs import Job
from casita.sessions.demand import Demand
from casita.sessions.desired import Desired
from casita.sessions.observed import Child, parse_time
from casita.sessions.view import View

_FIRST_PAUSE_SECONDS: Final = 2.0
_LONGEST_PAUSE_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """One pool's step: what is wanted, what is there, what to do.

    Attributes:
        desired: workers wanted, within all limits.
        kept: no less than this is left: more than wanted while workers are busy.
        live: pods that are neither ended nor on their way out.
        starting: indices of pods to create.
        draining: live pods to retire; each finishes its tasks first.
        ended: pods that ended by themselves, to be cleared away.
        cleared_at: when the ended pods that must wait may be cleared, if any waits.
        jobs: of a pool that is on a batch system, those that are not leaving.
    """

    pool: WorkerPool
    desired: int
    kept: int
    live: tuple[Child, ...] = ()
    starting: tuple[int, ...] = ()
    draining: tuple[Child, ...] = ()
    ended: tuple[Child, ...] = ()
    waiting: tuple[Child, ...] = ()
    cleared_at: datetime | None = None
    jobs: tuple[Job, ...] = ()

    @property
    def held_back(self) -> bool:
        """Whether workers are left only until they are not busy any more: look again soon."""
        return max(len(self.live), len(self.jobs)) > self.desired < self.kept


def plan_pool(view: View, pool: WorkerPool, desired: Desired, workers: Sequence[Child]) -> PoolPlan:
    """Decide one Kubernetes pool's step.

    `workers` are its pods, whatever their state, of this session's present authority.

    A pool's ended pods since the last one that became ready are counted in `view.failures`; each
    doubles the pause before the ended pod's place is taken again.
    """
    wanted, kept = desired.workers[pool.pool], desired.kept[pool.pool]
    if pool.backend is not Backend.KUBERNETES:
        return PoolPlan(pool, wanted, kept)
    failures, now = view.failures.get(pool.pool, 0), view.now
    live = [w for w in workers if not w.deleting and not (w.pod and w.pod.ended)]
    over = [w for w in workers if not w.deleting and w.pod and w.pod.ended]
    waiting = [w for w in over if cleared_at(w, failures, now) > now]
    free = max(0, wanted - len(live) - len(waiting))
    taken = {w.name for w in workers}
    return PoolPlan(
        pool,
        wanted,
        kept,
        live=tuple(live),
        starting=_free_indices(taken, free),
        draining=_draining(view, live, kept),
        ended=tuple(w for w in over if w not in waiting),
        waiting=tuple(waiting),
        cleared_at=min((cleared_at(w, failures, now) for w in waiting), default=None),
    )


def _draining(view: View, live: Sequence[Child], kept: int) -> tuple[Child, ...]:
    by_name = {w.name: w for w in live}
    came_up = view.registered | {w.name for w in live if w.pod and w.pod.ready}
    order = leaving_order(by_name, came_up, view.demand)
    return tuple(by_name[name] for name in order[: max(0, len(live) - kept)])


def leaving_order(
    names: Iterable[str], came_up: Collection[str], demand: Demand | None
) -> list[str]:
    """Return the workers of one pool in the order in which they should go, if some are to go.

    Those that never came up first; then those that are not busy, by the scheduler's word on what
    is lost with each; then the busy ones likewise. Of those that it says nothing of, which go
    after, the youngest go first. An index, or cluster and process, tells the age.
    """
    lost = {name: rank for rank, name in enumerate(demand.retire)} if demand else {}
    busy = frozenset(demand.busy) if demand else frozenset()

    def place(name: str) -> tuple[bool, bool, int, list[int]]:
        numbers = [-int(part) for part in name.split("-") if part.isdecimal()]
        up = name in came_up or name in busy
        return up, name in busy, lost.get(name, len(lost)), numbers

    return sorted(names, key=place)


def cleared_at(ended: Child, failures: int, now: datetime) -> datetime:
    """Return when a pod that ended may be cleared away and its place be taken again.

    At once if it does not say when it ended.
    """
    text = ended.pod.ended_at if ended.pod else None
    pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(failures, 10))
    return parse_time(text) + timedelta(seconds=pause) if text else now


def worker_index(name: str) -> int:
    """Return the index that ends a worker's name."""
    return int(name.rpartition("-")[2])


def _free_indices(taken: set[str], count: int) -> tuple[int, ...]:
    used = {worker_index(name) for name in taken}
    found: list[int] = []
    index = 0
    while len(found) < count:
        if index not in used:
            found.append(index)
        index += 1
    return tuple(found)


@dataclass
class Failures:
    """How often, per pool, pods ended since the last one that became ready.

    The scheduler is counted under the empty name, for want of a pool.
    """

    by_pool: dict[str, int] = field(default_factory=dict)
    _ready: set[str] = field(default_factory=set)
    _ended: set[str] = field(default_factory=set)

    def count(self, pods: Sequence[Child]) -> None:
        """Take in the present pods; each one counts once when it is ready, once when it ended."""
        present = {pod.uid for pod in pods}
        self._ready &= present
        self._ended &= present
        for pod in pods:
            if pod.pod is None:
                continue
            if pod.pod.ready and pod.uid not in self._ready:
                self._ready.add(pod.uid)
                self.by_pool.pop(pod.pool, None)
            elif pod.pod.ended and pod.uid not in self._ended:
                self._ended.add(pod.uid)
                self.by_pool[pod.pool] = self.by_pool.get(pod.pool, -1) + 1
