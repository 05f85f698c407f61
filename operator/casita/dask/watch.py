"""Several notebooks may follow a scheduler's workers at once.

Stock distributed keeps one such stream: its plugin has one name, so that the second `Cluster` takes
the first one's place (``WorkerStatusPlugin`` of ``distributed/scheduler.py``).
"""

import uuid
from typing import Any

from distributed import Scheduler
from distributed.comm import Comm
from distributed.scheduler import WorkerStatusPlugin


class Watch(WorkerStatusPlugin):  # type: ignore[misc] # distributed has no types
    """One notebook's stream of workers that come and go."""

    def __init__(self, scheduler: Scheduler, comm: Comm) -> None:
        self.name = f"casita-watch-{uuid.uuid4().hex}"
        super().__init__(scheduler, comm)

    @property
    def is_open(self) -> bool:
        """Whether the notebook is still there."""
        return not self.bcomm.closed()


def share_watching(scheduler: Scheduler) -> None:
    """Let each `Cluster` have a stream of its own."""

    def subscribe(comm: Comm) -> dict[str, Any]:
        for name in [p.name for p in _watches(scheduler) if not p.is_open]:
            scheduler.remove_plugin(name=name)
        Watch(scheduler, comm)
        facts: dict[str, Any] = scheduler.identity()
        for worker in facts["workers"].values():
            del worker["metrics"]
            del worker["last_seen"]
        return facts

    scheduler.handlers["subscribe_worker_status"] = subscribe


def is_watched(scheduler: Scheduler) -> bool:
    """Say whether a notebook has a `Cluster` of this scheduler open."""
    return any(watch.is_open for watch in _watches(scheduler))


def _watches(scheduler: Scheduler) -> list[Watch]:
    return [plugin for plugin in scheduler.plugins.values() if isinstance(plugin, Watch)]
