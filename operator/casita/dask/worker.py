"""Preload of a session's worker: ``dask worker --no-nanny --preload casita.dask.worker``.

Drains on SIGTERM and at the end of its lifetime, answers health probes, loads renewed certificates
and takes the token for data.
"""

import functools
import gc
import logging
import os
from typing import Final

from distributed import Worker

from casita.access.registration import register_root
from casita.dask.addresses import advertise
from casita.dask.data_token import receive_token
from casita.dask.drain import Drain, is_registered
from casita.dask.health import serve_health
from casita.dask.openssl import contain_broken_connections
from casita.dask.server import comm_contexts, serve_until_closed, watch_leaf
from casita.dask.settings import WorkerSettings, worker_settings

logger: Final = logging.getLogger("distributed.casita")
"""Below distributed's own, whose configuration prints it."""


_GARBAGE_AFTER: Final = (2000, 10, 10)
"""Objects made between two searches for cycles: Python's own. ``dask worker`` triples each number,
so that the last search comes 27 times as seldom; a task that opens file after file with uproot,
each a heap of cycles, then grows until it is killed, though in a notebook it stays small."""


async def dask_setup(worker: Worker) -> None:
    """Set the worker up before it registers, or end the process: half set up it would lose data."""
    try:
        _set_up(worker, worker_settings(os.environ))
    except Exception as error:
        # distributed logs an exception of a preload and goes on; this is one that it lets through.
        raise SystemExit(f"casita.dask.worker: {error}") from error


def _set_up(worker: Worker, settings: WorkerSettings) -> None:
    gc.set_threshold(*_GARBAGE_AFTER)
    # Even without a dashboard distributed serves facts of the worker, in plain, to everyone.
    worker.services.pop("dashboard").stop()
    contexts = functools.partial(comm_contexts, worker)
    contexts()  # refuses what is not TLS, before anything is registered
    contain_broken_connections()
    if settings.contact_address:
        advertise(worker, settings.contact_address)
    watch_leaf(worker, "worker", contexts, settings.reload_seconds, logger)
    receive_token(worker, settings.runtime_directory, logger)
    register_root()
    if settings.health_port is not None:
        health = serve_health(settings.health_port, lambda: is_registered(worker))
        serve_until_closed(worker, "health", health, settings.health_port)
    Drain(worker, settings.drain_seconds, logger).install(settings.lifetime_seconds)
