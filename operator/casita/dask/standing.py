"""Which workers may go, and which first, when there are more than the work can use."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

MAX_NAMES: Final = 5000
"""In each of a report's lists."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What would be lost, or waited for, if a worker went.

    Attributes:
        name: of the worker.
        cores: that it has.
        tasks: that it runs or has been given.
        engaged: it runs what takes long or for unknown time, or what cannot move.
        data_bytes: of the results that it holds.
        leaving: it drains already.
    """

    name: str
    cores: int = 1
    tasks: int = 0
    engaged: bool = False
    data_bytes: int = 0
    leaving: bool = False


def staying(workers: Iterable[Standing]) -> list[Standing]:
    """Return the workers that are not on their way out."""
    return [worker for worker in workers if not worker.leaving]


def retire_order(workers: Iterable[Standing]) -> tuple[str, ...]:
    """Return the names of workers in the order in which least is lost, at most `MAX_NAMES`.

    First those without a task, the ones with the least data before the others; then those with
    short tasks, which end soon; the engaged last.
    """
    order = sorted(
        staying(workers), key=lambda w: (w.engaged, w.tasks > 0, w.data_bytes, w.tasks, w.name)
    )
    return tuple(worker.name for worker in order[:MAX_NAMES])


def busy(workers: Iterable[Standing]) -> tuple[str, ...]:
    """Return the names of workers that had better not go, at most `MAX_NAMES`."""
    return tuple(sorted(w.name for w in staying(workers) if w.engaged)[:MAX_NAMES])
