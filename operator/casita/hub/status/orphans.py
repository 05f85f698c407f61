"""Sessions that a hub made and whose servers are gone. Pure.

A hub stops a session with its server. It cannot if it ended half-way, or lost its database; and
users would find their keys valid and their workers running with nothing to use them.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from casita.api.session import Lifecycle
from casita.hub.status.servers import is_of_hub, owner_at_hub

GRACE_SECONDS: Final = 120
"""For so long a session may run without a server: one that starts has its session first."""


class Orphans:
    """Since when which session has had no server."""

    def __init__(self, hub_name: str, grace: float = GRACE_SECONDS) -> None:
        """Look at the sessions that bear `hub_name`; `grace` is in seconds."""
        self._hub_name = hub_name
        self._grace = grace
        self._since: dict[tuple[str, str], float] = {}

    def look(
        self, sessions: Iterable[Mapping[str, Any]], servers: Collection[str], now: float
    ) -> list[Mapping[str, Any]]:
        """Return the sessions to stop.

        Args:
            sessions: all there are.
            servers: names of the sessions whose servers are up, as the hub has just said.
            now: seconds of a clock that never goes back.
        """
        alone = {
            (s["metadata"]["uid"], s["spec"].get("runId", "")): s
            for s in sessions
            if self._is_ours(s) and s["metadata"]["name"] not in servers
        }
        self._since = {key: self._since.get(key, now) for key in alone}
        return [alone[key] for key, since in self._since.items() if now - since >= self._grace]

    def _is_ours(self, session: Mapping[str, Any]) -> bool:
        runs = session["spec"].get("lifecycle") != Lifecycle.STOPPED
        return is_of_hub(session, self._hub_name) and runs and bool(owner_at_hub(session))
