"""Whether the site's own parts do what sessions need of them: asked again and again, once for all.

A part that does not answer fails no session's pass and delays none: the verdicts are kept here, and
sessions are told when one changes.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from casita.clients.checking.request import CheckAnswer, CheckReason, CheckRequest
from casita.credentials.errors import CredentialError

logger = logging.getLogger(__name__)

CACHE: Final = "cache"
SCHEDD: Final = "schedd"
TRACKING: Final = "tracking"
COLUMNS: Final = "columns"

REPEAT_SECONDS: Final = 60.0
"""A part that works is asked again this often."""

FIRST_RETRY_SECONDS: Final = 2.0
"""The pause after a failure; it doubles up to `REPEAT_SECONDS`."""

_AT_ONCE: Final = 2
_CONFIRMED: Final = 2
"""Failures in a row, until a part that has worked is told not to: a cache says once that its
origin is down after that was made anew."""

_TOLD_AT_ONCE: Final = frozenset({CheckReason.NO_ANSWER, CheckReason.KEY_UNUSABLE})
"""Half a minute of silence is no slip, and a damaged key none either."""


@dataclass(slots=True)
class _State:
    verdict: CheckAnswer | None = None
    failures: int = 0


class Checks:
    """The site's checks, each repeated for as long as `run` runs.

    Args:
        parts: what to check, by name; each returns a request with a fresh token, and may raise
            `CredentialError` when the site's key for it cannot be used.
        changed: called when a verdict is another than before.
        check: runs one check.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        parts: Mapping[str, Callable[[], CheckRequest]],
        changed: Callable[[], None],
        check: Callable[[CheckRequest], Awaitable[CheckAnswer]],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._parts = dict(parts)
        self._changed = changed
        self._check = check
        self._sleep = sleep
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._states = {name: _State() for name in parts}

    def trouble(self) -> list[str]:
        """Return what each part that does not answer, or was not asked yet, says, in words."""
        found = []
        for name, state in self._states.items():
            if state.verdict is None:
                found.append(f"{name}: has not been asked yet")
            elif not state.verdict.ok:
                found.append(f"{name}: {state.verdict.reason}: {state.verdict.message}")
        return found

    def results(self) -> Mapping[str, CheckAnswer]:
        """Return the verdicts that there are, by the part's name."""
        return {name: s.verdict for name, s in self._states.items() if s.verdict is not None}

    async def run(self) -> None:
        """Check until cancelled."""
        async with asyncio.TaskGroup() as group:
            for name, prepare in self._parts.items():
                group.create_task(self._repeat(prepare, self._states[name]), name=f"check {name}")
            await asyncio.Event().wait()  # with nothing to check, too

    async def _repeat(self, prepare: Callable[[], CheckRequest], state: _State) -> None:
        while True:
            async with self._slots:
                answer = await self._once(prepare)
            state.failures = 0 if answer.ok else state.failures + 1
            if is_verdict(answer, state.verdict, state.failures):
                before, state.verdict = state.verdict, answer
                if before is None or _said(before) != _said(answer):
                    level = logging.INFO if answer.ok else logging.WARNING
                    logger.log(level, "%s: %s", answer.reason, answer.message)
                    self._changed()
            await self._sleep(pause_after(state.failures) * random.uniform(0.8, 1.0))  # noqa: S311

    async def _once(self, prepare: Callable[[], CheckRequest]) -> CheckAnswer:
        try:
            request = prepare()
        except CredentialError as error:
            return CheckAnswer(CheckReason.KEY_UNUSABLE, str(error))
        return await self._check(request)


def inference_part(server: str) -> str:
    """Return the name of the check of an inference server."""
    return f"inference/{server}"


def is_verdict(answer: CheckAnswer, before: CheckAnswer | None, failures: int) -> bool:
    """Say whether an answer is to be believed, `failures` in a row with it counted."""
    if answer.ok or before is None or not before.ok:
        return True
    return failures >= _CONFIRMED or answer.reason in _TOLD_AT_ONCE


def pause_after(failures: int) -> float:
    """Return the longest pause in seconds after so many failures in a row."""
    if failures == 0:
        return REPEAT_SECONDS
    return min(REPEAT_SECONDS, FIRST_RETRY_SECONDS * 2.0 ** min(failures - 1, 10))


def _said(answer: CheckAnswer) -> tuple[CheckReason, str]:
    return answer.reason, answer.message
