"""The calls that the front door serves; everything else ends here.

ServiceX's own routes are in its ``servicex_app/routes.py``. What goes on to it is made anew: the
address of the call's own parts, the body of what was understood, no header of the client's but the
token, no query but what is known. ServiceX reads arguments from queries and trusts cookies.
"""

import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

import aiohttp
from aiohttp import web

from casita.api.names import PROBE_USER
from casita.columns import requests, users
from casita.columns.database import Database
from casita.columns.metrics import Metrics
from casita.columns.refusal import Reason, RefusedError
from casita.columns.sessions import Sessions
from casita.columns.store import Store
from casita.columns.submission import Rules
from casita.columns.tokens import Claims, Tokens, bearer

logger: Final = logging.getLogger("casita.columns")

TRANSFORMATION: Final = "/servicex/transformation"
_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""ServiceX would also take the number of a row."""
_PARTS: Final = {
    "": frozenset({"GET", "DELETE"}),
    "status": frozenset({"GET"}),
    "deployment-status": frozenset({"GET"}),
    "results": frozenset({"GET"}),
    "cancel": frozenset({"GET"}),
}
_QUERIES: Final = {"status": ("details",), "results": ("later_than",)}
_KEYS: Final = ("minio-access-key", "minio-secret-key")
_TIMEOUT: Final = aiohttp.ClientTimeout(total=180, sock_connect=5)


@dataclass(frozen=True)
class Door:
    """The front door: what it needs to know whom to let in."""

    app: str
    http: aiohttp.ClientSession
    tokens: Tokens
    sessions: Sessions
    database: Database
    rules: Rules
    metrics: Metrics
    clock: Callable[[], float]
    store: Store | None = None

    def application(self) -> web.Application:
        """Return the web application."""
        app = web.Application(
            middlewares=[self._answer], client_max_size=self.rules.limits.request_bytes
        )
        app.router.add_get("/servicex", self.about, name="about")
        app.router.add_post("/token/refresh", self.refresh, name="refresh")
        app.router.add_post(TRANSFORMATION, self.submit, name="submit")
        app.router.add_get(TRANSFORMATION, self.own, name="list")
        for path in (f"{TRANSFORMATION}/{{id}}", f"{TRANSFORMATION}/{{id}}/{{part}}"):
            app.router.add_route("*", path, self.request)
        app.router.add_route("*", "/{path:.*}", _not_served)
        return app

    async def about(self, _: web.Request) -> web.StreamResponse:
        """Say which ServiceX this is; it holds nothing of anybody."""
        return await self._forward("GET", "/servicex")

    async def refresh(self, request: web.Request) -> web.StreamResponse:
        """Give an access token for a session's refresh token.

        It is made here: ServiceX keeps one refresh token of a user, who may have several sessions.
        The operator, who asks whether all is well, gets none: database, store and ServiceX answer.
        """
        now = self.clock()
        claims = self.tokens.verify(_token(request), "refresh", now)
        if claims.user == PROBE_USER:
            await users.number(self.database, claims.user)
            if self.store is not None:
                await self.store.users()
            return await self._forward("GET", "/servicex")
        await self.sessions.check(claims.session)
        await users.admit(self.database, claims.user)
        return web.json_response({"access_token": self.tokens.access(claims, now)})

    async def submit(self, request: web.Request) -> web.StreamResponse:
        """Take a request, if it asks for nothing but what the site allows."""
        token, _ = await self._entered(request)
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge as error:
            most = self.rules.limits.request_bytes
            raise RefusedError(
                413, Reason.TOO_LARGE, f"a request may have {most} bytes at most"
            ) from error
        asked = self.rules.checked(body)
        return await self._forward("POST", TRANSFORMATION, token, body=json.dumps(asked).encode())

    async def own(self, request: web.Request) -> web.StreamResponse:
        """List the user's own requests."""
        token, claims = await self._entered(request)
        number = await users.number(self.database, claims.user)
        if number is None:
            return web.json_response({"requests": []})
        return await self._forward("GET", TRANSFORMATION, token, {"submitted_by": str(number)})

    async def request(self, request: web.Request) -> web.StreamResponse:
        """Tell of one request, or end it, if it is the user's own."""
        identifier, part = request.match_info["id"], request.match_info.get("part", "")
        if request.method not in _PARTS.get(part, ()):
            return await _not_served(request)
        token, claims = await self._entered(request)
        found = _ID.fullmatch(identifier) and await requests.owner(self.database, identifier)
        if found != claims.user:
            # The same for one that there is not: whether there is one is nobody else's business.
            raise RefusedError(
                404, Reason.NOT_YOURS, f"you have no transformation request {identifier[:48]}"
            )
        path = f"{TRANSFORMATION}/{identifier}" + (f"/{part}" if part else "")
        known = _QUERIES.get(part, ())
        query = {name: request.query[name] for name in known if name in request.query}
        answer = await self._forward(request.method, path, token, query)
        if self.store is None or part or request.method != "GET" or answer.status != 200:
            return answer
        return await _with_own_keys(answer, self.store, claims.user, identifier)

    async def _entered(self, request: web.Request) -> tuple[str, Claims]:
        token = _token(request)
        claims = self.tokens.verify(token, "access", self.clock())
        await self.sessions.check(claims.session)
        return token, claims

    async def _forward(
        self,
        method: str,
        path: str,
        token: str = "",
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> web.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with self.http.request(
                method,
                self.app + path,
                params=dict(query or {}),
                data=body,
                headers=headers,
                timeout=_TIMEOUT,
                allow_redirects=False,
            ) as answer:
                return web.Response(
                    status=answer.status,
                    body=await answer.read(),
                    content_type="application/json",
                )
        except (aiohttp.ClientError, TimeoutError) as error:
            logger.warning(
                "%s %s: ServiceX does not answer: %s", method, path, type(error).__name__
            )
            raise RefusedError(
                503, Reason.UNAVAILABLE, "ServiceX does not answer; try again soon"
            ) from error

    @web.middleware
    async def _answer(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """Say no in the form that ServiceX's client reads, and count."""
        try:
            response = await handler(request)
        except RefusedError as refused:
            self.metrics.refusals.labels(reason=refused.reason.value).inc()
            logger.info("%s refused: %s", _call(request), refused.reason.value)
            response = web.json_response(
                {"message": refused.words}, status=refused.status, headers=_headers(refused)
            )
        self.metrics.calls.labels(call=_call(request), code=str(response.status)).inc()
        return response


async def _with_own_keys(
    answer: web.Response, store: Store, user: str, request: str
) -> web.Response:
    """Put the user's own keys in place of the store's root keys, which ServiceX tells of itself.

    It does so in ``servicex_app/resources/transformation/get_one.py``, and nowhere else.
    """
    told = json.loads(answer.text or "")
    if told.keys() & set(_KEYS):
        keys = await store.keys(user, request)
        told |= dict(zip(_KEYS, (keys.access, keys.secret), strict=True))
    return web.json_response(told)


def _headers(refused: RefusedError) -> dict[str, str]:
    return {"WWW-Authenticate": "Bearer"} if refused.status == 401 else {}


def _token(request: web.Request) -> str:
    return bearer(request.headers.get("Authorization"))


def _call(request: web.Request) -> str:
    """Return what a call was for; never what a client wrote."""
    if request.match_info.route.name:
        return str(request.match_info.route.name)
    part = request.match_info.get("part", "")
    if "id" in request.match_info:
        return f"request {part}".strip() if part in _PARTS else "other"
    return "other"


async def _not_served(request: web.Request) -> web.StreamResponse:
    if request.path.startswith("/servicex/internal"):
        raise RefusedError(403, Reason.INTERNAL, "this is for parts of ServiceX alone")
    raise RefusedError(404, Reason.NOT_SERVED, "this is not served here")
