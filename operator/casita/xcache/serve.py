"""Keeps one XRootD server running, and starts it anew when a file changed that it reads only once.

XRootD 5.8 reads its certificate again by itself (``xrd.tlsca ... refresh``), but the macaroon key
at its start alone; and its connection to the origin keeps the token that it was opened with. A
start takes a second or two: readers connect again and go on, the cached files stay.
"""

import hashlib
import logging
import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from casita.xcache.keyfile import KeyFileError, normalised

logger: Final = logging.getLogger("casita.xcache")

STOP_SECONDS: Final = 20.0
"""What a server may take to end; it does in one or two."""

State = tuple[str | None, ...]
"""Hash of each watched file; `None` where there is none."""


@dataclass(frozen=True)
class Settings:
    """What to run.

    Attributes:
        command: the server, with its arguments.
        key: the macaroon key as it was delivered; `None` if the server has none.
        key_copy: where the server reads it, in the form that it accepts.
        watched: further files that the server reads only once.
        seconds: how often they are looked at.
    """

    command: tuple[str, ...]
    key: Path | None = None
    key_copy: Path | None = None
    watched: tuple[Path, ...] = ()
    seconds: float = 2.0

    @property
    def files(self) -> tuple[Path, ...]:
        """All files whose change needs another start."""
        return ((self.key,) if self.key else ()) + self.watched


class Supervisor:
    """One server at a time, until it ends by itself or `stop` is called."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stop = threading.Event()
        self._again = threading.Event()

    def start_anew(self) -> None:
        """Start the server anew at the next look, though no file changed."""
        self._again.set()

    def stop(self) -> None:
        """End the server, and `run` with it."""
        self._stop.set()

    def run(self) -> int:
        """Run the server; return its exit status, or 0 if it was told to stop.

        Raises:
            KeyFileError: the key cannot be used, and there is no server yet that has a good one.
            OSError: the server or a file cannot be started, read or written.
        """
        state = look(self._settings.files)
        self._prepare()
        server = self._start()
        while not self._stop.wait(self._settings.seconds):
            status = server.poll()
            if status is not None:
                logger.error("the server has ended by itself with status %d", status)
                return status or 1
            now = look(self._settings.files)
            if now != state or self._again.is_set():
                self._again.clear()
                names = changed(self._settings.files, state, now)
                server = self._replace(server, f"{names} changed" if names else "told to")
                state = now
        end(server)
        return 0

    def _replace(self, server: subprocess.Popen[bytes], why: str) -> subprocess.Popen[bytes]:
        try:
            self._prepare()
        except (KeyFileError, OSError) as error:
            logger.error("%s, but: %s; the server goes on with the old", why, error)  # noqa: TRY400
            return server
        logger.info("%s: the server starts anew", why)
        end(server)
        return self._start()

    def _prepare(self) -> None:
        key, copy = self._settings.key, self._settings.key_copy
        if key is None or copy is None:
            return
        try:
            content = normalised(key.read_bytes())
        except KeyFileError as error:
            raise KeyFileError(f"{key}: {error}") from None
        fresh = copy.with_name(f".{copy.name}.new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "wb") as file:
            file.write(content)
        fresh.replace(copy)

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._settings.command)


def look(files: Sequence[Path]) -> State:
    """Hash the files."""
    return tuple(
        hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None for file in files
    )


def changed(files: Sequence[Path], before: State, now: State) -> str:
    """Name the files that differ."""
    several = zip(files, before, now, strict=True)
    return ", ".join(str(file) for file, old, new in several if old != new)


def end(server: subprocess.Popen[bytes]) -> None:
    """End a server: asked first, then without mercy."""
    server.terminate()
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        logger.warning("the server did not end within %g s and is killed", STOP_SECONDS)
        server.kill()
        server.wait()


def serve(settings: Settings) -> int:
    """Run a server until SIGTERM or SIGINT, anew at each SIGHUP; return the exit status."""
    supervisor = Supervisor(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: supervisor.stop())
    signal.signal(signal.SIGHUP, lambda *_: supervisor.start_anew())
    try:
        return supervisor.run()
    except (KeyFileError, OSError) as error:
        logger.critical("%s", error)
        return 1
