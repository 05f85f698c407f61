"""What a scheduler's state says of its load and its workers, read without a task being touched."""

from collections.abc import Mapping
from typing import Final

from distributed import Scheduler
from distributed.core import Status
from distributed.scheduler import TaskPrefix, WorkerState

from casita.dask.load import Kind, Load
from casita.dask.standing import Standing

_ENDED: Final = ("memory", "released", "erred", "forgotten")
_LEAVING: Final = (Status.closing_gracefully, Status.closing, Status.closed)


class Looker:
    """Reads one scheduler. Remembers per prefix how long tasks took: Dask forgets it at times."""

    def __init__(self, scheduler: Scheduler, hints: Mapping[str, float]) -> None:
        """Take `hints`, seconds by prefix, for tasks of which none has ended."""
        self._scheduler = scheduler
        self._hints = hints
        self._averages: dict[str, float] = {}

    def look(self, target: float) -> tuple[Load, tuple[Standing, ...]]:
        """Return load and workers; tasks of `target` seconds or more count as long."""
        elapsed, seceded = self._running()
        kinds = self._kinds(elapsed, seceded)
        standings = tuple(
            self._standing(worker, kinds, target) for worker in self._scheduler.workers.values()
        )
        present = [w for w in self._scheduler.workers.values() if w.status not in _LEAVING]
        load = Load(
            kinds=tuple(kind for kind in kinds.values() if kind.tasks),
            cores=sum(worker.nthreads for worker in present),
            data_bytes=sum(worker.nbytes for worker in self._scheduler.workers.values()),
            memory_bytes=sum(worker.memory_limit for worker in present),
        )
        return load, standings

    def _running(self) -> tuple[dict[str, list[float]], dict[str, int]]:
        """Return how long tasks have run by now, and how many gave their core back, by prefix."""
        elapsed: dict[str, list[float]] = {}
        seceded: dict[str, int] = {}
        for worker in self._scheduler.workers.values():
            for task, seconds in worker.executing.items():
                if task.processing_on is worker and task not in worker.long_running:
                    elapsed.setdefault(task.prefix.name, []).append(seconds)
            for task in worker.long_running:
                seceded[task.prefix.name] = seceded.get(task.prefix.name, 0) + 1
        return elapsed, seceded

    def _kinds(
        self, elapsed: Mapping[str, list[float]], seceded: Mapping[str, int]
    ) -> dict[str, Kind]:
        prefixes = self._scheduler.task_prefixes
        for gone in self._averages.keys() - prefixes.keys():
            del self._averages[gone]
        return {
            name: self._kind(prefix, tuple(elapsed.get(name, ())), seceded.get(name, 0))
            for name, prefix in list(prefixes.items())
        }

    def _kind(self, prefix: TaskPrefix, elapsed: tuple[float, ...], seceded: int) -> Kind:
        states = prefix.states
        # With workers at hand, what cannot run waits for one with another name or resource.
        unserved = 0 if self._scheduler.running else states["no-worker"]
        if prefix.duration_average >= 0:
            self._averages[prefix.name] = prefix.duration_average
        completed = sum(states[state] for state in _ENDED)
        return Kind(
            tasks=max(0, states["queued"] + states["processing"] + unserved - seceded),
            running=elapsed,
            completed=completed,
            known=self._averages.get(prefix.name, self._hints.get(prefix.name)),
            default=self._scheduler.UNKNOWN_TASK_DURATION,
        )

    def _standing(self, worker: WorkerState, kinds: Mapping[str, Kind], target: float) -> Standing:
        engaged = (
            bool(worker.actors or worker.long_running)
            or any(seconds >= target for seconds in worker.executing.values())
            or any(
                not kinds[name].is_short(target)
                for name in worker.task_prefix_count
                if name in kinds
            )
        )
        return Standing(
            name=str(worker.name),
            cores=worker.nthreads,
            tasks=len(worker.processing),
            engaged=engaged,
            data_bytes=worker.nbytes,
            leaving=worker.status in _LEAVING,
        )
