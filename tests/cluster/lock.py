"""One command at a time: two that build images or start clusters would undo each other's work."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from tests.cluster.locations import cache
from tests.cluster.steps import Steps


@contextmanager
def alone(steps: Steps) -> Iterator[None]:
    """Hold this user's lock, after waiting for whoever holds it."""
    file = cache() / "lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            steps.say(f"waiting for process {lock.read().strip()}, which is at work on the cluster")
            fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
