"""What the tests of the front door share: a real database, and stand-ins for what is behind it."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import aiohttp
import psycopg
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from casita.columns.cluster import Cluster
from casita.columns.database import Database
from casita.columns.metrics import Metrics
from casita.columns.proxy import Door
from casita.columns.sessions import Sessions
from casita.columns.settings import DatabaseAddress, SubmissionLimits
from casita.columns.store import Store
from casita.columns.submission import Rules
from casita.columns.tokens import Tokens
from casita.credentials.servicex import Holder, mint
from casita.credentials.token import SigningKey
from tests.support.database import USER, database

KEY = SigningKey(b"k" * 64, "")
ISSUER = "af.example.org"
NAMESPACE = "casita"
NOW = datetime(2030, 1, 1, tzinfo=UTC)
TOKENS = Tokens(KEY, ISSUER, 900)
RULES = Rules(("uproot-raw",), ("example.org/science:*",), SubmissionLimits(request_bytes=20_000))

# As ServiceX's migrations leave these tables, as far as the front door reads or writes them:
# servicex_app/migrations/versions at 1.5.2.
_SCHEMA = """
DROP TABLE IF EXISTS requests; DROP TABLE IF EXISTS users; DROP TYPE IF EXISTS transformstatus;
CREATE TYPE transformstatus AS ENUM
    ('submitted', 'pending_lookup', 'lookup', 'running', 'complete', 'fatal', 'canceled');
CREATE TABLE users (
    admin boolean, created_at timestamp, email varchar(320) NOT NULL UNIQUE,
    experiment varchar(120), id serial PRIMARY KEY, institution varchar(120),
    name varchar(120) NOT NULL, pending boolean, refresh_token text UNIQUE,
    sub varchar(120) NOT NULL, updated_at timestamp
);
CREATE TABLE requests (
    id serial PRIMARY KEY, request_id varchar(48) NOT NULL UNIQUE, submit_time timestamp NOT NULL,
    finish_time timestamp, submitted_by integer REFERENCES users, status transformstatus NOT NULL,
    failure_description varchar
);
"""


@contextmanager
def server() -> Iterator[DatabaseAddress]:
    """Run a PostgreSQL server."""
    with database() as made:
        yield DatabaseAddress(host="127.0.0.1", port=made.port, name="hub", user=USER)


@asynccontextmanager
async def tables(address: DatabaseAddress) -> AsyncIterator[Database]:
    """Give ServiceX's tables, empty."""
    connection = await psycopg.AsyncConnection.connect(
        host=address.host, port=address.port, dbname=address.name, user=address.user
    )
    async with connection:
        await connection.execute(_SCHEMA)
    found = Database(address, "")
    try:
        yield found
    finally:
        await found.close()


async def add_request(
    found: Database, user: str, status: str = "running", *, age: float = 0, ended: float = 0
) -> str:
    """Add a request of a user, made `age` and, if it is over, ended `ended` seconds ago."""
    identifier = str(uuid4())
    await found.run(
        "INSERT INTO requests (request_id, submit_time, finish_time, submitted_by, status) VALUES "
        "(%s, (now() AT TIME ZONE 'UTC') - make_interval(secs => %s), CASE WHEN %s THEN "
        "(now() AT TIME ZONE 'UTC') - make_interval(secs => %s) END, "
        "(SELECT id FROM users WHERE sub = %s), %s::transformstatus)",
        *(identifier, age, status in {"complete", "fatal", "canceled"}, ended, user, status),
    )
    return identifier


