"""What the operator learns from a session's scheduler, and how soon."""

import asyncio
import json
import logging
import signal
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import pytest
from aiohttp import web

from casita.credentials.x509 import Authority, Role
from casita.dask.answer import Answer, parse_answer
from casita.dask.dialback import Contact
from casita.dask.report import (
    Content,
    Reporter,
    backoff_seconds,
    encode_report,
    pause_seconds,
)
from casita.dask.settings import ReportTarget, SettingsError, scheduler_settings
from tests.unit.dask_session import (
    DEADLINE_SECONDS,
    POLL_SECONDS,
    Session,
    authority,
    free_port,
    leaf,
    mount,
)

RUN = "0123456789abcdef"
TOKEN = "t" * 43
PATH = "/v1/namespaces/casita/sessions/demo/report"


@dataclass
class Endpoint:
    """The operator's side: keeps what it is sent."""

    status: int = 204
    reports: list[tuple[float, str, dict[str, object]]] = field(default_factory=list)
    url: str = ""

    async def receive(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.reports.append((time.monotonic(), request.headers["Authorization"], body))
        return web.Response(status=self.status)

    def worker(self) -> dict[str, object]:
        """Return what the newest report says of the one worker; nothing without one."""
        workers = self.reports[-1][2]["workers"] if self.reports else []
        assert isinstance(workers, list)
        return dict(workers[0]) if workers else {}


@asynccontextmanager
async def serving(directory: Path, signer: Authority) -> AsyncIterator[Endpoint]:
    """Serve an endpoint over TLS at ``https://localhost``."""
    endpoint = Endpoint()
    files = mount(directory, signer, Role.ENDPOINT).directory
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files / "tls.crt", files / "tls.key")
    application = web.Application()
    application.router.add_post(PATH, endpoint.receive)
    runner = web.AppRunner(application)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "localhost", port, ssl_context=context).start()
    endpoint.url = f"https://localhost:{port}"
    try:
        yield endpoint
    finally:
        await runner.cleanup()


@dataclass
class Proxy:
    """Forwards connections to a worker, like a gateway, and keeps how each began."""

    port: int
    upstream: int
    hellos: list[bytes] = field(default_factory=list)
    connections: int = 0
    server: asyncio.Server | None = None

    async def start(self) -> None:
        self.server = await asyncio.start_server(self._forward, "127.0.0.1", self.port)

    async def stop(self) -> None:
        assert self.server is not None
        self.server.close()
        await self.server.wait_closed()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        self.hellos.append(await reader.read(4096))
        up_writer.write(self.hellos[-1])
        await asyncio.gather(_copy(reader, up_writer), _copy(up_reader, writer))
        self.connections -= 1


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
    except ConnectionError:
        pass
    finally:
        writer.close()


