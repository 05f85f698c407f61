"""List and watch of one kind in one namespace, for as long as the operator lives."""

import asyncio
import json
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import aiohttp

from casita.api.names import SESSION_LABEL
from casita.clients.errors import ApiError, from_answer
from casita.clients.kubernetes import METADATA, METADATA_LIST, KubernetesClient
from casita.manifests.resources import Resource

logger = logging.getLogger(__name__)

PAGE: Final = 100
"""Objects per answer of a list. All kinds are listed at once, and a page is held as text and as
objects: with 500, a restart over 1,000 sessions took 37 MB more, and no less time."""
SILENT_SECONDS: Final = 90.0
_NOT_SERVED_PAUSE: Final = 30.0


class Listener(Protocol):
    """Receives what a watch sees."""

    def seen(self, resource: Resource, namespace: str, item: dict[str, Any]) -> None:
        """An object is there, as `item` says."""

    def gone(self, resource: Resource, namespace: str, item: dict[str, Any]) -> None:
        """An object is there no more; `item` is its last state."""

    def listed(
        self, resource: Resource, namespace: str, names: frozenset[str], version: int
    ) -> None:
        """A full list is in: what is not of `names` and older than `version` vanished unseen."""


@dataclass
class Watch:
    """The state of one watch.

    Attributes:
        ready: set once the first list is in, or the kind is known not to be served.
        last_activity: monotonic seconds of the last answer, bookmarks included; an open watch is
            asked for anew when it brought nothing for `SILENT_SECONDS`.
        served: whether the cluster serves the kind.
        version: up to where everything was told; `None` before the first list.
    """

    resource: Resource
    namespace: str
    metadata_only: bool
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    last_activity: float = field(default_factory=time.monotonic)
    served: bool = True
    version: str | None = None

    async def run(self, client: KubernetesClient, listener: Listener) -> None:
        """List, then watch, over and over; every failure is followed by a short pause.

        A new list follows only when the server says that the watch's version has expired or the
        stream broke in a way that may have lost something.
        """
        while True:
            try:
                if self.version is None:
                    self.version = await self._list(client, listener)
                    self.served = True
                    self.ready.set()
                await self._follow(client, listener)
            except ApiError as error:
                self.version = None
                if error.status == 404:
                    self._note_not_served(error)
                    await asyncio.sleep(_NOT_SERVED_PAUSE)
                    continue
                if error.status != 410:
                    logger.warning("watch will list again: %s", error)
                await asyncio.sleep(random.uniform(0.2, 1.0))  # noqa: S311 - jitter
            except TimeoutError:
                # Bookmarks are a courtesy of the server: of a kind that nobody has written to since
                # it started, it sends none. Asking again shows that it is there.
                logger.debug("watch of %s in %s asks again", self.resource.plural, self.namespace)
            except (aiohttp.ClientError, OSError, ValueError) as error:
                logger.warning(
                    "watch of %s in %s broke, resumes: %r",
                    self.resource.plural,
                    self.namespace,
                    error,
                )
                await asyncio.sleep(random.uniform(0.2, 1.0))  # noqa: S311 - jitter

    def _note_not_served(self, error: ApiError) -> None:
        if self.served:
            logger.error("%s is not served by this cluster: %s", self.resource.kind, error)
        self.served = False
        self.last_activity = time.monotonic()
        self.ready.set()

    async def _list(self, client: KubernetesClient, listener: Listener) -> str:
        names: set[str] = set()
        token = ""
        while True:
            query = f"?labelSelector={SESSION_LABEL}&limit={PAGE}"
            path = self.resource.path(self.namespace) + query
            if token:
                path += f"&continue={token}"
            page = await client.list_page(
                path, METADATA_LIST if self.metadata_only else "application/json"
            )
            for item in page["items"] or ():  # the server writes null for an empty metadata list
                names.add(item["metadata"]["name"])
                listener.seen(self.resource, self.namespace, item)
            self.last_activity = time.monotonic()
            token = page["metadata"].get("continue", "")
            if not token:
                version: str = page["metadata"]["resourceVersion"]
                listener.listed(self.resource, self.namespace, frozenset(names), int(version))
                return version

    async def _follow(self, client: KubernetesClient, listener: Listener) -> None:
        seconds = random.randint(290, 580)  # noqa: S311 - spreads the reconnects
        path = (
            f"{self.resource.path(self.namespace)}?labelSelector={SESSION_LABEL}&watch=1"
            f"&allowWatchBookmarks=true&timeoutSeconds={seconds}&resourceVersion={self.version}"
        )
        accept = METADATA if self.metadata_only else "application/json"
        async with client.stream(path, accept, SILENT_SECONDS) as response:
            if response.status != 200:
                body = await response.read()
                raise from_answer(f"watch {self.resource.plural}", response.status, body, None)
            self.last_activity = time.monotonic()
            async for line in response.content:
                self.last_activity = time.monotonic()
                event = json.loads(line)
                item = event["object"]
                if event["type"] == "ERROR":
                    code = int(item.get("code", 0))
                    raise ApiError(f"watch {self.resource.plural}", code, item.get("reason", ""))
                if event["type"] != "BOOKMARK":
                    deliver: Callable[[Resource, str, dict[str, Any]], None] = (
                        listener.gone if event["type"] == "DELETED" else listener.seen
                    )
                    deliver(self.resource, self.namespace, item)
                self.version = item["metadata"]["resourceVersion"]
