"""A real MLflow behind casita's door, and a real JupyterHub that knows it, on the loopback.

The hub is configured by the chart, and has no proxy: `Tracking.at` leads where one would.
"""

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import jwt
from itsdangerous import URLSafeTimedSerializer

from tests.chart.helm import render
from tests.cluster import ports
from tests.support.hub_account import VALUES

HERE: Final = "127.0.0.1"
PREFIX: Final = "/services/mlflow"
ISSUER: Final = "casita.test"
KEY: Final = secrets.token_hex(32)
HUB_TOKEN: Final = secrets.token_hex(32)
SECRET: Final = secrets.token_hex(32)
"""By which the server signs cookies."""
ASKING_TOKEN: Final = secrets.token_hex(32)
"""By which the tests themselves ask the hub."""
ADMIN: Final = "carol"
ROUTES: Final = """
import json
from casita.tracking.__main__ import settings
from casita.tracking.application import build

app = build(settings())
from mlflow.server import auth

found = [(method, rule.rule) for rule in auth.app.url_map.iter_rules() for method in rule.methods]
for route in app.routes:
    for each in getattr(route, "effective_route_contexts", list)():
        found += [(method, each.path) for method in each.methods or ("GET",)]
print(json.dumps(sorted(set(found))))
"""

_HUB_TRAITS: Final = """
from jupyterhub.proxy import Proxy


class NoProxy(Proxy):
    should_start = False
    routes = {{}}

    async def add_route(self, routespec, target, data):
        self.routes[routespec] = {{"routespec": routespec, "target": target, "data": data}}

    async def delete_route(self, routespec):
        self.routes.pop(routespec, None)

    async def get_all_routes(self):
        return dict(self.routes)


c = get_config()
c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.public_url = ""
c.JupyterHub.bind_url = "http://127.0.0.1:{proxy}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{hub}"
c.JupyterHub.hub_connect_url = "http://127.0.0.1:{hub}"
c.JupyterHub.db_url = "sqlite:///hub.sqlite"
c.JupyterHub.spawner_class = "simple"
c.JupyterHub.services = [
    dict(service, url="http://127.0.0.1:{server}")
    for service in c.JupyterHub.services
    if service["name"] == "mlflow"
] + [{{"name": "tests", "api_token": {token!r}, "admin": True}}]
c.JupyterHub.load_roles = [role for role in c.JupyterHub.load_roles if role["name"] == "user"]
c.Authenticator.allow_all = True
c.Authenticator.admin_users = {{{admin!r}}}
"""


@dataclass(frozen=True)
class Tracking:
    """The server, with a folder of its own, and the hub's place whether it runs or not."""

    folder: Path
    port: int
    hub_port: int
    proxy_port: int
    database: str

    @property
    def url(self) -> str:
        """As sessions know it."""
        return f"http://{HERE}:{self.port}{PREFIX}"

    @property
    def origin(self) -> str:
        """Of pages, as a browser would say it."""
        return f"http://{HERE}:{self.proxy_port}"

    def at(self, path: str) -> str:
        """Return where a path is found, to which a proxy would lead."""
        port = self.port if path.startswith("/services/") else self.hub_port
        return f"http://{HERE}:{port}{path}"

    def environment(self) -> dict[str, str]:
        """Return the variables that the chart would give the server."""
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "PYTHONWARNINGS": "ignore",
            "CASITA_MLFLOW_PREFIX": PREFIX,
            "CASITA_MLFLOW_PUBLIC_URL": self.origin,
            "CASITA_MLFLOW_ISSUER": ISSUER,
            "CASITA_MLFLOW_TOKEN_KEY_FILE": str(self.folder / "token-key"),
            "CASITA_MLFLOW_DATABASE": self.database,
            "CASITA_MLFLOW_ARTIFACTS": str(self.folder / "artifacts"),
            "CASITA_MLFLOW_ALLOWED_HOSTS": f"{HERE}:{self.port}",
            "MLFLOW_AUTH_CONFIG_PATH": str(self.folder / "basic_auth.ini"),
            "MLFLOW_FLASK_SERVER_SECRET_KEY": SECRET,
            "JUPYTERHUB_API_URL": f"http://{HERE}:{self.hub_port}/hub/api",
            "JUPYTERHUB_API_TOKEN": HUB_TOKEN,
            "PGCONNECT_TIMEOUT": "2",
            # On fewer cores than pages have requests.
            "OMP_NUM_THREADS": "1",
        }

    def log(self) -> str:
        """Return the end of the server's log."""
        return (self.folder / "server.log").read_text()[-6000:]

    def routes(self) -> list[tuple[str, str]]:
        """Return method and path of all that MLflow answers, of Flask and of FastAPI."""
        found = subprocess.run(
            [sys.executable, "-c", ROUTES],
            env=self.environment(),
            check=True,
            capture_output=True,
            text=True,
        )
        return [tuple(each) for each in json.loads(found.stdout.splitlines()[-1])]


