"""Users' packages at the scheduler, and from there in every worker before its first task.

The scheduler needs them itself: it unpickles what it is told to compute. A worker sets its plugins
up before it looks at tasks (``Worker._register_with_scheduler``), whenever it comes, so a plugin
fetches each archive, in pieces, by the connection that the worker has.
"""

import asyncio
import importlib.metadata
import logging
import pickle
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from distributed import Scheduler, Worker, WorkerPlugin
from packaging.utils import canonicalize_name

from casita.dask.bundle import Bundle, PackagesError, check_size, make_importable, unpack

INSTALL: Final = "casita_install"
FETCH: Final = "casita_fetch"
INSTALLED: Final = "casita_installed"

PIECE_BYTES: Final = 4 * 2**20
MAX_TOLD: Final = 5

_UNPACKED: Final = "_casita_unpacked"
"""Attribute of a worker: the folders that are whole."""


class Packages(WorkerPlugin):  # type: ignore[misc] # distributed has no types
    """Fetches archives into a worker.

    One plugin for all of them: a worker sets plugins up side by side, and the newest archive has to
    be the first that is searched.
    """

    name = "casita-packages"

    def __init__(self, archives: Sequence[tuple[str, int]]) -> None:
        """Fetch `archives`, digests and sizes, the newest last."""
        self._archives = tuple(archives)

    async def setup(self, worker: Worker) -> None:
        """Make the archives' packages importable in this worker's process."""
        for digest, size in self._archives:
            place = Path(worker.local_directory, f"packages-{digest[:12]}")
            if place not in worker.__dict__.setdefault(_UNPACKED, set()):
                pieces = [
                    await worker.scheduler.casita_fetch(digest=digest, offset=offset)
                    for offset in range(0, size, PIECE_BYTES)
                ]
                await asyncio.to_thread(unpack, b"".join(pieces), digest, place)
                worker.__dict__[_UNPACKED].add(place)
            make_importable(place)


class Shelf:
    """The archives of one scheduler."""

    def __init__(self, scheduler: Scheduler, logger: logging.Logger) -> None:
        self._scheduler = scheduler
        self._logger = logger
        self._bundles: dict[str, Bundle] = {}
        """The newest last."""
        self._folders: dict[str, Path] = {}
        # Before any archive is there: the image's own.
        self._own = {
            canonicalize_name(found.name): found.version
            for found in importlib.metadata.distributions()
            if found.name
        }

    def open(self) -> None:
        """Let the scheduler take archives of clients, and give them to workers."""
        self._scheduler.handlers[INSTALL] = self.install
        self._scheduler.handlers[INSTALLED] = self.installed
        self._scheduler.handlers[FETCH] = self.fetch

    def installed(self) -> dict[str, Any]:
        """Return what the session has without archives, and which archives are there."""
        return {
            "python": f"{sys.version_info.major}.{sys.version_info.minor}",
            "packages": self._own,
            "archives": list(self._bundles),
        }

    def fetch(self, digest: str, offset: int) -> bytes:
        """Return a piece of an archive."""
        return self._bundles[digest].data[offset : offset + PIECE_BYTES]

    async def install(
        self, digest: str, names: tuple[str, ...] = (), data: bytes = b""
    ) -> dict[str, Any]:
        """Take an archive, or use one that is there; return why it is not everywhere, if so."""
        try:
            bundle = self._bundles.pop(digest, None) or await self._take(digest, names, data)
        except (PackagesError, OSError) as error:
            return {"error": f"the scheduler cannot take it: {error}", "workers": {}}
        self._bundles[digest] = bundle  # now the newest
        make_importable(self._folders[digest])
        plugin = Packages([(kept.digest, len(kept.data)) for kept in self._bundles.values()])
        answers = await self._scheduler.register_worker_plugin(
            None, plugin=pickle.dumps(plugin), name=plugin.name, idempotent=False
        )
        failed = {
            str(worker): str(answer.get("exception_text", answer["status"]))[:300]
            for worker, answer in answers.items()
            if answer.get("status") != "OK"
        }
        return {"error": "", "workers": dict(list(failed.items())[:MAX_TOLD])}

    async def _take(self, digest: str, names: tuple[str, ...], data: bytes) -> Bundle:
        check_size(sum(len(kept.data) for kept in self._bundles.values()) + len(data), names)
        folder = Path(tempfile.mkdtemp(prefix="casita-packages-"))
        await asyncio.to_thread(unpack, data, digest, folder)
        self._folders[digest] = folder
        self._logger.info("packages taken: %s (%d bytes)", ", ".join(names), len(data))
        return Bundle(tuple(names), data, digest)
