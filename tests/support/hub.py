"""A real JupyterHub on the loopback, whose users' servers are pods of a control plane.

It has no proxy: its status page is asked at its own port. No pod runs either: one listener stands
for every user's server, and says so as JupyterHub's own servers do.
"""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import aiohttp
import yaml
from aiohttp import web

from casita.config import Site
from tests.chart.helm import render
from tests.cluster import ports
from tests.support.hub_account import VALUES

TOKEN: Final = "a-token-of-the-tests"

HERE: Final = "127.0.0.1"
"""Where users' servers are found."""

CONFIGURATION: Final = """
import asyncio
import json
import pathlib

from jupyterhub.proxy import Proxy

told = json.loads((pathlib.Path(__file__).parent / "told.json").read_text())


class NoProxy(Proxy):
    should_start = False
    routes = {}

    async def add_route(self, routespec, target, data):
        self.routes[routespec] = {"routespec": routespec, "target": target, "data": data}

    async def delete_route(self, routespec):
        self.routes.pop(routespec, None)

    async def get_all_routes(self):
        return dict(self.routes)


c = get_config()
c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.bind_url = f"http://127.0.0.1:{told['proxy']}"
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{told['hub']}"
c.JupyterHub.authenticator_class = "dummy"
c.JupyterHub.db_url = "sqlite:///hub.sqlite"
c.JupyterHub.cleanup_servers = False
c.JupyterHub.allow_named_servers = True
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}
c.JupyterHub.load_groups = told["groups"]
c.JupyterHub.services = [
    {"name": "tests", "api_token": told["token"], "admin": True},
    *told["services"],
]
c.JupyterHub.load_roles = told["roles"]
c.JupyterHub.spawner_class = "casita.hub.spawner.CasitaSpawner"
c.Authenticator.allow_all = True
c.CasitaSpawner.site_file = told["site"]
c.CasitaSpawner.namespace = told["namespace"]
c.CasitaSpawner.operator_seconds = told["operator_seconds"]
c.CasitaSpawner.port = told["server"]
c.CasitaSpawner.delete_pvc = False
c.CasitaSpawner.start_timeout = 60
c.CasitaSpawner.http_timeout = 30
c.CasitaSpawner.k8s_api_request_retry_timeout = 10
for name, traits in told["config"].items():
    c[name].update(traits)
"""


