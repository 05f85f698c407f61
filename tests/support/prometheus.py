"""Prometheus, as tests ask it: by its HTTP API, wherever it runs."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final
from urllib.parse import quote, urlsplit

import yaml

from tests.cluster import packages, ports, process, wait
from tests.cluster.steps import Steps
from tests.support import kubectl

Json = dict[str, Any]

NAMESPACE: Final = "monitoring"
PROXY: Final = f"/api/v1/namespaces/{NAMESPACE}/services/prometheus:9090/proxy"
"""The way to a cluster's Prometheus (tests/cluster/manifests/prometheus.yaml)."""


class PrometheusError(Exception):
    """Prometheus refused; the message has its words."""


class Prometheus:
    """Asks by `get`, which returns the body at a path of the server."""

    def __init__(self, get: Callable[[str], bytes]) -> None:
        self._get = get

    def query(self, expression: str) -> list[Json]:
        """Return the series of an instant query, each with `metric` and `value`.

        Raises:
            PrometheusError: the expression cannot be evaluated.
        """
        data = self._ask(f"/api/v1/query?query={quote(expression, safe='')}")
        return list(data["result"]) if data["resultType"] == "vector" else [data]

    def values(self, expression: str) -> list[float]:
        """Return the values of an instant query."""
        return [float(series["value"][1]) for series in self.query(expression)]

    def rules(self) -> list[Json]:
        """Return all rules, with `health` and `lastError`."""
        return [rule for group in self._ask("/api/v1/rules")["groups"] for rule in group["rules"]]

    def targets(self) -> list[Json]:
        """Return what is scraped, with `labels`, `health` and `lastError`."""
        return list(self._ask("/api/v1/targets?state=active")["activeTargets"])

    def _ask(self, path: str) -> Json:
        answer = json.loads(self._get(path))
        if answer["status"] != "success":
            raise PrometheusError(f"{answer['errorType']}: {answer['error']}")
        return dict(answer["data"])


def of_the_cluster() -> Prometheus:
    """Return the Prometheus of the cluster that is up."""
    return Prometheus(lambda path: kubectl.run("get", "--raw", PROXY + path))


def promtool(*arguments: str, stdin: bytes = b"") -> str:
    """Run promtool, and return all that it says; an AssertionError has its words if it fails."""
    packages.ensure(packages.MONITORING, Steps(quiet=True))
    command = [_program("promtool"), *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=120)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, f"promtool {' '.join(arguments)}: {said}"
    return said


@contextmanager
def running(
    folder: Path, targets: Mapping[str, tuple[str, Mapping[str, str]]], rules: Path
) -> Iterator[Prometheus]:
    """Run a real Prometheus in `folder`.

    Args:
        folder: where it keeps its data.
        targets: of each job the metrics that it has, as text, and the labels of its target.
        rules: file of rules.
    """
    packages.ensure(packages.MONITORING, Steps(quiet=True))
    texts = {f"/{job}": text for job, (text, _) in targets.items()}
    (port,) = ports.free(1)
    with _exposed(texts) as address:
        jobs = [
            {
                "job_name": job,
                "metrics_path": f"/{job}",
                "static_configs": [{"targets": [address], "labels": dict(labels)}],
            }
            for job, (_, labels) in targets.items()
        ]
        often = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        configuration = {"global": often, "scrape_configs": jobs, "rule_files": [str(rules)]}
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration))
        started = process.start(
            "prometheus",
            [
                _program("prometheus"),
                f"--config.file={folder / 'prometheus.yaml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            folder / "prometheus.log",
        )
        try:
            found = Prometheus(lambda path: _get(f"http://127.0.0.1:{port}{path}"))
            wait.until(
                lambda: _scraped_twice(found, set(targets)),
                "Prometheus has met every target twice",
                seconds=60,
                failed=lambda: None if started.alive() else started.last_lines(),
            )
            yield found
        finally:
            started.kill()


def _scraped_twice(prometheus: Prometheus, jobs: set[str]) -> bool:
    """Rates need two samples, and rules that are made of them one pass more."""
    try:
        met = prometheus.query("count_over_time(up[1m]) >= 4")
    except (OSError, PrometheusError):
        return False
    return {series["metric"]["job"] for series in met} == jobs


@contextmanager
def _exposed(texts: Mapping[str, str]) -> Iterator[str]:
    """Show texts at their paths; yields host and port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = texts.get(urlsplit(self.path).path)
            self.send_response(404 if text is None else 200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.end_headers()
            self.wfile.write((text or "").encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as above
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def _get(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - http on the loopback
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        return error.read()


def _program(name: str) -> str:
    found = packages.find(name)
    assert found is not None, f"{name} is missing"
    return found
