"""Sessions on the API server, by the client that kubespawner brings; one watch for all servers."""

import json
from collections.abc import Awaitable
from typing import Any, Final

from aiohttp import ClientError
from kubernetes_asyncio.client import ApiException, CustomObjectsApi
from kubespawner.clients import shared_client
from kubespawner.reflector import ResourceReflector
from traitlets import Unicode

from casita.api.names import GROUP, PLURAL, VERSION
from casita.hub.errors import SessionError
from casita.hub.sessions import Json, Wanted, new_session, rerun_patch, start_patch, stop_patch

_MERGE: Final = "application/merge-patch+json"


class SessionApi(CustomObjectsApi):  # type: ignore[misc] # kubernetes_asyncio has no types
    """The generic client with a method of the shape that reflectors call."""

    async def list_namespaced_session(self, namespace: str, **options: Any) -> Any:
        """List or watch the sessions of a namespace.

        :rtype: object
        """
        return await self.list_namespaced_custom_object(
            GROUP, VERSION, namespace, PLURAL, **options
        )


class SessionReflector(ResourceReflector):  # type: ignore[misc] # kubespawner has no types
    """Keeps a copy of all sessions of one namespace."""

    kind = Unicode("analysissessions")
    list_method_name = Unicode("list_namespaced_session")
    api_group_name = Unicode("CustomObjectsApi")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.api: Any = SessionApi(shared_client(self.api_group_name).api_client)

    def session(self, name: str) -> Json | None:
        """Return a session as last seen."""
        found: Json | None = self.resources.get(f"{self.namespace}/{name}")
        return found


class SessionStore:
    """What the hub does with sessions, in one namespace; each failure is told in words."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._api = shared_client("CustomObjectsApi")

    async def run(self, wanted: Wanted) -> None:
        """Create the session, or start it anew if it is there.

        Raises:
            SessionError: it is somebody else's, or the server refused; in words for the user.
        """
        create = self._api.create_namespaced_custom_object
        made = create(GROUP, VERSION, self._namespace, PLURAL, new_session(wanted))
        if await _answer(made, f"make session {wanted.name}", 409) is not None:
            return
        present = await self._read(wanted.name)
        if present is None:
            raise SessionError(f"session {wanted.name} has just been deleted: try again")
        owner = present["spec"]["user"]
        if owner != wanted.user:
            raise SessionError(
                f"a session named {wanted.name} exists and is user {owner}'s: ask an admin"
            )
        if "deletionTimestamp" in present["metadata"]:
            raise SessionError(f"session {wanted.name} is still being deleted: try again soon")
        patch = start_patch(wanted, present["metadata"]["uid"])
        await _answer(self._patch(wanted.name, patch), f"start session {wanted.name}")

    async def stop(self, name: str, user: str) -> None:
        """Stop a session, if it is there and this user's.

        Raises:
            SessionError: the server refused.
        """
        present = await self._read(name)
        if present is not None and present["spec"]["user"] == user:
            patch = stop_patch(present["metadata"]["uid"])
            await _answer(self._patch(name, patch), f"stop session {name}", 404)

    async def run_anew(self, name: str, user: str, run: str) -> None:
        """Start a session anew, if it is there and this user's; nothing else of it changes.

        Raises:
            SessionError: the server refused.
        """
        present = await self._read(name)
        if present is not None and present["spec"]["user"] == user:
            patch = rerun_patch(present["metadata"]["uid"], run)
            await _answer(self._patch(name, patch), f"start session {name}", 404)

    async def delete(self, name: str, user: str) -> None:
        """Delete a session, if it is there and this user's.

        Raises:
            SessionError: the server refused.
        """
        present = await self._read(name)
        if present is None or present["spec"]["user"] != user:
            return
        options = {"preconditions": {"uid": present["metadata"]["uid"]}}
        deleted = self._api.delete_namespaced_custom_object(
            GROUP, VERSION, self._namespace, PLURAL, name, body=options
        )
        await _answer(deleted, f"delete session {name}", 404)

    async def _read(self, name: str) -> Json | None:
        read = self._api.get_namespaced_custom_object
        answer = read(GROUP, VERSION, self._namespace, PLURAL, name)
        found: Json | None = await _answer(answer, f"read session {name}", 404)
        return found

    def _patch(self, name: str, body: Json) -> Awaitable[Any]:
        patched: Awaitable[Any] = self._api.patch_namespaced_custom_object(
            GROUP, VERSION, self._namespace, PLURAL, name, body, _content_type=_MERGE
        )
        return patched


async def _answer(answer: Awaitable[Any], what: str, *accepted: int) -> Any:
    """Return the server's answer; nothing if it refuses with a status that is `accepted`.

    Raises:
        SessionError: it refused otherwise, in its own words, as policies say there what to do; or
            it does not answer.
    """
    try:
        return await answer
    except ApiException as error:
        if error.status in accepted:
            return None
        raise SessionError(f"cannot {what}: {_words(error)}") from error
    except (ClientError, TimeoutError) as error:
        raise SessionError(f"cannot {what}: the Kubernetes API does not answer") from error


def _words(error: ApiException) -> str:
    try:
        message = json.loads(error.body or "{}").get("message")
    except ValueError:
        message = None
    return str(message or error.reason or "no answer")