class Hub:
    """One JupyterHub, from the start of a block to its end; its database stays in its folder."""

    def __init__(
        self,
        folder: Path,
        kubeconfig: Path,
        site: Site,
        namespace: str,
        *,
        groups: dict[str, list[str]] | None = None,
        operator_seconds: float = 30.0,
        status: Sequence[str] | None = None,
        cull: Sequence[str] | None = None,
    ) -> None:
        """Keep everything in `folder`.

        Args:
            folder: of the hub.
            kubeconfig: of the hub's account.
            site: the site's configuration.
            namespace: of servers and sessions.
            groups: users by group.
            operator_seconds: how long the operator may take.
            status: options of the status page, if it is to run.
            cull: options of what ends servers that nobody uses, in place of the chart's.
        """
        self._folder = folder
        self._kubeconfig = kubeconfig
        self._hub, self._proxy, self._server, self._status = ports.free(4)
        (folder / "site.yaml").write_text(
            yaml.safe_dump(site.model_dump(mode="json", by_alias=True))
        )
        (folder / "hub_config.py").write_text(CONFIGURATION)
        self._told: dict[str, Any] = {
            "hub": self._hub,
            "proxy": self._proxy,
            "server": self._server,
            "token": TOKEN,
            "namespace": namespace,
            "site": str(folder / "site.yaml"),
            "groups": {name: {"users": users} for name, users in (groups or {}).items()},
            "operator_seconds": operator_seconds,
            "services": [],
            "roles": [],
            "config": {},
        }
        if status is not None:
            own = (f"--namespace={namespace}", "--hub-name=casita", f"--address={HERE}")
            self._serve("status", (*own, *status), url=f"http://{HERE}:{self._status}")
        if cull is not None:
            self._serve("cull", cull)

    @property
    def url(self) -> str:
        """Where its pages are."""
        return f"http://127.0.0.1:{self._hub}/hub"

    def at(self, path: str) -> str:
        """Return where a path is found, to which a proxy would lead."""
        port = self._status if path.startswith("/services/") else self._hub
        return f"http://127.0.0.1:{port}{path}"

    def _serve(self, name: str, options: Sequence[str], **here: Any) -> None:
        """Have a service run as the chart has it, but here, and with these options."""
        data = render(VALUES).one("ConfigMap", "casita-hub", "casita-hub")["data"]
        chart = json.loads(data["chart.json"])["JupyterHub"]
        (service,) = (found for found in chart["services"] if found["name"] == name)
        said = {option.partition("=")[0] for option in options}
        chosen = [word for word in service["command"][1:] if word.partition("=")[0] not in said]
        environment = {
            "KUBECONFIG": str(self._kubeconfig),
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        here |= {"command": [sys.executable, *chosen, *options], "environment": environment}
        self._told["services"].append(service | here)
        self._told["roles"] += [r for r in chart["load_roles"] if r["name"] in ("user", name)]

    def configure(self, traits: Mapping[str, Any]) -> None:
        """Add configuration, by class and trait, to be known at the next start."""
        self._told["config"] = {**self._told["config"], **traits}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Hub"]:
        """Run it, and the listener that stands for users' servers."""
        (self._folder / "told.json").write_text(json.dumps(self._told))
        log = (self._folder / "hub.log").open("ab")
        began = log.tell()
        environment = {
            **os.environ,
            "KUBECONFIG": str(self._kubeconfig),
            "JUPYTERHUB_CRYPT_KEY": secrets.token_hex(32),
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        command = [sys.executable, "-m", "jupyterhub", "--config", "hub_config.py"]
        process = subprocess.Popen(  # noqa: ASYNC220 - a process of its own, ended below
            command,
            cwd=self._folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            # Whoever runs tests in the background has this signal ignored; services end by it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        try:
            async with aiohttp.ClientSession() as self._session, self._servers():
                await self._runs(process, began)
                yield self
        finally:
            process.send_signal(signal.SIGINT)
            try:
                await asyncio.to_thread(process.wait, 40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise
            finally:
                log.close()

    async def _runs(self, process: subprocess.Popen[bytes], began: int) -> None:
        """Wait until it is all up: it answers before its services do, and before it heeds signals.

        Its log of this run begins at the byte `began`.
        """
        deadline = asyncio.get_running_loop().time() + 60
        while b"is now running" not in (self._folder / "hub.log").read_bytes()[began:]:
            assert process.poll() is None, self.log()
            assert asyncio.get_running_loop().time() < deadline, self.log()
            await asyncio.sleep(0.1)

    @contextlib.asynccontextmanager
    async def _servers(self) -> AsyncIterator[None]:
        async def answer(_: web.Request) -> web.Response:
            return web.Response(headers={"X-JupyterHub-Version": "6.1.1"})

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self._server).start()
        try:
            yield
        finally:
            await runner.cleanup()

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Ask the hub's API as an admin; return status and answer."""
        async with self._session.request(
            method,
            f"{self.url}/api{path}",
            json=body,
            headers={"Authorization": f"token {TOKEN}"},
        ) as response:
            text = await response.text()
            return response.status, json.loads(text) if text else None

    async def start(self, user: str, server: str = "", **options: Any) -> tuple[int, Any]:
        """Log a user in, as it were, and ask for a server."""
        await self.ask("POST", f"/users/{user}")
        return await self.ask("POST", self._path(user, server), options or None)

    async def progress(self, user: str, server: str = "") -> list[dict[str, Any]]:
        """Return all that is told of a start until its end."""
        async with self._session.get(
            f"{self.url}/api{self._path(user, server)}/progress",
            headers={"Authorization": f"token {TOKEN}"},
        ) as response:
            lines = [line async for line in response.content]
        return [json.loads(line[5:]) for line in lines if line.startswith(b"data:")]

    async def stop(self, user: str, server: str = "", *, remove: bool = False) -> int:
        """Stop a server, or delete a named one; return the status."""
        path = self._path(user, server)
        return (await self.ask("DELETE", path, {"remove": True} if remove else None))[0]

    async def servers(self, user: str) -> dict[str, Any]:
        """Return the servers of a user that are up."""
        _, found = await self.ask("GET", f"/users/{user}")
        return {name: server for name, server in found["servers"].items() if server["ready"]}

    async def until_ready(self, user: str, server: str = "", seconds: float = 30.0) -> None:
        """Wait until a server is up."""
        deadline = asyncio.get_running_loop().time() + seconds
        while server not in await self.servers(user):
            assert asyncio.get_running_loop().time() < deadline, self.log()
            await asyncio.sleep(0.1)

    def log(self) -> str:
        """Return the end of its log."""
        return (self._folder / "hub.log").read_text()[-6000:]

    @staticmethod
    def _path(user: str, server: str) -> str:
        return f"/users/{user}/servers/{server}" if server else f"/users/{user}/server"