async def eventually(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {DEADLINE_SECONDS:g} s"
        await asyncio.sleep(POLL_SECONDS)


async def test_the_operator_learns_what_the_scheduler_can_reach(tmp_path: Path) -> None:
    session, system = Session(tmp_path), authority("system")
    session.scheduler_mount.write_leaf(
        session.authority,
        leaf(session.authority, Role.SCHEDULER),
        **{"report-token": TOKEN.encode(), "report-ca.pem": system.certificate_pem},
    )
    async with serving(tmp_path / "endpoint", system) as endpoint:
        proxy = Proxy(free_port(), free_port())
        await proxy.start()
        scheduler = session.scheduler(
            "--no-dashboard",
            CASITA_REPORT_URL=endpoint.url,
            CASITA_SESSION_NAMESPACE="casita",
            CASITA_SESSION_NAME="demo",
            CASITA_RUN=RUN,
            CASITA_DIAL_SECONDS="0.5",
            CASITA_DIAL_TIMEOUT_SECONDS="1",
            CASITA_REPORT_HEARTBEAT_SECONDS="2",
        )
        worker = session.worker(
            "w0",
            *("--listen-address", f"tls://127.0.0.1:{proxy.upstream}"),
            *("--contact-address", f"tls://localhost:{proxy.port}"),
        )
        try:
            await eventually(lambda: endpoint.worker().get("reachable") is True, "the worker")
            assert endpoint.worker() == {
                "name": "w0",
                "address": f"tls://localhost:{proxy.port}",  # not the number behind the name
                "reachable": True,
                "error": "",
            }
            assert all(b"localhost" in hello for hello in proxy.hellos), "no SNI to route by"
            assert {(token, body["run"]) for _, token, body in endpoint.reports} == {
                (f"Bearer {TOKEN}", RUN)
            }

            await proxy.stop()
            await eventually(lambda: endpoint.worker()["reachable"] is False, "the refusal")
            assert endpoint.worker()["error"]
            await proxy.start()
            await eventually(lambda: endpoint.worker()["reachable"] is True, "the return")

            worker.send(signal.SIGSTOP)
            await eventually(lambda: endpoint.worker()["reachable"] is False, "the silence")
            assert endpoint.worker()["error"] == "no connection within 0.8 s"
            worker.send(signal.SIGCONT)
            await eventually(lambda: endpoint.worker()["reachable"] is True, "the awakening")

            count = len(endpoint.reports)
            await eventually(lambda: len(endpoint.reports) == count + 1, "a heartbeat")
            worker.send(signal.SIGTERM)
            await eventually(lambda: endpoint.worker() == {}, "the leave")
            times = [moment for moment, _, _ in endpoint.reports]
            assert min(b - a for a, b in pairwise(times)) > 0.95
            assert scheduler.healthy()
            scheduler.send(signal.SIGTERM)
            assert await asyncio.to_thread(scheduler.exit_code) == 0
            assert "distributed.casita - ERROR" not in scheduler.output()
            assert TOKEN not in scheduler.output()
        finally:
            session.stop()
            await proxy.stop()
            await eventually(lambda: proxy.connections == 0, "the end of all connections")


@pytest.fixture
def target(tmp_path: Path) -> ReportTarget:
    (tmp_path / "report-token").write_text(TOKEN)
    return ReportTarget(
        url=f"https://localhost:{free_port()}{PATH}",
        namespace="casita",
        name="demo",
        run=RUN,
        token_file=tmp_path / "report-token",
        authority_file=tmp_path / "report-ca.pem",
        heartbeat_seconds=60,
    )


@asynccontextmanager
async def reporting(
    target: ReportTarget, endpoint: Endpoint, content: Callable[[], Content] = Content
) -> AsyncIterator[Reporter]:
    port = endpoint.url.rpartition(":")[2]
    target = replace(target, url=f"https://localhost:{port}{PATH}")
    reporter = Reporter(target, content, logging.getLogger("test"))
    task = asyncio.create_task(reporter.run())
    try:
        yield reporter
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_an_operator_that_is_away_costs_one_line(
    tmp_path: Path,
    target: ReportTarget,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("casita.dask.report.backoff_seconds", lambda _: 0.01)
    caplog.set_level(logging.INFO)
    system = authority("system")
    target.authority_file.write_bytes(system.certificate_pem)
    async with serving(tmp_path / "endpoint", system) as endpoint:
        endpoint.status = 503
        async with reporting(target, endpoint):
            await eventually(lambda: len(endpoint.reports) > 3, "trying on")
            endpoint.status = 204
            await eventually(lambda: "accepted again" in caplog.text, "the return")
    assert caplog.text.count("answered 503") == 1
    assert TOKEN not in caplog.text


async def test_an_endpoint_of_another_authority_gets_no_token(
    tmp_path: Path, target: ReportTarget, caplog: pytest.LogCaptureFixture
) -> None:
    target.authority_file.write_bytes(authority("system").certificate_pem)
    async with (
        serving(tmp_path / "endpoint", authority("stranger")) as endpoint,
        reporting(target, endpoint),
    ):
        await eventually(lambda: "CERTIFICATE_VERIFY_FAILED" in caplog.text, "the refusal")
        assert not endpoint.reports


def contact(number: int, *, reachable: bool) -> Contact:
    error = "" if reachable else "OSError: " + "x" * 190
    name = f"a-session-0123456789-local-{number}"
    return Contact(name, f"tls://10.244.{number // 256}.{number % 256}:8789", reachable, error)


def test_a_report_fits_and_keeps_what_matters() -> None:
    contacts = [contact(number, reachable=number % 10 != 0) for number in range(2000)]
    body = encode_report(RUN, Content(contacts), limit=65_536)
    assert len(body) <= 65_536
    workers = json.loads(body)["workers"]
    assert sum(not worker["reachable"] for worker in workers) == 200
    few = contacts[:20]
    assert json.loads(encode_report(RUN, Content(few)))["workers"][0]["error"] == few[0].error


def state(desired: int, requested: int, ready: int) -> Answer:
    counts = {"desired": desired, "requested": requested, "ready": ready}
    return parse_answer(json.dumps({"pools": [{"pool": "local", **counts}]}).encode())


@pytest.mark.parametrize(
    ("since_change", "answer", "seconds"),
    [
        (29.0, state(2, 2, 2), 5),
        (31.0, state(2, 2, 2), 60),
        (31.0, state(3, 2, 2), 5),
        (31.0, state(2, 2, 1), 5),
        (31.0, state(2, 3, 3), 5),
        (31.0, Answer(), 60),
        (31.0, None, 60),
    ],
)
def test_reports_are_brisk_while_workers_come_and_go(
    since_change: float, answer: Answer | None, seconds: float
) -> None:
    assert pause_seconds(60, since_change, answer) == seconds
    assert pause_seconds(2, since_change, answer) == 2


def test_an_answer_may_be_empty_but_not_anything() -> None:
    assert parse_answer(b"") == Answer()
    assert parse_answer(b'{"mode": "Manual", "more": 1}').mode == "Manual"
    for body in (b"<html>", b"[]", b'{"pools": [{"pool": "a", "ready": -1}]}'):
        with pytest.raises(ValueError, match="not an answer"):
            parse_answer(body)


def test_back_off_grows_to_a_minute() -> None:
    waits = [backoff_seconds(failures) for failures in (1, 3, 5, 20, 10_000)]
    assert all(
        most / 2 <= wait <= most for wait, most in zip(waits, (2, 8, 32, 60, 60), strict=True)
    )


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"CASITA_DIAL_SECONDS": "soon"}, "CASITA_DIAL_SECONDS must be a number"),
        ({"CASITA_DIAL_SECONDS": "-1"}, "CASITA_DIAL_SECONDS must be a positive number"),
        ({"CASITA_HEALTH_PORT": "0"}, "CASITA_HEALTH_PORT must be a port, got 0"),
        ({"CASITA_HEALTH_PORT": "http"}, "CASITA_HEALTH_PORT must be a port, got 'http'"),
        ({"CASITA_REPORT_URL": "http://operator"}, "CASITA_REPORT_URL must be an https://"),
        ({"CASITA_REPORT_URL": "https://operator"}, "CASITA_SESSION_NAMESPACE must be set"),
    ],
)
def test_wrong_settings_are_named(environment: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        scheduler_settings(environment)


def test_without_an_operator_nothing_is_reported() -> None:
    assert scheduler_settings({}).report is None
