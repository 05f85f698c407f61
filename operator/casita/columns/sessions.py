"""Whether a session still is: its end withdraws what its tokens allowed."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from casita.api.names import GROUP, PLURAL, VERSION
from casita.columns.cluster import METADATA, Cluster, ClusterError, Json
from casita.columns.refusal import Reason, RefusedError
from casita.columns.tokens import SessionReference

logger: Final = logging.getLogger("casita.columns")

FRESH_SECONDS: Final = 10.0
"""So long an answer is good without asking again: so long a token outlives its session."""
STALE_SECONDS: Final = 300.0
"""So long the last answer counts while the Kubernetes API does not answer."""
_KEPT: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Answer:
    at: float
    live: bool


class Sessions:
    """The sessions of the site, as the Kubernetes API knows them.

    Args:
        cluster: the Kubernetes API.
        namespaces: where sessions are.
        monotonic: seconds of a clock that never goes back.
    """

    def __init__(
        self, cluster: Cluster, namespaces: Sequence[str], monotonic: Callable[[], float]
    ) -> None:
        self._cluster = cluster
        self._namespaces = namespaces
        self._monotonic = monotonic
        self._known: dict[SessionReference, _Answer] = {}

    async def check(self, session: SessionReference) -> None:
        """Return if the session is there.

        Raises:
            RefusedError: it is over, or it cannot be known.
        """
        if session.namespace not in self._namespaces or not await self._live(session):
            raise RefusedError(
                401,
                Reason.SESSION_OVER,
                f"session {session.name} is over, and with it its right to ServiceX; "
                "start a server and use the token of its session",
            )

    async def users(self) -> frozenset[str]:
        """Return who has a session.

        Raises:
            ClusterError: it cannot be known.
        """
        found = [
            item for name in self._namespaces for item in await self._cluster.listed(_path(name))
        ]
        return frozenset(item["spec"]["user"] for item in found if _is_live(item))

    async def _live(self, session: SessionReference) -> bool:
        now = self._monotonic()
        known = self._known.get(session)
        if known is not None and now - known.at < FRESH_SECONDS:
            return known.live
        try:
            item = await self._cluster.read(f"{_path(session.namespace)}/{session.name}", METADATA)
        except ClusterError as error:
            if known is not None and now - known.at < STALE_SECONDS:
                return known.live
            logger.warning("whether session %s is there is not known: %s", session, error)
            raise RefusedError(
                503, Reason.UNAVAILABLE, "the Kubernetes API does not answer; try again soon"
            ) from error
        live = item is not None and _is_live(item) and item["metadata"]["uid"] == session.uid
        if len(self._known) >= _KEPT:
            self._known.clear()
        self._known[session] = _Answer(now, live)
        return live


def _path(namespace: str) -> str:
    return f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{PLURAL}"


def _is_live(item: Json) -> bool:
    return "deletionTimestamp" not in item["metadata"]
