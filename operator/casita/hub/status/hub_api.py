"""The hub's REST API, as far as the status page needs it, by the service's own token."""

import json
from typing import Any, Final
from urllib.parse import quote

from tornado.httpclient import AsyncHTTPClient, HTTPError, HTTPRequest

from casita.hub.errors import SessionError
from casita.hub.status.servers import Server, servers_of

PAGES: Final = "application/jupyterhub-pagination+json"
"""Answers of this form say whether more follows: a hub may give fewer users than are asked for."""


class HubApi:
    """Asks the hub, and tells its refusals as `SessionError`."""

    def __init__(self, url: str, token: str) -> None:
        """Ask at `url`, which ends in ``/hub/api``, by `token`."""
        self._url = url
        self._token = token
        self._client = AsyncHTTPClient()

    async def servers(self) -> dict[str, Server]:
        """Return the servers that are up, by the names of their sessions."""
        users: list[Any] = []
        following: Any = {"offset": 0}
        while following:
            path = f"/users?state=active&offset={following['offset']}&limit=200"
            page = await self._ask("GET", path)
            users += page["items"]
            following = page["_pagination"]["next"]
        return servers_of(users)

    async def start(self, user: str, server: str, options: dict[str, Any]) -> None:
        """Start a server."""
        await self._ask("POST", _path(user, server), options)

    async def stop(self, user: str, server: str) -> None:
        """Stop a server, if it is up."""
        await self._ask("DELETE", _path(user, server))

    async def _ask(self, method: str, path: str, body: Any = None) -> Any:
        request = HTTPRequest(
            f"{self._url}{path}",
            method=method,
            headers={"Authorization": f"token {self._token}", "Accept": PAGES},
            body=json.dumps(body) if body is not None else None,
            allow_nonstandard_methods=True,
            request_timeout=30,
        )
        try:
            answer = await self._client.fetch(request)
        except (HTTPError, OSError) as error:
            raise SessionError(f"the hub says: {_words(error)}") from error
        return json.loads(answer.body) if answer.body else None


def _path(user: str, server: str) -> str:
    where = f"/users/{quote(user, safe='')}"
    return f"{where}/servers/{quote(server, safe='')}" if server else f"{where}/server"


def _words(error: HTTPError | OSError) -> str:
    """Return the hub's own message, if it sent one."""
    body = error.response.body if isinstance(error, HTTPError) and error.response else b""
    try:
        message = json.loads(body)["message"]
    except (ValueError, KeyError, TypeError):
        return str(error)
    return str(message)
