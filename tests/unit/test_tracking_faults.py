"""What the tracking server does while others are away: it lives, says so, and is back by itself."""

import contextlib
import http.client
import time
from collections.abc import Callable
from pathlib import Path

from tests.support import mlflow
from tests.support.database import database
from tests.support.mlflow import HERE, PREFIX, Tracking, bearer

WHO = "/api/2.0/mlflow/users/current"


def status(tracking: Tracking, path: str, **headers: str) -> int:
    """Return the status of an answer."""
    connection = http.client.HTTPConnection(HERE, tracking.port, timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_without_its_hub_browsers_wait_and_sessions_go_on(tmp_path: Path) -> None:
    tracking = mlflow.prepare(tmp_path)
    cookie = {"Cookie": "service-mlflow=stale", "Accept": "text/html"}
    with mlflow.serving(tracking):
        assert status(tracking, PREFIX + WHO, **bearer("alice")) == 200
        # A cookie that nobody signed is nobody's, and a page leads to the hub.
        assert status(tracking, f"{PREFIX}/", **cookie) == 302
        signed = {"Cookie": f"service-mlflow={mlflow.signed_token('any')}", "Accept": "text/html"}
        assert status(tracking, f"{PREFIX}/", **signed) == 503


def test_its_database_may_come_later_go_and_come_back(tmp_path: Path) -> None:
    with database() as server:
        tracking = mlflow.prepare(tmp_path, server.url)
        server.kill()
        with mlflow.serving(tracking, ready=False):
            assert status(tracking, f"{PREFIX}/health") == 503
            assert status(tracking, PREFIX + WHO, **bearer("alice")) == 503
            server.start()
            until(lambda: status(tracking, f"{PREFIX}/health") == 200)
            assert status(tracking, PREFIX + WHO, **bearer("alice")) == 200
            server.kill()
            assert status(tracking, PREFIX + WHO, **bearer("alice")) >= 500
            assert status(tracking, "/health") == 200
            server.start()
            until(lambda: status(tracking, PREFIX + WHO, **bearer("alice")) == 200)
