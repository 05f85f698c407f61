"""All that the page shows, kept true by one watch and one look at the hub now and then."""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any, Final
from uuid import uuid4

from casita.hub.errors import SessionError
from casita.hub.names import session_user
from casita.hub.sessions import Json
from casita.hub.status.hub_api import HubApi
from casita.hub.status.orphans import Orphans
from casita.hub.status.servers import Limits, Server, is_of_hub, owner_at_hub
from casita.hub.status.view import session_view, site_view
from casita.hub.store import SessionReflector, SessionStore

HUB_SECONDS: Final = 5.0
"""Between two looks at the hub."""

STOP_SECONDS: Final = 60.0
"""Until a server that is to start anew must have stopped."""


class Board:
    """Sessions and their servers, and what people may do with them."""

    def __init__(
        self,
        watch: SessionReflector,
        store: SessionStore,
        hub: HubApi,
        hub_name: str,
        limits: Limits,
        orphans: Orphans,
        logger: logging.Logger,
    ) -> None:
        """Show what `watch` sees; act by `store` and `hub`, whose sessions bear `hub_name`."""
        self._watch = watch
        self._store = store
        self._hub = hub
        self._hub_name = hub_name
        self._limits = limits
        self._logger = logger
        self._servers: dict[str, Server] = {}
        self._orphans = orphans
        self.trouble = "sessions are not known yet: this page has just been started"
        """Why what is shown may not be true, in words; empty if it is."""
        self.site: list[Json] = site_view(())
        """How the site's services are, as all sessions together meet them."""

    async def follow_hub(self) -> None:
        """Look at the hub until cancelled, and stop sessions whose servers are gone."""
        while True:
            self.site = site_view(self.sessions())
            try:
                self._servers = await self._hub.servers()
                self.trouble = ""
            except SessionError as error:
                if self.trouble != str(error):
                    self._logger.warning("servers are not known: %s", error)
                self.trouble = str(error)
            else:
                await self._end_orphans()
            await asyncio.sleep(HUB_SECONDS)

    async def _end_orphans(self) -> None:
        orphans = self._orphans.look(self.sessions(), self._servers, time.monotonic())
        for session in orphans:
            name = session["metadata"]["name"]
            self._logger.warning("session %s runs without a server: stopping it", name)
            try:
                await self._store.stop(name, session["spec"]["user"])
            except SessionError as error:
                self._logger.error("session %s: %s", name, error)  # noqa: TRY400 - in words

    def sessions(self) -> list[Mapping[str, Any]]:
        """Return all sessions, as last seen."""
        return list(self._watch.resources.values())

    def versions(self, user: str | None) -> tuple[Any, ...]:
        """Return what differs whenever `views` of the same user would."""
        return tuple(
            (s["metadata"]["uid"], s["metadata"]["resourceVersion"], self._server(s))
            for s in self._of(user)
        )

    def views(self, user: str | None) -> list[Json]:
        """Return the sessions of a user of the hub, or all for `None`, for the page."""
        found = [session_view(s, self._server(s), self._limits) for s in self._of(user)]
        return sorted(found, key=lambda view: (view["user"], view["name"]))

    async def act(self, action: str, name: str, user: str | None) -> None:
        """Stop a session, start it, or both.

        Args:
            action: ``stop``, ``start`` or ``restart``.
            name: of the session.
            user: the hub's user who asks; `None` for an admin, who may act on all.

        Raises:
            SessionError: there is no such session of that user; or the servers refused.
        """
        session = self._watch.session(name)
        if session is None or (user is not None and session["spec"]["user"] != session_user(user)):
            raise SessionError(f"you have no session {name}")
        owner = owner_at_hub(session) if is_of_hub(session, self._hub_name) else None
        if owner is None:
            await self._act_by_hand(action, session)
        else:
            await self._act_at_hub(action, session, *owner)

    async def _act_by_hand(self, action: str, session: Mapping[str, Any]) -> None:
        name, user = session["metadata"]["name"], session["spec"]["user"]
        if action == "stop":
            await self._store.stop(name, user)
        else:
            await self._store.run_anew(name, user, uuid4().hex)

    async def _act_at_hub(
        self, action: str, session: Mapping[str, Any], user: str, server: str
    ) -> None:
        name = session["metadata"]["name"]
        up = (await self._hub.servers()).get(name)
        if action != "start" and up:
            await self._hub.stop(user, server)
        elif action == "stop":  # the hub stops sessions only with their servers
            await self._store.stop(name, session["spec"]["user"])
        if action == "stop":
            return
        if action == "restart":
            await self._until_down(name)
        # Without options the hub takes those of the server's last start.
        await self._hub.start(user, server, dict(up.options) if up else {})

    async def _until_down(self, name: str) -> None:
        deadline = time.monotonic() + STOP_SECONDS
        while name in await self._hub.servers():
            if time.monotonic() > deadline:
                raise SessionError("the server is still stopping: start it again in a minute")
            await asyncio.sleep(1)

    def _of(self, user: str | None) -> list[Mapping[str, Any]]:
        if user is None:
            return self.sessions()
        own = session_user(user)
        return [session for session in self.sessions() if session["spec"]["user"] == own]

    def _server(self, session: Mapping[str, Any]) -> Server | None:
        server = self._servers.get(session["metadata"]["name"])
        if server and is_of_hub(session, self._hub_name) and owner_at_hub(session):
            return server
        return None
