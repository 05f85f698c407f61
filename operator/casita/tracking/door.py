"""The only way to MLflow: whoever comes is known, or sees no more than that the server is alive.

MLflow has routes of Flask and of FastAPI, and further ones with each release. All of them are
behind this one, which lets nobody pass without a session's token or a browser's login.
"""

import asyncio
import logging
import re
from collections.abc import Callable, MutableMapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from casita.tracking.browsers import CALLBACK, Browsers, HubSilentError
from casita.tracking.identity import CURRENT, Identity
from casita.tracking.rules import CLOSED
from casita.tracking.settings import Settings
from casita.tracking.tokens import TokenRefusedError, read_key, token_user

logger = logging.getLogger("casita.tracking")

RETRY_SECONDS: Final = 5.0
"""Between two tries to bring MLflow up: its database may come later."""

_NOT_MLFLOWS: Final = frozenset({b"authorization", b"cookie", b"origin", b"x-mlflow-authorization"})
"""Headers that end here. Origins are checked here; MLflow would believe any page of localhost."""

_BEARER: Final = re.compile(r"Bearer ([A-Za-z0-9_.=-]+)")


class Door:
    """An ASGI app before MLflow's."""

    def __init__(self, settings: Settings, build: Callable[[], ASGIApp]) -> None:
        """Stand before the app that `build` makes, as soon as it can be made."""
        self._settings = settings
        self._build = build
        self._browsers = Browsers(settings) if settings.hub_api_url else None
        self._inside: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        raising = asyncio.create_task(self._raise_mlflow())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        raising.cancel()
        await send({"type": "lifespan.shutdown.complete"})

    async def _raise_mlflow(self) -> None:
        while self._inside is None:
            try:
                self._inside = await asyncio.to_thread(self._build)
            except Exception as error:  # noqa: BLE001 - databases' drivers have errors of their own
                logger.error("MLflow does not come up: %s", error)  # noqa: TRY400
                await asyncio.sleep(RETRY_SECONDS)
        logger.info("MLflow is up")

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        answer = await self._answer(request)
        if isinstance(answer, Response):
            await answer(scope, receive, send)
            return
        identity, inside = answer
        token = CURRENT.set(identity)
        try:
            await inside(self._inner_scope(scope), receive, _audited(send, identity, scope))
        finally:
            CURRENT.reset(token)

    async def _answer(self, request: Request) -> Response | tuple[Identity, ASGIApp]:
        """Return an answer, or who asks and the app that answers."""
        path: str = request.scope["path"]
        if (told := self._for_everybody(path)) is not None:
            return told
        try:
            identity = await self._identify(request)
        except HubSilentError as error:
            logger.warning("the hub does not say who somebody is: %s", error)
            return _refusal(503, "the hub does not answer: try again soon")
        except OSError as error:
            logger.error("sessions' tokens cannot be checked: %s", error)  # noqa: TRY400
            return _refusal(503, "tokens cannot be checked now: tell an admin")
        if isinstance(identity, Response):
            return identity
        if request.method == "GET" and path.endswith("/mlflow/gateway-proxy"):
            # As MLflow itself answers without one; its pages show everything else as an error.
            return JSONResponse({"endpoints": []})
        if CLOSED.search(path.removeprefix(self._settings.prefix)):
            return _refusal(404, "this part of MLflow is not offered here")
        if self._inside is None:
            return _refusal(503, "MLflow starts: try again soon")
        return identity, self._inside

    def _for_everybody(self, path: str) -> Response | None:
        """Answer what needs nobody's name: whether there is life, and where to go."""
        prefix = self._settings.prefix
        if path == "/health":
            return PlainTextResponse("OK")
        if path == f"{prefix}/health":
            return PlainTextResponse("OK") if self._inside else _refusal(503, "MLflow starts")
        if path == prefix:
            return RedirectResponse(f"{prefix}/", 307)
        if not path.startswith(f"{prefix}/"):
            return _refusal(404, f"what is here is below {prefix}/")
        return None

    async def _identify(self, request: Request) -> Identity | Response:
        brought = request.headers.getlist("authorization")
        if brought:
            return self._token_owner(brought)
        if self._browsers is None:
            return _refusal(401, "bring a session's token")
        if request.scope["path"] == f"{self._settings.prefix}{CALLBACK}":
            return await self._browsers.callback(request)
        identity = await self._browsers.identify(request)
        if identity is None:
            if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
                return self._browsers.login(request)
            return _refusal(401, "log in by the hub, or bring a session's token")
        if not self._browsers.same_origin(request):
            return _refusal(403, "a page of another site asks for this")
        return identity

    def _token_owner(self, brought: list[str]) -> Identity | Response:
        bearer = _BEARER.fullmatch(brought[0])
        if bearer is None or len(brought) > 1:
            return _refusal(401, "only a session's token is taken (MLFLOW_TRACKING_AUTH)")
        key = read_key(self._settings.token_key)
        try:
            return Identity(token_user(bearer[1], key, self._settings.issuer))
        except TokenRefusedError as error:
            return _refusal(401, str(error))

    def _inner_scope(self, scope: Scope) -> Scope:
        """Return the request as MLflow sees it: at its root, and without anybody's secrets."""
        prefix = self._settings.prefix
        headers = [pair for pair in scope["headers"] if pair[0] not in _NOT_MLFLOWS]
        raw: bytes = scope.get("raw_path") or scope["path"].encode()
        return {
            **scope,
            "path": scope["path"].removeprefix(prefix),
            "raw_path": raw.removeprefix(prefix.encode()),
            "root_path": "",
            "headers": headers,
        }


def _audited(send: Send, identity: Identity, scope: Scope) -> Send:
    """Let a request that may change something leave a line in the log, with who made it."""
    if scope["method"] in {"GET", "HEAD", "OPTIONS"}:
        return send

    async def told(message: Message) -> None:
        if message["type"] == "http.response.start":
            where = (scope["method"], scope["path"].encode("unicode_escape").decode())
            logger.info("%s: %s %s: %d", identity.name, *where, message["status"])
        await send(message)

    return told


def _refusal(status: int, words: str) -> Response:
    """Answer as MLflow's clients read it."""
    codes = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "ENDPOINT_NOT_FOUND"}
    code = codes.get(status, "TEMPORARILY_UNAVAILABLE")
    headers: MutableMapping[str, Any] = {"Cache-Control": "no-store"}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="mlflow"'
    if status == 503:
        headers["Retry-After"] = "5"
    return JSONResponse({"error_code": code, "message": words}, status, headers)
