"""``python -m casita.hub.status``, started by the hub as one of its services.

Where the hub is and who the service is to it come as variables (JupyterHub's "Services" page).
"""

import argparse
import asyncio
import contextlib
import logging
import os
import secrets
import signal
import sys
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from kubernetes_asyncio.client import ApiException
from kubespawner.clients import load_config

from casita.hub.status.board import Board
from casita.hub.status.handlers import application
from casita.hub.status.hub_api import HubApi
from casita.hub.status.orphans import GRACE_SECONDS, Orphans
from casita.hub.status.servers import Limits
from casita.hub.store import SessionReflector, SessionStore

logger = logging.getLogger("casita.hub.status")

RETRY_SECONDS: Final = 2.0


def main() -> None:
    """Serve until ended; without a watch, end, and be started anew by the hub."""
    parser = argparse.ArgumentParser(prog="python -m casita.hub.status", description=__doc__)
    parser.add_argument("--namespace", required=True, help="of the sessions")
    parser.add_argument("--hub-name", required=True, help="what the hub's sessions bear")
    parser.add_argument("--address", default="0.0.0.0", help="to listen at")  # noqa: S104
    parser.add_argument("--idle-seconds", type=int, default=0, help="until unused servers end")
    parser.add_argument("--age-seconds", type=int, default=0, help="until old servers end")
    parser.add_argument(
        "--orphan-seconds",
        type=int,
        default=GRACE_SECONDS,
        help="until sessions whose servers are gone are stopped",
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="[%(levelname)s %(name)s] %(message)s")
    load_config()
    # In this way a hub ends its services, also one that was started with the signal ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(arguments))


async def serve(arguments: argparse.Namespace) -> None:
    """Listen where the hub's proxy looks for it, and watch."""
    ended = asyncio.Event()
    watch = SessionReflector(namespace=arguments.namespace, on_failure=ended.set)
    limits = Limits(_delta(arguments.idle_seconds), _delta(arguments.age_seconds))
    hub = HubApi(os.environ["JUPYTERHUB_API_URL"], os.environ["JUPYTERHUB_API_TOKEN"])
    orphans = Orphans(arguments.hub_name, arguments.orphan_seconds)
    store = SessionStore(arguments.namespace)
    board = Board(watch, store, hub, arguments.hub_name, limits, orphans, logger)
    service = application(
        board,
        os.environ["JUPYTERHUB_SERVICE_PREFIX"],
        f"{os.environ['JUPYTERHUB_BASE_URL'].rstrip('/')}/hub/",
        secrets.token_bytes(32),
    )
    port = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"]).port or 80
    service.listen(port, arguments.address)
    logger.info("listening at %s:%d", arguments.address, port)
    await _begin(watch)
    following = asyncio.create_task(board.follow_hub())
    await asyncio.wait(
        [following, asyncio.create_task(ended.wait())], return_when=asyncio.FIRST_COMPLETED
    )
    if following.done():
        following.result()
    sys.exit("the watch of the sessions has ended")


async def _begin(watch: SessionReflector) -> None:
    """Begin to watch, once the API server answers: a hub would end with a service that ends."""
    while True:
        try:
            await watch.start()
        except (ApiException, OSError, TimeoutError) as error:
            logger.warning("sessions cannot be watched yet: %s", str(error).partition("\n")[0])
            await asyncio.sleep(RETRY_SECONDS)
        else:
            return


def _delta(seconds: int) -> timedelta | None:
    return timedelta(seconds=seconds) if seconds else None


if __name__ == "__main__":
    main()
