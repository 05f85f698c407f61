"""The page, its live events, and what its buttons do: behind the hub's login, all of it."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any, Final

from jupyterhub.services.auth import HubOAuthCallbackHandler, HubOAuthenticated
from tornado.iostream import StreamClosedError
from tornado.web import Application, RequestHandler, StaticFileHandler, authenticated

from casita.hub.errors import SessionError
from casita.hub.status.board import Board
from casita.hub.status.view import totals

FILES: Final = Path(__file__).parent / "files"

LOOK_SECONDS: Final = 0.5
"""Between two looks at what the watch has brought, for each who has the page open; no request."""

STILL_SECONDS: Final = 20.0
"""After which an open page is told that all is as it was: proxies drop what is silent."""

STREAM_SECONDS: Final = 300.0
"""Of one stream; the page asks for the next, and who has logged out meanwhile gets none."""

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'; form-action 'none'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}

ACTIONS: Final = ("stop", "start", "restart")


class _Handler(HubOAuthenticated, RequestHandler):  # type: ignore[misc] # JupyterHub has no types
    """Knows who asks."""

    @property
    def board(self) -> Board:
        board: Board = self.application.settings["board"]
        return board

    def set_default_headers(self) -> None:
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def viewer(self) -> str | None:
        """Return whose sessions are asked for: the user's own, or with `None` all, for admins."""
        user: dict[str, Any] = self.current_user
        everybody = self.get_query_argument("all", "") == "1" and user.get("admin")
        return None if everybody else str(user["name"])


class Page(_Handler):
    """The page itself; what it shows comes as events."""

    @authenticated  # type: ignore[untyped-decorator]
    async def get(self) -> None:
        """Answer with the page."""
        user: dict[str, Any] = self.current_user
        self.render(
            "status.html",
            user=user["name"],
            admin=bool(user.get("admin")),
            hub=self.application.settings["hub_prefix"],
            prefix=self.application.settings["prefix"],
            token=self.xsrf_token.decode(),
        )


class Events(_Handler):
    """``text/event-stream``: all that the viewer may see, whenever some of it has changed."""

    async def get(self) -> None:
        """Answer until the viewer leaves; a refusal, for a login would not come as events."""
        if self.current_user is None:
            self.set_status(403)
            return
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("X-Accel-Buffering", "no")
        viewer = self.viewer()
        shown: object = None
        quiet = 0.0
        end = time.monotonic() + STREAM_SECONDS
        try:
            while time.monotonic() < end:
                now = (self.board.versions(viewer), self.board.site, self.board.trouble)
                if now != shown:
                    shown, quiet = now, 0.0
                    await self._tell(f"data: {json.dumps(self._state(viewer))}\n\n")
                elif quiet >= STILL_SECONDS:
                    quiet = 0.0
                    await self._tell(": still\n\n")
                await asyncio.sleep(LOOK_SECONDS)
                quiet += LOOK_SECONDS
        except StreamClosedError:
            return

    def _state(self, viewer: str | None) -> dict[str, Any]:
        views = self.board.views(viewer)
        return {
            "sessions": views,
            "site": self.board.site,
            "totals": totals(views) if viewer is None else None,
            "trouble": self.board.trouble,
        }

    async def _tell(self, text: str) -> None:
        self.write(text)
        await self.flush()


class Action(_Handler):
    """A button."""

    @authenticated  # type: ignore[untyped-decorator]
    async def post(self, name: str, action: str) -> None:
        """Act on a session of the user's own, or for an admin on any."""
        user: dict[str, Any] = self.current_user
        try:
            await self.board.act(action, name, None if user.get("admin") else str(user["name"]))
        except SessionError as error:
            self.set_status(409)
            self.finish({"message": str(error)})
            return
        self.set_status(204)

    def write_error(self, status_code: int, **_: Any) -> None:
        """Tell a refusal in words, as the page shows them."""
        login = "reload this page to log in again"
        self.finish({"message": login if status_code == 403 else self._reason})


def application(board: Board, prefix: str, hub_prefix: str, cookie_secret: bytes) -> Application:
    """Return the service; `prefix` and `hub_prefix` are its own path and the hub's."""
    return Application(
        [
            (prefix, Page),
            (f"{prefix}events", Events),
            (rf"{prefix}sessions/([a-z0-9.-]+)/({'|'.join(ACTIONS)})", Action),
            (f"{prefix}oauth_callback", HubOAuthCallbackHandler),
            (rf"{prefix}files/(status\.js|status\.css)", StaticFileHandler, {"path": str(FILES)}),
        ],
        template_path=str(FILES),
        cookie_secret=cookie_secret,
        board=board,
        prefix=prefix,
        hub_prefix=hub_prefix,
    )
