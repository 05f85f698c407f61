"""The token for protected data, from the scheduler to every process of the session that reads.

The scheduler's pod mounts it; workers mount nothing, wherever they run. A worker gets it over the
stream on which the scheduler also sends tasks, before the first of them: the plugin is asked right
after that stream was made and before anything is scheduled (``Scheduler.add_worker``), and messages
keep their order. The stream is TLS between holders of this session's certificates. A renewed token
takes the same way.

It lies in no task, no log and no state that `distributed` shows; a plugin of the user's own that
reads data while a worker registers is the one thing that comes before it.
"""

import logging
import os
import tempfile
from collections.abc import Callable, MutableMapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from distributed import Scheduler, SchedulerPlugin, Worker
from tornado.ioloop import PeriodicCallback

from casita.access.files import make_private_folder, write_private
from casita.access.login import CONNECTION, token_file

MESSAGE: Final = "casita-data-access"
"""Name of the message, and of what a worker says of itself if it understands it."""

TOKEN: Final = "xcache_token"  # noqa: S105 - the name of a file
AUTHORITY: Final = "xcache-ca.pem"

MAX_TOKEN_BYTES: Final = 4096
"""What XRootD's client reads (``-maxsz`` of ``src/XrdSecztn/XrdSecProtocolztn.cc``)."""


class TokenError(Exception):
    """The mounted token cannot be used; the message says why, and never what it holds."""


@dataclass(frozen=True, slots=True)
class DataAccess:
    """All that a process needs to read from the site's cache."""

    token: str = field(default="", repr=False)
    """Empty where the session has none, or none any more."""
    authority: str = ""
    """Certificate of the authority that signed the cache's, PEM; empty where any may have."""
    cache: str = ""
    """``host:port`` at which the cache is known everywhere."""


def read_access(directory: Path, cache: str) -> DataAccess:
    """Return what is mounted at `directory`; an empty one where no token is.

    Raises:
        TokenError: a file cannot be read, or the token is none.
    """
    try:
        texts = [
            path.read_text("ascii").strip() if path.exists() else ""
            for path in (directory / TOKEN, directory / AUTHORITY)
        ]
    except (OSError, UnicodeDecodeError) as error:
        # Of a decoding error only its kind: it shows what it could not read.
        what = error if isinstance(error, OSError) else "a file is not ASCII text"
        raise TokenError(f"{directory}: {what}") from None
    token, authority = texts
    if len(token) >= MAX_TOKEN_BYTES or len(token.split()) > 1:
        raise TokenError(
            f"{directory / TOKEN}: must be one word of at most {MAX_TOKEN_BYTES} bytes"
        )
    return DataAccess(token, f"{authority}\n" if authority else "", cache)


class Keeper:
    """Keeps what gives access in files and variables of this process, where XRootD looks."""

    def __init__(
        self,
        folder: Callable[[], Path],
        environment: MutableMapping[str, str],
        logger: logging.Logger,
    ) -> None:
        """Use `folder()`, which is this process's alone, once there is something to keep."""
        self._make_folder = folder
        self._environment = environment
        self._logger = logger
        self._folder: Path | None = None

    def keep(self, token: str, authority: str, cache: str) -> None:
        """Keep this, in place of what was there. Never raises: other work goes on without data."""
        try:
            self._keep(token, authority, cache)
        except OSError:
            self._logger.exception("the token for data cannot be kept")

    def _keep(self, token: str, authority: str, cache: str) -> None:
        if self._folder is None:
            self._folder = self._make_folder()
            make_private_folder(self._folder)
            self._environment["XDG_RUNTIME_DIR"] = str(self._folder)
            for name, value in CONNECTION.items():
                self._environment.setdefault(name, value)
        path = token_file(self._environment)
        if not token:
            path.unlink(missing_ok=True)
            self._logger.info("token for data withdrawn")
            return
        if cache:
            self._environment["CASITA_XCACHE"] = cache
        if authority:
            write_private(self._folder / AUTHORITY, authority.encode())
            self._environment.setdefault("X509_CERT_FILE", str(self._folder / AUTHORITY))
        write_private(path, token.encode())
        self._logger.info("token for data received, kept in %s", path)


class DataTokenPlugin(SchedulerPlugin):  # type: ignore[misc] # distributed has no types
    """Sends the token to each worker when it comes, and to all when it was renewed."""

    name = MESSAGE

    def __init__(
        self,
        scheduler: Scheduler,
        read: Callable[[], DataAccess],
        keeper: Keeper | None,
        logger: logging.Logger,
    ) -> None:
        """Send what `read` returns; `keeper` keeps it for the scheduler's own process."""
        self._scheduler = scheduler
        self._read = read
        self._keeper = keeper
        self._logger = logger
        self._access = DataAccess()
        self._trouble = ""

    def poll(self) -> None:
        """Send what has changed since the last time. Never raises: there will be a next time."""
        try:
            access = self._read()
        except TokenError as error:
            self._refuse(str(error))
            return
        self._trouble = ""
        if access == self._access or not (access.token or self._access.token):
            return
        self._access = access
        if self._keeper is not None:
            self._keeper.keep(**asdict(access))
        workers = list(self._scheduler.workers)
        for worker in workers:
            self._send(worker)
        self._logger.info(
            "token for data %s, sent to %d workers",
            "read" if access.token else "withdrawn",
            len(workers),
        )

    def _refuse(self, reason: str) -> None:
        if reason != self._trouble:
            self._trouble = reason
            self._logger.error("the token sent before stays in use: %s", reason)

    def add_worker(self, scheduler: Scheduler, worker: str) -> None:  # noqa: ARG002 - as called
        """Send the token to a worker that registers, ahead of any task."""
        if self._access.token:
            self._send(worker)

    def _send(self, worker: str) -> None:
        # A worker that has not said so would end at a message that it does not know.
        if MESSAGE in self._scheduler.workers[worker].extra:
            self._scheduler.worker_send(worker, {"op": MESSAGE, **asdict(self._access)})


def send_token(
    scheduler: Scheduler,
    read: Callable[[], DataAccess],
    runtime: Path | None,
    seconds: float,
    logger: logging.Logger,
) -> None:
    """Let `scheduler` follow what `read` returns, looking every `seconds`, until it closes.

    Args:
        scheduler: the scheduler.
        read: returns what is mounted now.
        runtime: folder for the scheduler's own process; `None` where it reads no data itself.
        seconds: between two looks.
        logger: told of names and times, never of the token.
    """
    keeper = Keeper(lambda: runtime, os.environ, logger) if runtime is not None else None
    plugin = DataTokenPlugin(scheduler, read, keeper, logger)
    scheduler.add_plugin(plugin, name=MESSAGE)
    plugin.poll()
    callback = PeriodicCallback(plugin.poll, seconds * 1000)
    scheduler.periodic_callbacks[MESSAGE] = callback
    callback.start()


def receive_token(worker: Worker, runtime: Path | None, logger: logging.Logger) -> None:
    """Let `worker`, before it registers, take the token that its scheduler sends.

    Args:
        worker: the worker.
        runtime: folder for it; `None` for a new one in the scratch space of the job or the worker.
        logger: told where it is kept.
    """

    def folder() -> Path:
        scratch = os.environ.get("_CONDOR_SCRATCH_DIR") or worker.local_directory
        return runtime or Path(tempfile.mkdtemp(prefix="casita-", dir=scratch))

    keeper = Keeper(folder, os.environ, logger)
    worker.stream_handlers[MESSAGE] = keeper.keep
    worker.startup_information[MESSAGE] = lambda _: True
