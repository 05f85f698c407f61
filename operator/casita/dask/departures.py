"""Who left, when and why: kept for the user, since a worker's pod or job is soon gone itself."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from distributed import Scheduler, SchedulerPlugin

TOPIC: Final = "casita-leave"
"""Of the event by which a worker says why it goes: stock schedulers take it, too."""

KEPT: Final = 100


@dataclass(frozen=True, slots=True)
class Departure:
    """A worker that left at `time`, seconds since the epoch."""

    name: str
    address: str
    reason: str
    time: float


class Departures(SchedulerPlugin):  # type: ignore[misc] # distributed has no types
    """Keeps the last `KEPT` departures of one scheduler's workers."""

    name = "casita-departures"

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._names: dict[str, str] = {}
        self._announced: dict[str, str] = {}
        self._left: deque[Departure] = deque(maxlen=KEPT)

    def last(self) -> list[Departure]:
        """Return the departures, the newest last."""
        return list(self._left)

    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        """Learn a worker's name, which is gone when it leaves."""
        self._names[worker] = str(scheduler.workers[worker].name)

    def log_event(self, topic: str, msg: Any) -> None:
        """Learn why a worker will leave, from itself, and that one has left."""
        if not isinstance(msg, Mapping):
            return
        if topic == TOPIC and msg.get("name") in self._names.values():
            self._announced[str(msg["name"])] = str(msg.get("reason", ""))[:200]
        elif topic == "all" and msg.get("action") == "remove-worker":
            self._removed(str(msg["worker"]), msg)

    def _removed(self, address: str, msg: Mapping[str, Any]) -> None:
        name = self._names.pop(address, address)
        reason = self._announced.pop(name, "") or reason_of(str(msg.get("stimulus_id", "")))
        again = len(msg.get("processing-tasks") or ())
        if again:
            reason = f"{reason}; {again} tasks run again elsewhere"
        self._left.append(Departure(name, address, reason, self._time()))


def reason_of(stimulus: str) -> str:
    """Return what distributed's name of a cause means, for a worker that did not say why."""
    if stimulus.startswith("handle-worker-cleanup"):
        return "the connection ended without a word: killed, out of memory, or its machine is gone"
    if stimulus.startswith("check-worker-ttl"):
        return "it did not answer any more"
    if stimulus.startswith("retire-workers"):
        return "it was retired"
    return (
        "it closed" if stimulus.startswith("worker-") else stimulus.rpartition("-")[0] or "unknown"
    )
