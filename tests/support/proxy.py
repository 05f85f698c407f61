"""A proxy between an operator and the API server, by which a test loses, delays and forges answers.

It serves plain HTTP on the loopback from a thread of its own, and speaks to the API server by the
connection it was given.
"""

import asyncio
import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
from aiohttp import web
from yarl import URL

from casita.clients.kubernetes import Connection

WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_PASSED_ON: Final = ("Accept", "Content-Type", "User-Agent", "Authorization")


@dataclass(frozen=True)
class Call:
    """One request as it came."""

    method: str
    path: str
    query: str
    body: bytes = b""

    @property
    def name(self) -> str:
        """The object's name, or the collection's."""
        if self.method == "POST":
            return str(json.loads(self.body)["metadata"]["name"])
        return self.path.removesuffix("/status").rpartition("/")[2]

    @property
    def writes(self) -> bool:
        """Whether it changes something."""
        return self.method in WRITES

    @property
    def watches(self) -> bool:
        """Whether it is a watch."""
        return "watch=" in self.query

    def of(self, plural: str) -> bool:
        """Say whether it is about objects of this kind."""
        return f"/{plural}" in self.path


@dataclass(frozen=True)
class Fault:
    """What happens to a request instead of its answer.

    Attributes:
        delay: seconds before anything else.
        forward: whether the API server gets the request.
        status: what the operator is answered; `None` cuts the connection.
        body: the answer.
        headers: of the answer.
    """

    delay: float = 0.0
    forward: bool = False
    status: int | None = None
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def answer(status: int, reason: str, **headers: str) -> Fault:
    """Return an answer as the API server gives it, without having done anything."""
    body = {"kind": "Status", "status": "Failure", "reason": reason, "code": status}
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Fault(status=status, body=json.dumps(body).encode(), headers=named)


CUT: Final = Fault()
ANSWER_LOST: Final = Fault(forward=True)
EXPIRED: Final = Fault(
    status=200,
    body=json.dumps(
        {
            "type": "ERROR",
            "object": {
                "kind": "Status",
                "apiVersion": "v1",
                "metadata": {},
                "status": "Failure",
                "message": "too old resource version",
                "reason": "Expired",
                "code": 410,
            },
        }
    ).encode()
    + b"\n",
)
"""A watch's end as servers tell it when its version is no longer kept."""

Decide = Callable[[Call], Fault | None]


class Proxy:
    """Passes everything on until told otherwise.

    Attributes:
        decide: asked for each request; `None` passes it on. Called in the proxy's thread.
        calls: requests so far, in order.
    """

    def __init__(self, connection: Connection) -> None:
        self._target = connection
        self.decide: Decide = lambda _: None
        self.calls: list[Call] = []
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._transports: set[asyncio.Transport] = set()
        self._watches: set[asyncio.Transport] = set()
        self._dead = threading.Event()
        self._port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @property
    def connection(self) -> Connection:
        """What an operator connects by."""
        server = f"http://127.0.0.1:{self._port}"
        return Connection(server, ssl.create_default_context(), {})

    @property
    def dead(self) -> bool:
        """Whether nothing passes any more."""
        return self._dead.is_set()

    def cut_watches(self) -> None:
        """End all open watches without a word."""
        self._loop.call_soon_threadsafe(self._abort, self._watches)

    def writes(self) -> list[Call]:
        """Return the writes so far."""
        return [call for call in self.calls if call.writes]

    def _die(self) -> None:
        """Cut everything, now and from now on: what is behind the proxy is as good as dead."""
        self._dead.set()
        self._abort(self._transports)

    @staticmethod
    def _abort(transports: set[asyncio.Transport]) -> None:
        for transport in list(transports):
            transport.abort()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        application = web.Application(client_max_size=2**24)
        application.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self._port = runner.addresses[0][1]
        connector = aiohttp.TCPConnector(ssl=self._target.ssl_context, limit=0)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
            self._session = session
            self._ready.set()
            await self._stop.wait()
            self._die()
            await runner.cleanup()
        for _ in range(20):
            await asyncio.sleep(0)  # what was closed is gone after some turns of the loop

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        transport = request.transport
        assert isinstance(transport, asyncio.Transport)
        self._transports.add(transport)
        query = request.rel_url.raw_query_string
        call = Call(request.method, request.path, query, await request.read())
        try:
            if self.dead:
                return self._cut(transport)
            self.calls.append(call)
            fault = self.decide(call)
            if fault is KILL:
                self._die()
                return self._cut(transport)
            if fault is None:
                return await self._pass_on(request, call, transport)
            return await self._fail(request, fault, transport)
        finally:
            self._watches.discard(transport)

    async def _fail(
        self, request: web.Request, fault: Fault, transport: asyncio.Transport
    ) -> web.StreamResponse:
        await asyncio.sleep(fault.delay)
        if fault.forward:
            async with await self._forward(request) as response:
                body = await response.read()
                if fault.delay:
                    return web.Response(status=response.status, body=body)
        if fault.status is None:
            return self._cut(transport)
        headers = {"Content-Type": "application/json", **fault.headers}
        return web.Response(status=fault.status, body=fault.body, headers=headers)

    async def _pass_on(
        self, request: web.Request, call: Call, transport: asyncio.Transport
    ) -> web.StreamResponse:
        async with await self._forward(request) as response:
            headers = {"Content-Type": response.headers.get("Content-Type", "application/json")}
            if not call.watches:
                body = await response.read()
                return web.Response(status=response.status, body=body, headers=headers)
            self._watches.add(transport)
            stream = web.StreamResponse(status=response.status, headers=headers)
            await stream.prepare(request)
            try:
                async for chunk in response.content.iter_any():
                    await stream.write(chunk)
            except (aiohttp.ClientError, ConnectionError):
                return stream  # one of the two ends is gone
            return stream

    async def _forward(self, request: web.Request) -> Any:
        headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        headers |= dict(self._target.headers)
        body = await request.read()
        url = f"{self._target.server}{request.rel_url.raw_path_qs}"
        return await self._session.request(
            request.method,
            URL(url, encoded=True),
            data=body or None,
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None),
        )

    @staticmethod
    def _cut(transport: asyncio.Transport) -> web.StreamResponse:
        transport.abort()
        return web.Response()


KILL: Final = Fault(delay=-1.0)
"""Ends the proxy's service for good: the request is not passed on, nor any after it."""
