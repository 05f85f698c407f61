"""Which login a connection to the cache has to have: a new one after each renewal of the token.

XRootD's client shows its token when it opens a connection, and keeps one connection per user and
host (``src/XrdCl/XrdClURL.cc``, ``GetChannelId``). The server holds a connection to the token that
it was opened with: once that has expired nothing new can be opened on it, whatever the file holds
by then. Files that are open stay so. A URL with another user part gets another connection; the
name in it means nothing to a cache that knows its users by their tokens.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

YOUNG_SECONDS: Final = 30.0
"""A refusal by a login of less than this age is meant: another one would be told the same."""

CONNECTION: Final = {"XRD_CONNECTIONWINDOW": "5", "XRD_CONNECTIONRETRY": "10"}
"""Variables of XRootD's client. A cache that starts anew is back in seconds: try for 50 of them,
every 5. By default the client would wait for two minutes between two tries."""

_DEFAULT_FOLDER: Final = "/tmp"  # noqa: S108 - where XRootD's client looks last


def token_file(environment: Mapping[str, str]) -> Path:
    """Return where XRootD's client finds the token of this user.

    From the WLCG's rules of discovery (``src/XrdSecztn/XrdSecProtocolztn.cc``); not the first two
    of them, ``BEARER_TOKEN`` and ``BEARER_TOKEN_FILE``, that casita leaves to others.
    """
    folder = environment.get("XDG_RUNTIME_DIR") or _DEFAULT_FOLDER
    return Path(folder, f"bt_u{os.geteuid()}")


class Logins:
    """Numbers the logins of this process. Threads may share it."""

    def __init__(
        self, file: Callable[[], Path], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin a new login whenever what is at `file()` was replaced."""
        self._file = file
        self._clock = clock
        self._lock = threading.Lock()
        self._number = 0
        self._began = clock()
        self._stamp = self._look()

    def current(self) -> int:
        """Return the number of the login for what is opened now."""
        stamp = self._look()
        with self._lock:
            if stamp != self._stamp:
                self._stamp = stamp
                self._begin()
            return self._number

    def refused(self, number: int) -> bool:
        """Note that the server refused what login `number` asked; say whether to ask again.

        Only a login of some age is given up for that: its token may have expired before the renewed
        one arrived.
        """
        with self._lock:
            if number == self._number and self._clock() - self._began >= YOUNG_SECONDS:
                self._begin()
            return number != self._number

    def lost(self, number: int) -> bool:
        """Note that the connection of login `number` is of no use; say whether to ask again."""
        with self._lock:
            if number == self._number:
                self._begin()
            return True

    def _begin(self) -> None:
        self._number += 1
        self._began = self._clock()

    def _look(self) -> tuple[int, int, int, int] | None:
        try:
            found = self._file().stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
