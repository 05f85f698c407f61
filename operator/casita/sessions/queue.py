"""The one queue by which everything reaches the reconciler: events, probes, reports, renewals.

Keyed and without duplicates; one worker per key at a time; a failing key is tried again after a
growing pause of its own and delays no other. What is due later waits in one heap with one timer.
"""

import asyncio
import heapq
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Final

from casita.sessions.cache import SessionKey

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 60.0
_SPARE: Final = 64


class RetryLaterError(Exception):
    """A pass did not reach its end; the key is to be tried again.

    Attributes:
        after: seconds that a server asked to wait, if it did.
    """

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class Queue:
    """Feeds `reconcile`, which returns the seconds after which it wants to see the key again."""

    def __init__(self, reconcile: Callable[[SessionKey], Awaitable[float | None]]) -> None:
        self._reconcile = reconcile
        self._ready: asyncio.Queue[SessionKey] = asyncio.Queue()
        self._waiting: set[SessionKey] = set()
        self._running: set[SessionKey] = set()
        self._again: set[SessionKey] = set()
        self._failures: dict[SessionKey, int] = {}
        self._due: dict[SessionKey, float] = {}
        self._heap: list[tuple[float, SessionKey]] = []
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._waiting) + len(self._running)

    def add(self, key: SessionKey) -> None:
        """Look at this session as soon as there is a worker free, once for any number of calls."""
        if key in self._running:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.put_nowait(key)

    def add_after(self, key: SessionKey, seconds: float) -> None:
        """Look at this session after `seconds`, in place of what was agreed before."""
        due = asyncio.get_running_loop().time() + seconds
        self._due[key] = due
        heapq.heappush(self._heap, (due, key))
        if len(self._heap) > 2 * len(self._due) + _SPARE:  # most of it is replaced or forgotten
            self._heap = [(when, who) for who, when in self._due.items()]
            heapq.heapify(self._heap)
        self._set_timer()

    async def work(self) -> None:
        """Take keys and reconcile them, for ever; run as many of these as sessions at a time."""
        while True:
            key = await self._ready.get()
            self._waiting.discard(key)
            self._running.add(key)
            try:
                await self._pass(key)
            finally:
                self._running.discard(key)
                if key in self._again:
                    self._again.discard(key)
                    self.add(key)

    async def _pass(self, key: SessionKey) -> None:
        try:
            later = await self._reconcile(key)
        except RetryLaterError as trouble:
            logger.info("session %s/%s: will try again: %s", *key, trouble)
            self._back_off(key, trouble.after)
        except Exception:
            logger.exception("session %s/%s: reconcile failed", *key)
            self._back_off(key, None)
        else:
            self._failures.pop(key, None)
            self._due.pop(key, None)
            if later is not None:
                self.add_after(key, later)

    def _back_off(self, key: SessionKey, after: float | None) -> None:
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(count, 16))
        jitter = random.uniform(0.7, 1.3)  # noqa: S311 - spreads retries
        self.add_after(key, max(pause * jitter, after or 0.0))

    def _set_timer(self) -> None:
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)  # replaced or forgotten
        first = self._heap[0][0] if self._heap else None
        if self._timer is not None:
            if self._timer.when() == first:
                return
            self._timer.cancel()
            self._timer = None
        if first is not None:
            self._timer = asyncio.get_running_loop().call_at(first, self._wake)

    def _wake(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        while self._heap and self._heap[0][0] <= now:
            due, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key)
        self._set_timer()
