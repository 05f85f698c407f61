"""The hub's metrics are shown by a service that may read nothing else, at a port of its own."""

import json
import os
import secrets
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.chart.helm import render
from tests.cluster import ports, wait
from tests.support.hub_account import VALUES

CONFIGURATION: Final = """
import json
import pathlib

from jupyterhub.proxy import Proxy

told = json.loads((pathlib.Path(__file__).parent / "told.json").read_text())


class NoProxy(Proxy):
    should_start = False

    async def add_route(self, routespec, target, data):
        pass

    async def delete_route(self, routespec):
        pass

    async def get_all_routes(self):
        return {}


c = get_config()
c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.hub_bind_url = told["url"]
c.JupyterHub.authenticator_class = "dummy"
c.JupyterHub.spawner_class = "simple"
c.JupyterHub.db_url = "sqlite:///hub.sqlite"
c.JupyterHub.services = [told["service"]]
c.JupyterHub.load_roles = [told["role"]]
"""


def of_the_chart(what: str) -> dict[str, Any]:
    """The service, or its role, as the chart configures it."""
    data = render(VALUES).one("ConfigMap", "casita-hub", "casita-hub")["data"]
    found = json.loads(data["chart.json"])["JupyterHub"][what]
    (own,) = (each for each in found if each["name"] == "metrics")
    return dict(own)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """URLs of a real hub and of its metrics."""
    folder = tmp_path_factory.mktemp("hub")
    hub_port, metrics_port = ports.free(2)
    url = f"http://127.0.0.1:{hub_port}"
    words = ["-m", "casita.hub.metrics", f"--port={metrics_port}", "--address=127.0.0.1"]
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    service = {
        **of_the_chart("services"),
        "command": [sys.executable, *words],
        "environment": {"JUPYTERHUB_API_URL": f"{url}/hub/api", **path},
    }
    told = {"url": url, "service": service, "role": of_the_chart("load_roles")}
    (folder / "told.json").write_text(json.dumps(told))
    (folder / "hub_config.py").write_text(CONFIGURATION)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "--config", "hub_config.py"],
            cwd=folder,
            env={**os.environ, **path, "JUPYTERHUB_CRYPT_KEY": secrets.token_hex(32)},
            stdout=log,
            stderr=subprocess.STDOUT,
            # Whoever runs tests in the background has this signal ignored; services end by it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    shown = f"http://127.0.0.1:{metrics_port}/metrics"

    def ended() -> str | None:
        return (folder / "log").read_text() if process.poll() is not None else None

    try:
        wait.until(lambda: status(shown) == 200, "metrics are shown", seconds=60, failed=ended)
        yield url, shown
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(40)


def status(url: str) -> int:
    """Return the status of an answer; 0 is none."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - on the loopback
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def test_the_hubs_own_metrics_are_shown(hub: tuple[str, str]) -> None:
    with urllib.request.urlopen(hub[1], timeout=10) as answer:  # noqa: S310 - on the loopback
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert b"\njupyterhub_running_servers 0.0\n" in answer.read()


def test_the_hub_itself_shows_them_to_nobody_without_a_token(hub: tuple[str, str]) -> None:
    assert status(f"{hub[0]}/hub/metrics") == 403


def test_the_service_may_do_nothing_but_read_metrics() -> None:
    assert of_the_chart("load_roles")["scopes"] == ["read:metrics"]
    assert "url" not in of_the_chart("services"), "no way of the proxy leads to it"
