"""Waiting for a condition with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.cluster.errors import ClusterError


def until(
    condition: Callable[[], bool],
    what: str,
    *,
    seconds: float,
    every: float = 0.1,
    failed: Callable[[], str | None] = lambda: None,
) -> None:
    """Return as soon as `condition` holds.

    Args:
        condition: asked every `every` seconds.
        what: the condition in words, for the error message.
        seconds: the longest wait.
        every: seconds between two questions.
        failed: gives a reason to stop waiting early (a dead process, say), or None.

    Raises:
        ClusterError: the deadline passed, or `failed` gave a reason.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if reason := failed():
            raise ClusterError(f"{what}: {reason}")
        if time.monotonic() > deadline:
            raise ClusterError(f"{what}: not so after {seconds:.0f} s")
        time.sleep(every)
