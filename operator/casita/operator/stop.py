"""Stop the sessions that may have batch jobs, before the operator goes.

Runs as a hook of the chart, while the operator is still there: it removes the jobs and lets go of
the sessions. Sessions without jobs hold nothing and are left as they are.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Final
from urllib.parse import quote

from casita.api.names import BATCH_FINALIZER
from casita.api.session import Lifecycle
from casita.clients.errors import ApiError
from casita.clients.kubernetes import Connection, Json, KubernetesClient, open_session
from casita.manifests.resources import ANALYSIS_SESSION

logger = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 2.0
_PAGE: Final = 200


class NotStoppedError(Exception):
    """Sessions are still held; the message names them and says what to do."""


async def stop_sessions(
    connection: Connection, namespaces: Sequence[str], seconds: float, pause: float = PAUSE_SECONDS
) -> None:
    """Stop every session that may have jobs, and wait until the operator has let go of all.

    Args:
        connection: the API server.
        namespaces: where sessions are.
        seconds: how long to wait.
        pause: how long to wait before looking again, in seconds.

    Raises:
        NotStoppedError: some are still held after that time.
        ApiError: the sessions can neither be read nor changed.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    async with open_session(connection) as session:
        client = KubernetesClient(session, connection.server)
        while held := [each async for each in _held(client, namespaces)]:
            names = ", ".join(map(_named, held))
            if loop.time() >= deadline:
                raise NotStoppedError(
                    f"sessions {names} still have jobs, or the operator does not answer: look at "
                    "their events and at its log, and uninstall again; to leave the jobs, uninstall"
                    f" with --no-hooks, and then take the finalizer {BATCH_FINALIZER} away by hand"
                )
            for each in held:
                await _stop(client, each)
            logger.info("waiting for the jobs of sessions %s", names)
            await asyncio.sleep(pause)
    logger.info("no session has jobs")


async def _held(client: KubernetesClient, namespaces: Sequence[str]) -> AsyncIterator[Json]:
    for namespace in namespaces:
        more = ""
        while True:
            path = f"{ANALYSIS_SESSION.path(namespace)}?limit={_PAGE}{more}"
            try:
                page = await client.list_page(path, "application/json")
            except ApiError as error:
                if error.status == 404:  # the kind is not served any more: there is none
                    break
                raise
            for each in page.get("items") or ():
                if BATCH_FINALIZER in (each["metadata"].get("finalizers") or ()):
                    yield each
            token = (page.get("metadata") or {}).get("continue")
            if not token:
                break
            more = f"&continue={quote(token)}"


async def _stop(client: KubernetesClient, session: Json) -> None:
    metadata = session["metadata"]
    gone = "deletionTimestamp" in metadata
    if gone or session["spec"].get("lifecycle") == Lifecycle.STOPPED:
        return
    try:
        await client.stop_session(metadata["namespace"], metadata["name"], metadata["uid"])
    except ApiError as error:
        if error.status not in {404, 409}:  # gone by now, or another of the same name
            raise


def _named(session: Json) -> str:
    metadata = session["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}"
