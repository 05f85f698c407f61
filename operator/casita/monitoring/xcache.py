"""The cache's metrics sidecar: ``python -m casita.monitoring.xcache``.

Takes the cache's packets on the loopback of their pod, and shows metrics over HTTP.
"""

import argparse
import asyncio
import logging
import signal
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from casita.monitoring.metrics import EVENTS, SUMMARY, CacheMetrics
from casita.xcache.probe import ProbeError, ask

logger: Final = logging.getLogger("casita.monitoring")

LOOPBACK: Final = "127.0.0.1"
"""Only what runs in the pod is heard."""
ORIGIN_SECONDS: Final = 30.0
ORIGIN_TIMEOUT: Final = 5.0


class Listener(asyncio.DatagramProtocol):
    """Gives the packets of one stream to the metrics."""

    def __init__(self, metrics: CacheMetrics, stream: str) -> None:
        self._metrics = metrics
        self._stream = stream

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:  # noqa: ARG002
        """Take one packet."""
        self._metrics.take(self._stream, data)


def application(metrics: CacheMetrics) -> web.Application:
    """Return the web application: metrics, and whether it lives."""

    async def show(_: web.Request) -> web.Response:
        body = generate_latest(metrics.registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def healthy(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    app = web.Application()
    app.router.add_get("/metrics", show)
    app.router.add_get("/healthz", healthy)
    return app


async def watch_origin(metrics: CacheMetrics, origin: str) -> None:
    """Ask the origin again and again whether it answers; tell each change."""
    host, _, port = origin.rpartition(":")
    before: bool | None = None
    while True:
        said = ""
        try:
            await asyncio.to_thread(ask, host, int(port), timeout=ORIGIN_TIMEOUT)
        except ProbeError as error:
            said = str(error)
        metrics.tell_origin(origin, up=not said)
        if before != (not said):
            before = not said
            logger.log(
                logging.INFO if before else logging.WARNING,
                "origin %s: %s",
                origin,
                said or "it answers",
            )
        await asyncio.sleep(ORIGIN_SECONDS)


async def run(options: argparse.Namespace, stop: asyncio.Event) -> None:
    """Listen until `stop`."""
    metrics = CacheMetrics(options.cache, time.monotonic)
    loop = asyncio.get_running_loop()
    transports = [
        (
            await loop.create_datagram_endpoint(
                partial(Listener, metrics, stream), local_addr=(LOOPBACK, port)
            )
        )[0]
        for stream, port in ((EVENTS, options.events_port), (SUMMARY, options.summary_port))
    ]
    runner = web.AppRunner(application(metrics), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=options.port).start()
    watching = asyncio.create_task(watch_origin(metrics, options.origin))
    stopping = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait({watching, stopping}, return_when=asyncio.FIRST_COMPLETED)
    for task in (watching, stopping):
        task.cancel()
    for transport in transports:
        transport.close()
    await runner.cleanup()
    if watching in done:
        watching.result()


async def _main(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await run(options, stop)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s", force=True
    )
    parser = argparse.ArgumentParser(prog="casita.monitoring.xcache", description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="where the cached files are")
    parser.add_argument("--origin", required=True, help="host:port")
    parser.add_argument("--summary-port", type=int, default=9931)
    parser.add_argument("--events-port", type=int, default=9932)
    parser.add_argument("--port", type=int, default=9100)
    asyncio.run(_main(parser.parse_args(argv)))


if __name__ == "__main__":
    main()
