"""Progress lines with the time since the command began."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Steps:
    """Prints one line per step to standard error; usable from several threads."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._quiet = quiet

    def say(self, message: str) -> None:
        """Print one line with the seconds since the start."""
        if self._quiet:
            return
        with self._lock:
            print(f"[{self.elapsed():6.1f} s] {message}", file=sys.stderr, flush=True)

    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    @contextmanager
    def step(self, message: str) -> Iterator[None]:
        """Announce a long step, and say how long it took once it has succeeded."""
        self.say(f"{message} ...")
        began = time.monotonic()
        yield
        self.say(f"{message}: done in {time.monotonic() - began:.1f} s")
