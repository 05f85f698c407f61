"""A session's objects on the API server: made, brought back, taken away; never a stranger's."""

from collections.abc import Awaitable, Mapping

from casita.api.conditions import Reason
from casita.clients.errors import ApiError
from casita.clients.kubernetes import Json, KubernetesClient
from casita.manifests.common import Manifest, Owner
from casita.manifests.resources import POD, SECRET, Resource
from casita.sessions.cache import Cache, SessionKey
from casita.sessions.observed import Child, controller


class NameTakenError(Exception):
    """A child's name belongs to an object that is not this session's."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Objects:
    """Writes objects and keeps the cache true."""

    def __init__(self, client: KubernetesClient, cache: Cache) -> None:
        self._client = client
        self._cache = cache

    async def write(
        self, key: SessionKey, owner: Owner, resource: Resource, manifest: Manifest, uid: str | None
    ) -> None:
        """Create an object, or apply it over the one with this uid.

        Raises:
            NameTakenError: its name is a stranger's.
            ApiError: the server refused.
        """
        name = manifest["metadata"]["name"]
        if uid is not None:
            await self.note(key, resource, name, self._client.apply(resource, manifest, uid))
            return
        try:
            await self.note(key, resource, name, self._client.create(resource, manifest))
        except ApiError as error:
            if not error.name_exists:
                raise
            existing = await self.existing(owner, resource, name)
            await self._take_back(key, resource, manifest, existing["metadata"]["uid"])

    async def note(
        self, key: SessionKey, resource: Resource, name: str, write: Awaitable[Json]
    ) -> None:
        """Send a write and note what it made; its own event, early or late, is no news then.

        Raises:
            ApiError: the server refused.
        """
        with self._cache.writing(key, (resource.kind, name)):
            self._cache.written(key, resource, await write)

    async def _take_back(
        self, key: SessionKey, resource: Resource, manifest: Manifest, uid: str
    ) -> None:
        """Make a child that was not seen, for want of its label, visible again.

        Its event comes by that, and shows what else was done to it. A pod cannot be changed, and
        may well be of an earlier template.
        """
        metadata = manifest["metadata"]
        where = metadata["namespace"], metadata["name"]
        if resource is POD:
            await self._client.relabel(resource, *where, uid, metadata["labels"])
            return
        answer = await self._client.apply(resource, manifest, uid)
        if resource is SECRET:
            self._cache.written(key, resource, answer)

    async def repair(
        self, key: SessionKey, resource: Resource, manifest: Manifest, uid: str
    ) -> None:
        """Undo what somebody has edited."""
        name = manifest["metadata"]["name"]
        await self.note(key, resource, name, self._client.repair(resource, manifest, uid))

    async def relabel(self, key: SessionKey, child: Child, labels: Mapping[str, str]) -> None:
        """Put a child's labels back."""
        answer = await self._client.relabel(
            child.resource, key[0], child.name, child.uid, dict(labels)
        )
        if not child.suspect:
            self._cache.written(key, child.resource, answer)

    async def withdraw(self, key: SessionKey, child: Child, grace_seconds: int | None) -> None:
        """Delete a child; `None` leaves it the time that its own specification names."""
        await self._client.delete(child.resource, key[0], child.name, child.uid, grace_seconds)
        self._cache.removed(key, child)

    async def existing(self, owner: Owner, resource: Resource, name: str) -> Json:
        """Return the metadata of an object that has a child's name, if it is our own child.

        It is one when an earlier pass ended between a write and its note, or when somebody took
        its labels away.

        Raises:
            NameTakenError: it is not.
            ApiError: 404 if there is none.
        """
        existing = await self._client.metadata(resource, owner.namespace, name)
        found = controller(existing["metadata"])
        if found == (owner.name, owner.uid):
            return existing
        what = f"{resource.kind} {name}"
        if found is not None and found[0] == owner.name:
            raise NameTakenError(
                Reason.WAITING_FOR_PREDECESSOR,
                f"{what} of a deleted session of this name is still being removed",
            )
        raise NameTakenError(
            Reason.NAME_TAKEN,
            f"{what} exists and is not this session's; remove or rename it, it is left untouched",
        )
