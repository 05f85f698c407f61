"""When a route is proven, and what the proofs said."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from casita.api.conditions import Reason
from casita.clients.probe import Meeting, ProbeAnswer, probe
from casita.sessions.cache import SessionKey
from casita.sessions.findings import Probe

REPEAT_SECONDS: Final = 300.0
"""A proven route is proven again this often; no request to the Kubernetes API is made for it."""

SETTLING_SECONDS: Final = 10.0
"""A gateway takes up a new route within seconds: until then, a failed proof is not told."""

_PATIENCE_SECONDS: Final = 2.0
"""So long a first proof may hold back the status, which it would change at once."""

_FIRST_RETRY_SECONDS: Final = 0.25
_LONGEST_RETRY_SECONDS: Final = 30.0
_AT_ONCE: Final = 32

_REASONS: Final = {
    Meeting.OURS: Reason.CONNECTED,
    Meeting.STRANGER: Reason.HOST_TAKEN,
    Meeting.NOBODY: Reason.ROUTE_UNREACHABLE,
}


@dataclass(frozen=True, slots=True)
class Target:
    """What to prove: that `host` at the gateway leads to the holder of this authority's leaf."""

    address: str
    port: int
    host: str
    authority_der: bytes


@dataclass(slots=True)
class _State:
    uid: str
    result: Probe | None = None
    failures: int = 0
    due: float = 0.0
    began: float = 0.0
    in_flight: bool = False


class Prober:
    """Runs proofs beside the reconciler, a bounded number at once; results enter by the queue."""

    def __init__(
        self,
        changed: Callable[[SessionKey], None],
        connect: Callable[[str, int, str, bytes], Awaitable[ProbeAnswer]] = probe,
    ) -> None:
        self._changed = changed
        self._connect = connect
        self._states: dict[SessionKey, _State] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    def ensure(self, key: SessionKey, uid: str, target: Target, *, proven: bool) -> float:
        """Start a proof if one is due; return the seconds until the next is.

        Args:
            key: the session.
            uid: its uid.
            target: what to prove.
            proven: whether the status says so already, for the first call after a restart: then
                the next proof comes at a random time within the usual interval.
        """
        loop = asyncio.get_running_loop()
        state = self._states.get(key)
        if state is None or state.uid != uid:
            state = self._states[key] = _State(uid, began=loop.time())
            if proven:
                state.result = Probe(reached=True, message="the session's own scheduler answered")
                state.due = loop.time() + random.uniform(0.2, 1.0) * REPEAT_SECONDS  # noqa: S311
        if not state.in_flight and state.due <= loop.time():
            state.in_flight = True
            task = loop.create_task(self._prove(key, state, target))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return max(0.05, state.due - loop.time()) if not state.in_flight else REPEAT_SECONDS

    def result(self, key: SessionKey, uid: str) -> Probe | None:
        """Return the last proof's result, if there was one."""
        state = self._states.get(key)
        return state.result if state and state.uid == uid else None

    def is_about_to_tell(self, key: SessionKey) -> bool:
        """Say whether a first result can be expected within the next moments."""
        state = self._states.get(key)
        if state is None or state.result is not None:
            return False
        return asyncio.get_running_loop().time() - state.began < _PATIENCE_SECONDS

    def forget(self, key: SessionKey) -> None:
        """Drop what is known: the scheduler is not the one that was met."""
        self._states.pop(key, None)

    async def _prove(self, key: SessionKey, state: _State, target: Target) -> None:
        async with self._slots:
            answer = await self._connect(
                target.address, target.port, target.host, target.authority_der
            )
        loop = asyncio.get_running_loop()
        state.in_flight = False
        reached = answer.meeting is Meeting.OURS
        message = answer.message or "the session's own scheduler answered"
        settling = state.result is None and loop.time() - state.began < SETTLING_SECONDS
        if reached or not settling:
            state.result = Probe(reached, _REASONS[answer.meeting], message)
        if reached:
            state.failures = 0
            state.due = loop.time() + random.uniform(0.8, 1.0) * REPEAT_SECONDS  # noqa: S311
        else:
            pause = _FIRST_RETRY_SECONDS * 2.0 ** min(state.failures, 10)
            state.due = loop.time() + min(pause, _LONGEST_RETRY_SECONDS)
            state.failures += 1
        if self._states.get(key) is state:
            self._changed(key)  # which also agrees on the time of the next proof
