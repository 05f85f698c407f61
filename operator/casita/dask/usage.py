"""Since when nobody has used a session: no client, no notebook's `Cluster`, nothing to do."""

import asyncio
from collections.abc import Callable
from typing import Final

from distributed import Scheduler
from tornado.web import RequestHandler

from casita.dask.watch import is_watched

LOOK_SECONDS: Final = 1.0

PATH: Final = "/casita/usage"
"""Beside the dashboard's pages: whether there is work, for the session's own notebook."""

_TO_DO: Final = ("queued", "no-worker", "processing", "waiting")

_OF_WORKERS: Final = "Client-worker-"
"""Begin of the names of clients that tasks make of themselves (``Worker._get_client``): as long as
they matter there is a task."""


class Usage:
    """The clock of one scheduler's idleness."""

    def __init__(
        self, scheduler: Scheduler, monotonic: Callable[[], float], changed: Callable[[], None]
    ) -> None:
        """Count from now; `changed` is called when use begins or ends, and when clients do."""
        self._scheduler = scheduler
        self._monotonic = monotonic
        self._changed = changed
        self._since: float | None = monotonic()
        self._clients: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            if self.look():
                self._changed()
            await asyncio.sleep(LOOK_SECONDS)

    def look(self) -> bool:
        """Look whether the session is used; say whether that, or who uses it, has changed."""
        before, others = self._since, self._clients
        clients = self._scheduler.client_comms
        self._clients = frozenset(name for name in clients if not name.startswith(_OF_WORKERS))
        if self._in_use():
            self._since = None
        elif before is None:
            self._since = self._monotonic()
        return (before is None) != (self._since is None) or others != self._clients

    def idle_seconds(self) -> float | None:
        """Return for how long nobody has used it; `None` while somebody does."""
        self.look()
        return None if self._since is None else round(self._monotonic() - self._since, 1)

    def tell(self) -> None:
        """Answer at `PATH` of the dashboard's server, as ``{"busy": true}``, until it closes."""
        handler = (PATH, _Answer, {"usage": self})
        self._scheduler.http_application.add_handlers(r".*", [handler])

    def _in_use(self) -> bool:
        return bool(self._clients) or is_watched(self._scheduler) or self.has_tasks()

    def has_tasks(self) -> bool:
        """Say whether any task is yet to end, one that waits for others included."""
        return any(
            prefix.states[state]
            for prefix in list(self._scheduler.task_prefixes.values())
            for state in _TO_DO
        )


class _Answer(RequestHandler):  # type: ignore[misc] # tornado has no types
    def initialize(self, usage: Usage) -> None:
        self._usage = usage

    def get(self) -> None:
        self.write({"busy": self._usage.has_tasks()})
