"""What the hub knows of its users' servers. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from casita.hub.names import session_name, session_user
from casita.hub.sessions import HUB_LABEL, HUB_SERVER, HUB_USER

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Server:
    """A user's server that is up, or on its way up or down.

    Attributes:
        user: the hub's name of the user.
        name: of the server; empty for the default one.
        ready: whether it can be used.
        url: path of it at the hub.
        started: when it was started.
        last_activity: when it was last used, as far as the hub knows.
        options: what the user chose when it was started.
    """

    user: str
    name: str
    ready: bool
    url: str
    started: datetime | None = None
    last_activity: datetime | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def session(self) -> str:
        """Name of the server's session."""
        return session_name(self.user, self.name)


@dataclass(frozen=True, slots=True)
class Limits:
    """After which time the hub ends servers; `None` where it does not.

    Attributes:
        idle: without use.
        age: from the start on.
    """

    idle: timedelta | None = None
    age: timedelta | None = None


def servers_of(users: Iterable[Mapping[str, Any]]) -> dict[str, Server]:
    """Return the servers of the hub's answer to ``GET /users``, by the names of their sessions."""
    found = (
        Server(
            user=user["name"],
            name=name,
            ready=bool(server.get("ready")),
            url=server.get("url") or "",
            started=_time(server.get("started")),
            last_activity=_time(server.get("last_activity")),
            options=server.get("user_options") or {},
        )
        for user in users
        for name, server in (user.get("servers") or {}).items()
        if server.get("ready") or server.get("pending")
    )
    return {server.session: server for server in found}


def ends(server: Server, limits: Limits) -> tuple[datetime, str] | None:
    """Return when the hub will end a server if nothing changes, and why in words."""
    due = []
    if limits.idle and (used := server.last_activity or server.started):
        due.append((used + limits.idle, "for want of use"))
    if limits.age and server.started:
        due.append((server.started + limits.age, "for its age"))
    return min(due) if due else None


def is_of_hub(session: Mapping[str, Any], hub_name: str) -> bool:
    """Say whether the hub of this name made a session, by its label."""
    return (session["metadata"].get("labels") or {}).get(HUB_LABEL) == hub_name


def owner_at_hub(session: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the hub's user and server that a session says it is of.

    `None` if it says nothing, or what cannot be: whoever makes a session by hand may write what
    they like into it, but its user and its name are what they are.
    """
    said = session["metadata"].get("annotations") or {}
    user, server = said.get(HUB_USER), said.get(HUB_SERVER)
    if user is None or server is None:
        return None
    told = (session_user(user), session_name(user, server))
    return (
        (user, server) if told == (session["spec"]["user"], session["metadata"]["name"]) else None
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
