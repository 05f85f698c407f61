"""The front door of ServiceX: ``python -m casita.columns``."""

import argparse
import asyncio
import logging
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from casita.columns import users
from casita.columns.cluster import authorities, in_cluster
from casita.columns.database import Database
from casita.columns.metrics import Metrics
from casita.columns.proxy import Door
from casita.columns.reaper import Reaper
from casita.columns.refusal import RefusedError
from casita.columns.s3 import Keys
from casita.columns.sessions import Sessions
from casita.columns.settings import Settings, load, secret
from casita.columns.store import Store
from casita.columns.submission import Rules
from casita.columns.tokens import Tokens
from casita.config.base import ConfigurationError
from casita.credentials.token import SigningKey

logger: Final = logging.getLogger("casita.columns")


def health(metrics: Metrics, database: Database) -> web.Application:
    """Return what probes and Prometheus ask: is it up, can it serve, what did it count."""

    async def show(_: web.Request) -> web.Response:
        body = generate_latest(metrics.registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def alive(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def ready(_: web.Request) -> web.Response:
        try:
            await users.count(database)
        except RefusedError as error:
            return web.Response(status=503, text=f"{error.words}\n")
        return web.Response(text="ok\n")

    app = web.Application()
    app.router.add_get("/metrics", show)
    app.router.add_get("/healthz", alive)
    app.router.add_get("/readyz", ready)
    return app


def object_store(settings: Settings, secrets: Path, http: aiohttp.ClientSession) -> Store | None:
    """Return the chart's own object store, if there is one.

    Raises:
        ConfigurationError: its keys are not there.
    """
    if settings.object_store is None:
        return None
    access, hidden = (
        secret(f"object-store-{name}-key", secrets).decode() for name in ("access", "secret")
    )
    return Store(http, settings.object_store, Keys(access, hidden))


async def run(settings: Settings, options: argparse.Namespace, stop: asyncio.Event) -> None:
    """Serve until `stop`.

    Raises:
        ConfigurationError: a key of the Secret or the service account is not there.
    """
    metrics = Metrics()
    key = SigningKey(secret("jwt-secret-key", options.secrets), "")
    password = secret("postgres-password", options.secrets).decode()
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        )
        api = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=authorities()))
        )
        database = Database(settings.database, password)
        stack.push_async_callback(database.close)
        cluster = in_cluster(api)
        sessions = Sessions(cluster, settings.session_namespaces, time.monotonic)
        store = object_store(settings, options.secrets, app)
        door = Door(
            settings.app,
            app,
            Tokens(key, settings.issuer, settings.access_seconds),
            sessions,
            database,
            Rules(settings.code_generators, settings.images, settings.limits),
            metrics,
            time.time,
            store,
        )
        for served, port in ((door.application(), 5000), (health(metrics, database), 9100)):
            runner = web.AppRunner(served, access_log=None)
            stack.push_async_callback(runner.cleanup)
            await runner.setup()
            await web.TCPSite(runner, port=port).start()
        reaping = asyncio.create_task(
            Reaper(cluster, database, sessions, settings.transformers, metrics, store).run()
        )
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({reaping, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in (reaping, stopping):
            task.cancel()
        if not stop.is_set():
            await reaping


async def _main(settings: Settings, options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await run(settings, options, stop)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="casita.columns", description=__doc__)
    parser.add_argument("--settings", type=Path, required=True, help="YAML, made by the chart")
    parser.add_argument("--secrets", type=Path, required=True, help="folder of the mounted Secret")
    parser.add_argument("--log-level", default="info")
    options = parser.parse_args(argv)
    logging.basicConfig(
        level=options.log_level.upper(),
        format="%(asctime)s %(name)s %(levelname)s %(message)s",
        force=True,
    )
    try:
        asyncio.run(_main(load(options.settings), options))
    except ConfigurationError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
