"""The scheduler's word on how many workers it wants, looked at every second while work goes on."""

import asyncio
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from typing import Any, Final

from dask.utils import key_split
from distributed import Scheduler, SchedulerPlugin

from casita.dask.load import Load, Window, useful_cores
from casita.dask.snapshot import Looker
from casita.dask.standing import Standing
from casita.dask.wish import Demand, Wish, demand_of, worth_telling

LOOK_SECONDS: Final = 1.0

HINT: Final = "expected_seconds"
"""Annotation with which a user says how long tasks take, before any has ended."""


class Hints(SchedulerPlugin):  # type: ignore[misc] # distributed has no types
    """Keeps how long tasks are said to take, by prefix."""

    name = "casita-hints"

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.seconds: dict[str, float] = {}

    def update_graph(
        self,
        scheduler: Scheduler,  # noqa: ARG002 - as called
        *,
        annotations: Mapping[str, Mapping[Hashable, Any]],
        **_: Any,
    ) -> None:
        """Take the annotations of new tasks; what is no number of seconds counts for nothing."""
        for gone in self.seconds.keys() - self._scheduler.task_prefixes.keys():
            del self.seconds[gone]
        for key, said in annotations.get(HINT, {}).items():
            with suppress(TypeError, ValueError):
                seconds = float(said)
                if 0 < seconds < float("inf"):
                    self.seconds[key_split(key)] = seconds


class Adaptive:
    """Knows what to ask for at any time, and says when that has changed."""

    def __init__(
        self,
        scheduler: Scheduler,
        target: float,
        scale_down: float,
        changed: Callable[[], None],
    ) -> None:
        """Aim at `target` seconds for the work at hand; give up what was not needed `scale_down`.

        `changed` is called when what to ask for differs from what was told last.
        """
        self._scheduler = scheduler
        self._target = target
        self._window = Window(scale_down)
        self._changed = changed
        hints = Hints(scheduler)
        scheduler.add_plugin(hints, name=hints.name)
        self._looker = Looker(scheduler, hints.seconds)
        self._seen: tuple[int, int, bool] | None = None
        self._load = Load()
        self._standings: tuple[Standing, ...] = ()
        self._cores = 0
        self._told: Demand | None = None
        self.wish = Wish()

    @property
    def demand(self) -> Demand:
        """What to ask for now."""
        return demand_of(self.wish, self._cores, self._standings)

    @property
    def useful(self) -> int:
        """Cores that the work could use, by the last look."""
        return self._cores

    def tell(self) -> Demand:
        """Return what to ask for; it is being told."""
        self._told = self.demand
        return self._told

    def ask(self, wish: Wish) -> None:
        """Take the user's word. What is there now is given up as late as if it had been needed."""
        self.wish = wish
        self._look()
        self._cores = self._window.push(self._now(), max(self._cores, self._load.cores))
        self._changed()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            if self._stirs():
                self._look()
                if worth_telling(self._told, self.demand):
                    self._changed()
            await asyncio.sleep(LOOK_SECONDS)

    def _stirs(self) -> bool:
        """Say whether anything can differ from the last look."""
        scheduler = self._scheduler
        now = scheduler.transition_counter, len(scheduler.workers), bool(scheduler.running)
        before, self._seen = self._seen, now
        return now != before or self._load.tasks > 0 or not self._window.settled

    def _look(self) -> None:
        self._load, self._standings = self._looker.look(self._target)
        self._cores = self._window.push(self._now(), useful_cores(self._load, self._target))

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
