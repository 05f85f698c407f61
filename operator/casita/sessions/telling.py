"""What is told of a session: its status, written when it says something new, and events."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from casita.clients.errors import ApiError
from casita.clients.kubernetes import KubernetesClient
from casita.manifests.common import Owner
from casita.sessions.cache import STATUS, Cache, SessionKey, SessionRecord
from casita.sessions.events import event, transitions
from casita.sessions.queue import RetryLaterError

logger = logging.getLogger(__name__)


class Teller:
    """Writes statuses and events, and keeps the cache true."""

    def __init__(
        self, client: KubernetesClient, cache: Cache, clock: Callable[[], datetime]
    ) -> None:
        self._client = client
        self._cache = cache
        self._clock = clock

    async def tell(
        self, key: SessionKey, owner: Owner, record: SessionRecord, status: dict[str, Any]
    ) -> SessionRecord:
        """Write the status if it says something new, and the events that the change is worth.

        Returns:
            The session with this status.

        Raises:
            RetryLaterError: the API server refused.
        """
        told = without_nulls(status)
        if told == record.status:
            return record
        try:
            with self._cache.writing(key, STATUS):
                answer = await self._client.write_status(*key, record.uid, status)
                self._cache.status_written(key, answer["metadata"], told)
        except ApiError as error:
            if error.status == 404:
                # Its end may have gone untold: kopf lists again after a gap, and tells no loss.
                self._cache.session_gone(*key, record.uid)
                return record
            raise RetryLaterError(str(error), error.retry_after) from error
        for kind, reason, message in transitions(record.status, status):
            await self.post(owner, kind, reason, message, "Reconcile")
        return replace(record, status=told)

    async def post(self, owner: Owner, kind: str, reason: str, message: str, action: str) -> None:
        """Record an event; one that is refused is missed by nobody's work."""
        manifest = event(owner, kind, reason, message, action, self._clock())
        try:
            await self._client.post_event(manifest)
        except ApiError as error:
            logger.warning("event not recorded: %s", error)


def without_nulls(patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return a merge patch as the server keeps it (RFC 7396): what is null in objects is left out.

    Lists are kept as they are.
    """
    return {
        name: without_nulls(value) if isinstance(value, dict) else value
        for name, value in patch.items()
        if value is not None
    }