def prepare(folder: Path, database: str = "") -> Tracking:
    """Write what the chart and the operator would put into the server's pod."""
    port, hub, proxy = ports.free(3)
    users = database or f"sqlite:///{folder}/users.db"
    values = {**VALUES, "mlflow": {"enabled": True}}
    values["global"] = {**VALUES["global"], "mlflow": {"enabled": True}}
    chart = render(values)
    config = chart.one("ConfigMap", "casita-mlflow")["data"]["basic_auth.ini"]
    (folder / "basic_auth.ini").write_text(config.replace("sqlite:////data/users.db", users))
    (folder / "token-key").write_text(KEY)
    data = chart.one("ConfigMap", "casita-hub", "casita-hub")["data"]
    # Named as in the pod: JupyterHub reads more than the file that it is told.
    (folder / "chart.json").write_text(data["chart.json"])
    places = {"proxy": proxy, "hub": hub, "server": port, "admin": ADMIN, "token": ASKING_TOKEN}
    loaded = data["jupyterhub_config.py"].replace("/etc/jupyterhub/", "")
    (folder / "jupyterhub_config.py").write_text(loaded + _HUB_TRAITS.format(**places))
    return Tracking(folder, port, hub, proxy, database or f"sqlite:///{folder}/mlflow.db")


@contextlib.contextmanager
def serving(tracking: Tracking, *, ready: bool = True) -> Iterator[subprocess.Popen[bytes]]:
    """Run the server; wait until MLflow is up, if it is to be."""
    address = [f"--address={HERE}", f"--port={tracking.port}"]
    with _running(tracking, [sys.executable, "-m", "casita.tracking", *address], "server") as it:
        alive = f"http://{HERE}:{tracking.port}/health"
        until_answered(f"{tracking.url}/health" if ready else alive, it)
        yield it


@contextlib.contextmanager
def hub(tracking: Tracking) -> Iterator[None]:
    """Run the hub."""
    command = [sys.executable, "-m", "jupyterhub", "--config", "jupyterhub_config.py"]
    with _running(tracking, command, "hub") as process:
        until_answered(tracking.at("/hub/health"), process)
        yield


@contextlib.contextmanager
def _running(
    tracking: Tracking, command: list[str], name: str
) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **tracking.environment(),
        "JUPYTERHUB_SERVICE_TOKEN_MLFLOW": HUB_TOKEN,
        "JUPYTERHUB_CRYPT_KEY": KEY,
    }
    with (tracking.folder / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=tracking.folder, env=environment, stdout=log, stderr=log
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


def until_answered(url: str, process: subprocess.Popen[bytes], seconds: float = 90.0) -> None:
    """Wait until an address answers well."""
    deadline = time.monotonic() + seconds
    while True:
        assert process.poll() is None, f"ended with {process.returncode}"
        with contextlib.suppress(OSError):
            urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 - of the loopback
            return
        assert time.monotonic() < deadline, f"{url} does not answer"
        time.sleep(0.1)


def token(user: str, key: str = KEY, **changes: Any) -> str:
    """Mint a user's token as the operator does; a change to `None` leaves a claim out."""
    now = int(time.time())
    said = {
        "iss": ISSUER,
        "aud": "mlflow",
        "sub": user,
        "jti": secrets.token_hex(16),
        "iat": now,
        "nbf": now,
        "exp": now + 600,
        **changes,
    }
    return jwt.encode({k: v for k, v in said.items() if v is not None}, key, algorithm="HS256")


def signed_token(text: str) -> str:
    """Return a cookie's value for a token of the hub's, as the server signs it."""
    found = URLSafeTimedSerializer(SECRET, salt="casita tracking token").dumps(text)
    return found if isinstance(found, str) else found.decode()


def bearer(user: str) -> dict[str, str]:
    """Return the header by which a session's client is known."""
    return {"Authorization": f"Bearer {token(user)}"}


class Visitor:
    """A browser, as far as cookies and redirects go."""

    def __init__(self, tracking: Tracking) -> None:
        self.tracking = tracking
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def __aenter__(self) -> "Visitor":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    def cookies(self) -> dict[str, Any]:
        """Return what it holds, by name."""
        return {cookie.key: cookie for cookie in self._session.cookie_jar}

    async def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> tuple[int, str, Mapping[str, str]]:
        """Make one request; return status, text and headers."""
        async with self._session.request(
            method, self.tracking.at(path), headers=headers, allow_redirects=False, **options
        ) as response:
            return response.status, await response.text(), response.headers

    async def open(self, path: str, most: int = 10) -> tuple[int, str, str]:
        """Open a page, go where it leads; return status, text and where that is."""
        for _ in range(most):
            status, text, headers = await self.ask("GET", path, {"Accept": "text/html"})
            if status not in {301, 302, 307}:
                return status, text, path
            path = headers["Location"].removeprefix(self.tracking.origin)
            path = path.removeprefix(f"http://{HERE}:{self.tracking.hub_port}")
        raise AssertionError(f"no end of redirects at {path}")

    async def log_in(self, user: str) -> None:
        """Log in at the hub."""
        await self.open("/hub/login")
        data = {"username": user, "password": "any", "_xsrf": self.cookies()["_xsrf"].value}
        status, text, _ = await self.ask("POST", "/hub/login", data=data)
        assert status == 302, text


@contextlib.asynccontextmanager
async def visiting(tracking: Tracking, user: str = "") -> AsyncIterator[Visitor]:
    """Open a browser, logged in at the hub if a user is named."""
    async with Visitor(tracking) as visitor:
        if user:
            await visitor.log_in(user)
        yield visitor


async def hub_api(tracking: Tracking, method: str, path: str) -> int:
    """Ask the hub as an admin."""
    headers = {"Authorization": f"token {ASKING_TOKEN}"}
    url = tracking.at(f"/hub/api{path}")
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, headers=headers) as response,
    ):
        return response.status
