"""Preload of a session's scheduler: ``dask scheduler --preload casita.dask.scheduler``.

Keeps worker names for routing by SNI, closes the dashboard to strangers, answers health probes,
loads renewed certificates, sends workers the token for data and dials them back; finds how many
workers the work could use, takes the user's word on it, and reports all that to the operator.
"""

import functools
import logging
import os
import time
from typing import Final

from distributed import Scheduler
from distributed.core import Status
from distributed.versions import get_versions

from casita.access.registration import register_root
from casita.dask.adaptive import Adaptive
from casita.dask.addresses import keep_names
from casita.dask.dashboard import serve_dashboard
from casita.dask.data_token import read_access, send_token
from casita.dask.departures import Departures
from casita.dask.dialback import Dialler
from casita.dask.hand import Hand
from casita.dask.health import serve_health
from casita.dask.mismatches import look_for_mismatches, versions_of
from casita.dask.openssl import contain_broken_connections
from casita.dask.packages import Shelf
from casita.dask.report import Content, Reporter
from casita.dask.server import comm_contexts, leaf_files, serve_until_closed, watch_leaf
from casita.dask.settings import SchedulerSettings, scheduler_settings
from casita.dask.usage import Usage
from casita.dask.watch import share_watching

logger: Final = logging.getLogger("distributed.casita")
"""Below distributed's own, whose configuration prints it."""


async def dask_setup(scheduler: Scheduler) -> None:
    """Set the scheduler up, or end the process: a scheduler half set up would be open or deaf."""
    try:
        _set_up(scheduler, scheduler_settings(os.environ))
    except Exception as error:
        # distributed logs an exception of a preload and goes on; this is one that it lets through.
        raise SystemExit(f"casita.dask.scheduler: {error}") from error


def _set_up(scheduler: Scheduler, settings: SchedulerSettings) -> None:
    contexts = comm_contexts(scheduler)
    contain_broken_connections()
    files = leaf_files(scheduler.security, "scheduler")
    dashboard = serve_dashboard(scheduler, files, settings.dashboard_port)
    keep_names(scheduler)
    contexts.append(dashboard)
    watch_leaf(scheduler, "scheduler", lambda: contexts, settings.reload_seconds, logger)
    send_token(
        scheduler,
        functools.partial(read_access, settings.tokens_directory, settings.cache),
        settings.runtime_directory,
        settings.reload_seconds,
        logger,
    )
    register_root()
    health = serve_health(settings.health_port, lambda: is_listening(scheduler))
    serve_until_closed(scheduler, "health", health, settings.health_port)
    _observe(scheduler, settings)


def _observe(scheduler: Scheduler, settings: SchedulerSettings) -> None:
    # All loops live in the scheduler's own group of tasks, which cancels them when it closes.
    start = scheduler._ongoing_background_tasks.call_soon

    def changed() -> None:
        if reporter is not None:
            reporter.notify()

    def content() -> Content:
        return Content(
            contacts=dialler.contacts(),
            demand=adaptive.tell().body(),
            idle_seconds=usage.idle_seconds(),
            mismatches=mismatches(),
        )

    dialler = Dialler(
        scheduler, settings.dial_seconds, settings.dial_timeout_seconds, changed, logger
    )
    usage = Usage(scheduler, time.monotonic, changed)
    usage.tell()
    adaptive = Adaptive(scheduler, settings.target_seconds, settings.scale_down_seconds, changed)
    departures = Departures(time.time)
    scheduler.add_plugin(departures, name=departures.name)
    own = versions_of(get_versions())
    mismatches = functools.partial(look_for_mismatches, scheduler, own)
    reporter = Reporter(settings.report, content, logger) if settings.report else None
    Hand(scheduler, adaptive, reporter, departures.last, mismatches).install()
    Shelf(scheduler, logger).open()
    share_watching(scheduler)
    start(dialler.run)
    start(adaptive.run)
    start(usage.run)
    if reporter is not None:
        start(reporter.run)


def is_listening(scheduler: Scheduler) -> bool:
    """Say whether the scheduler has started and all its listeners are open."""
    listeners = [listener.tcp_server is not None for listener in scheduler.listeners]
    return scheduler.status == Status.running and bool(listeners) and all(listeners)