@dataclass
class Api:
    """A stand-in for the Kubernetes API: objects by the path of their list."""

    objects: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    patches: list[tuple[str, Any]] = field(default_factory=list)
    away: bool = False
    asked: int = 0

    def add(self, path: str, name: str, *, age: float = 0, **more: Any) -> str:
        """Add an object; return its uid."""
        uid = str(uuid4())
        made = (datetime.now(UTC) - timedelta(seconds=age)).strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata = {"name": name, "uid": uid, "creationTimestamp": made}
        self.objects.setdefault(path, {})[name] = {"metadata": metadata, **more}
        return uid

    def session(self, user: str, name: str) -> str:
        """Add a session of a user; return what tokens call it."""
        uid = self.add(SESSIONS, name, spec={"user": user})
        return f"{NAMESPACE}/{name}/{uid}"

    def end(self, name: str) -> None:
        """Let a session end."""
        del self.objects[SESSIONS][name]

    async def handle(self, request: web.Request) -> web.Response:
        """Answer as the API does."""
        self.asked += 1
        if self.away:
            return web.json_response({}, status=503)
        folder, _, name = request.path.rpartition("/")
        if request.method == "PATCH":
            self.patches.append((request.path, await request.json()))
            return web.json_response({})
        if request.path.count("/") == folder.count("/") + 1 and name in self.objects.get(
            folder, {}
        ):
            if request.method == "DELETE":
                return web.json_response(self.objects[folder].pop(name))
            return web.json_response(self.objects[folder][name])
        if request.method == "GET" and name in {"analysissessions", "deployments", "configmaps"}:
            items = list(self.objects.get(request.path, {}).values())
            return web.json_response({"items": items, "metadata": {}})
        return web.json_response({}, status=404)


SESSIONS = f"/apis/casita.dev/v1alpha1/namespaces/{NAMESPACE}/analysissessions"


@dataclass
class App:
    """A stand-in for ServiceX's app: it keeps what it is sent."""

    seen: list[tuple[str, str, dict[str, str], dict[str, str], Any]] = field(default_factory=list)
    answer: dict[str, str] = field(default_factory=lambda: {"request_id": "x"})

    async def handle(self, request: web.Request) -> web.Response:
        """Take a call."""
        body = await request.read()
        self.seen.append(
            (
                request.method,
                request.path,
                dict(request.query),
                dict(request.headers),
                json.loads(body) if body else None,
            )
        )
        return web.json_response(self.answer, headers={"Set-Cookie": "session=stolen"})


@dataclass
class Bed:
    """The front door, and what is around it."""

    client: TestClient[web.Request, web.Application]
    api: Api
    app: App
    database: Database
    cluster: Cluster
    sessions: Sessions
    metrics: Metrics
    clock: list[float]

    def refresh_token(self, user: str, session: str, *, seconds: int = 3600) -> str:
        """Mint as the operator does."""
        holder = Holder(ISSUER, user, session)
        return mint(KEY, holder, timedelta(seconds=seconds), NOW, uuid4(), uuid4()).text

    async def access_token(self, user: str, session: str) -> str:
        """Get an access token as the client does."""
        token = self.refresh_token(user, session)
        answer = await self.client.post("/token/refresh", headers=bearing(token))
        assert answer.status == 200, await answer.text()
        return str((await answer.json())["access_token"])


def bearing(token: str) -> dict[str, str]:
    """Return the header that carries a token."""
    return {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def standing(handler: Any) -> AsyncIterator[str]:
    """Serve a stand-in; give its address."""
    served = web.Application()
    served.router.add_route("*", "/{path:.*}", handler)
    async with TestServer(served) as found:
        yield str(found.make_url("")).rstrip("/")


@asynccontextmanager
async def bed(address: DatabaseAddress, store: Store | None = None) -> AsyncIterator[Bed]:
    """Set the front door up."""
    api, app, metrics, clock = Api(), App(), Metrics(), [0.0]
    async with (
        tables(address) as found,
        standing(api.handle) as api_url,
        standing(app.handle) as app_url,
        aiohttp.ClientSession() as http,
    ):
        cluster = Cluster(http, api_url, None)
        sessions = Sessions(cluster, (NAMESPACE,), lambda: clock[0])
        door = Door(
            app_url,
            http,
            TOKENS,
            sessions,
            found,
            RULES,
            metrics,
            lambda: NOW.timestamp() + clock[0],
            store,
        )
        async with TestClient(TestServer(door.application())) as client:
            yield Bed(client, api, app, found, cluster, sessions, metrics, clock)
