"""How many cores the work at hand could use: pure figures of the tasks, and how long they take."""

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

MEMORY_SHARE: Final = 0.6
"""Of the workers' memory that results may fill: Dask begins to spill there
(``distributed.worker.memory.target``)."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Tasks of one prefix, that is of one function. Times are in seconds.

    Attributes:
        tasks: those that run or could run now.
        running: for how long each task has run of those that do.
        completed: how many have ended.
        known: how long one takes, from those that have ended or from a hint; `None` if unknown.
        default: what Dask takes an unknown one for (its ``unknown-task-duration``).
    """

    tasks: int
    running: tuple[float, ...] = ()
    completed: int = 0
    known: float | None = None
    default: float = 0.5

    def seconds(self) -> float:
        """Return how long one of these tasks takes, as far as can be told.

        One that has run for a time is taken to be in the middle of its run. So tasks that nobody
        has seen the end of grow with the clock (an analysis may have none shorter than an hour),
        and one straggler among many that have ended changes little.
        """
        if not self.running:
            return self.default if self.known is None else self.known
        least = self.default if self.known is None else self.known
        weight = 0 if self.known is None else max(1, self.completed)
        expected = sum(max(least, 2 * elapsed) for elapsed in self.running)
        return (least * weight + expected) / (weight + len(self.running))

    def is_short(self, target: float) -> bool:
        """Say whether it is known that these tasks take less than `target` seconds."""
        return self.known is not None and self.seconds() < target


@dataclass(frozen=True, slots=True)
class Load:
    """What a scheduler has to do, and with what.

    Attributes:
        kinds: the tasks that run or could run now, by prefix.
        cores: of the workers that are there and stay.
        data_bytes: of the results that workers hold.
        memory_bytes: of the workers that are there and stay; 0 if they have no limit.
    """

    kinds: tuple[Kind, ...] = ()
    cores: int = 0
    data_bytes: int = 0
    memory_bytes: int = 0

    @property
    def tasks(self) -> int:
        """How many tasks run or could run now."""
        return sum(kind.tasks for kind in self.kinds)


def useful_cores(load: Load, target: float) -> int:
    """Return how many cores would do the work at hand in about `target` seconds.

    A task that takes longer needs a core of its own, and shorter ones share, so it is never more
    than there are tasks. Results that workers hold need memory: as many cores as it belongs to are
    kept, and more are wanted where there is work as well.
    """
    shares = sum(kind.tasks * min(1.0, kind.seconds() / target) for kind in load.kinds)
    work = math.ceil(round(shares, 6))
    needed = _cores_for_data(load)
    more = min(needed, max(load.cores, load.tasks))
    return max(work, more)


def _cores_for_data(load: Load) -> int:
    if load.data_bytes <= 0 or load.cores == 0:
        return 0
    if load.memory_bytes <= 0:
        return 1
    return math.ceil(load.data_bytes * load.cores / (MEMORY_SHARE * load.memory_bytes))


class Window:
    """The most that was wanted in the last `seconds`: up at once, down late."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._peaks: deque[tuple[float, int]] = deque()
        """Falling: whoever came before a larger one is forgotten."""

    def push(self, now: float, cores: int) -> int:
        """Take what is wanted `now`; return what is to be had."""
        while self._peaks and self._peaks[-1][1] <= cores:
            self._peaks.pop()
        self._peaks.append((now, cores))
        while now - self._peaks[0][0] > self._seconds and len(self._peaks) > 1:
            self._peaks.popleft()
        return self._peaks[0][1]

    @property
    def settled(self) -> bool:
        """Whether time alone changes nothing any more."""
        return len(self._peaks) <= 1
