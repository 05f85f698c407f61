"""The way from a user's browser, which has no certificate, to the dashboard of their session."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from casita.credentials.x509 import Authority, Leaf, Role
from casita.dask import tunnel
from tests.unit.dask_session import (
    DEADLINE_SECONDS,
    SecretMount,
    Session,
    authority,
    free_port,
    leaf,
    wait_for,
)

REQUEST = b"GET /status HTTP/1.1\r\nHost: hub.example\r\n\r\n"
LARGE = bytes(range(256)) * 20_000
"""More than all buffers on the way hold."""

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Dashboards = Callable[..., Awaitable["Dashboard"]]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def nothing(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def silence(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def request_then_large(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readexactly(len(REQUEST))
    writer.write(LARGE)
    await writer.drain()


@dataclass
class Dashboard:
    """A listener that demands a certificate of its authority, and a tunnel to it."""

    authority: Authority
    mount: SecretMount
    port: int
    socket: Path
    serials: list[str] = field(default_factory=list)
    ended: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    """Released whenever a connection has ended here."""

    def write(self, signer: Authority, issued: Leaf) -> None:
        where = {"dashboardAddress": f"https://localhost:{self.port}"}
        self.mount.write_leaf(signer, issued, **{"session.json": json.dumps(where).encode()})

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(self.socket)

    async def ask(self, request: bytes = REQUEST) -> bytes:
        """Return all that is answered to `request`."""
        reader, writer = await self.connect()
        writer.write(request)
        async with asyncio.timeout(DEADLINE_SECONDS):
            answer = await reader.read()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return answer


@pytest.fixture
async def dashboard(tmp_path: Path) -> AsyncIterator[Dashboards]:
    """Start dashboards that answer in a given way, each with its tunnel."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(answer: Answer, names: tuple[str, ...] = ("localhost",)) -> Dashboard:
            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                presented: dict[str, Any] = writer.get_extra_info("peercert")
                made.serials.append(f"{int(presented['serialNumber'], 16):x}")
                with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                    await answer(reader, writer)
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
                made.ended.release()

            signer = authority()
            mount = SecretMount(tmp_path / "scheduler")
            mount.write_leaf(signer, leaf(signer, Role.SCHEDULER, names))
            context = ssl.create_default_context(
                ssl.Purpose.CLIENT_AUTH, cafile=mount.directory / "ca.pem"
            )
            context.load_cert_chain(mount.directory / "usercert.pem")
            context.verify_mode = ssl.CERT_REQUIRED
            port = free_port()
            listener = await asyncio.start_server(serve, "127.0.0.1", port, ssl=context)
            stack.callback(listener.close)
            made = Dashboard(signer, SecretMount(tmp_path / "client"), port, tmp_path / "socket")
            made.write(signer, leaf(signer, Role.CLIENT))
            bound = tunnel.listen_at(made.socket)
            await stack.enter_async_context(running(bound, made.mount.directory))
            return made

        yield start


@contextlib.asynccontextmanager
async def running(bound: socket.socket, directory: Path) -> AsyncIterator[asyncio.Task[None]]:
    serving = asyncio.create_task(tunnel.serve(bound, directory))
    await asyncio.sleep(0)
    try:
        yield serving
    finally:
        serving.cancel()
        await asyncio.wait({serving})


async def test_bytes_pass_unchanged_in_both_directions_at_once(dashboard: Dashboards) -> None:
    made = await dashboard(echo)
    reader, writer = await made.connect()
    writer.write(LARGE)
    received, _ = await asyncio.gather(reader.readexactly(len(LARGE)), writer.drain())
    assert received == LARGE
    writer.close()


async def test_a_user_who_has_ended_still_gets_the_whole_answer(dashboard: Dashboards) -> None:
    made = await dashboard(request_then_large)
    reader, writer = await made.connect()
    writer.write(REQUEST)
    writer.write_eof()
    async with asyncio.timeout(DEADLINE_SECONDS):
        assert await reader.read() == LARGE
    writer.close()


async def test_the_dashboards_end_is_the_end_after_all_it_said(dashboard: Dashboards) -> None:
    made = await dashboard(request_then_large)
    assert await made.ask() == LARGE


async def test_a_user_who_leaves_frees_the_dashboard(
    dashboard: Dashboards, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunnel, "LINGER_SECONDS", 0.05)
    made = await dashboard(silence)
    _, writer = await made.connect()
    writer.write(REQUEST)
    writer.close()
    async with asyncio.timeout(DEADLINE_SECONDS):
        await made.ended.acquire()


async def test_a_renewed_certificate_is_presented_by_the_next_connection(
    dashboard: Dashboards,
) -> None:
    made = await dashboard(echo)
    reader, writer = await made.connect()
    writer.write(b"before")
    assert await reader.readexactly(6) == b"before"
    renewed = leaf(made.authority, Role.CLIENT)
    made.write(made.authority, renewed)
    later, second = await made.connect()
    second.write(b"after")
    assert await later.readexactly(5) == b"after"
    assert made.serials[1] == renewed.serial != made.serials[0]
    writer.write(b"still open")
    assert await reader.readexactly(10) == b"still open"
    writer.close()
    second.close()


def reason(answer: bytes) -> str:
    """Return what a refusal tells, which must be whole."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 502 "), answer
    assert f"Content-Length: {len(body)}\r\n".encode() in head, answer
    heading, _, rest = body.decode().partition("\n\n")
    assert heading == "The Dask dashboard cannot be shown."
    return rest


async def test_a_scheduler_that_is_down_is_told_in_words(dashboard: Dashboards) -> None:
    made = await dashboard(echo)
    made.port = free_port()
    made.write(made.authority, leaf(made.authority, Role.CLIENT))
    told = reason(await made.ask(REQUEST + LARGE))
    assert f"The scheduler at localhost:{made.port} does not answer (Connection refused)." in told
    assert "may still be starting" in told


async def test_a_scheduler_that_is_silent_is_given_up(
    dashboard: Dashboards, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunnel, "DIAL_SECONDS", 0.1)
    made = await dashboard(echo)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        made.port = deaf.getsockname()[1]
        made.write(made.authority, leaf(made.authority, Role.CLIENT))
        assert "(silent for 0.1 s)" in reason(await made.ask())


async def test_an_end_without_an_answer_is_told_in_words(dashboard: Dashboards) -> None:
    made = await dashboard(nothing)
    assert "ended the connection without an answer" in reason(await made.ask())


async def test_a_certificate_of_another_session_is_refused(dashboard: Dashboards) -> None:
    made = await dashboard(echo)
    stranger = authority("stranger")
    made.write(made.authority, leaf(stranger, Role.CLIENT))  # the dashboard refuses it
    told = reason(await made.ask())
    assert "certificates" in told or "broke" in told
    assert made.serials == []
    made.write(stranger, leaf(stranger, Role.CLIENT))  # the tunnel refuses the dashboard's
    assert "do not accept each other's certificates" in reason(await made.ask())


async def test_nobody_passes_for_the_dashboard_under_another_name(dashboard: Dashboards) -> None:
    made = await dashboard(echo, ("alice-worker",))
    assert "Hostname mismatch" in reason(await made.ask())
    assert made.serials == []


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("session.json", None, "belongs to no session"),
        ("usercert.pem", None, "belongs to no session"),
        ("usercert.pem", b"", "cannot be used"),
        ("ca.pem", b"", "cannot be used"),
        ("session.json", b"[]", "cannot be used"),
        ("session.json", b"{}", "cannot be used"),
        ("session.json", b'{"dashboardAddress": null}', "must be https://host:port, got None"),
        ("session.json", b'{"dashboardAddress": "https://a:b"}', "cannot be used"),
        ("session.json", b'{"dashboardAddress": "https://\xc3\xa9..x:1"}', "does not answer"),
    ],
)
async def test_files_that_cannot_be_used_are_told_in_words(
    dashboard: Dashboards, name: str, content: bytes | None, told: str
) -> None:
    made = await dashboard(echo)
    path = made.mount.directory / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert told in reason(await made.ask())


async def test_cancelling_ends_all_connections(dashboard: Dashboards, tmp_path: Path) -> None:
    made = await dashboard(echo)
    bound = tunnel.listen_at(tmp_path / "another")
    async with running(bound, made.mount.directory) as serving:
        reader, writer = await asyncio.open_unix_connection(tmp_path / "another")
        writer.write(b"open")
        assert await reader.readexactly(4) == b"open"
    assert serving.cancelled()
    async with asyncio.timeout(DEADLINE_SECONDS):
        assert await reader.read() == b""
        await made.ended.acquire()
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_unix_connection(tmp_path / "another")


def test_the_socket_is_its_owners_and_replaces_a_dead_ones(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    for _ in range(2):
        tunnel.listen_at(path).close()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.unlink()
    path.write_text("a user's file")
    with pytest.raises(OSError, match="in use"):
        tunnel.listen_at(path)
    assert path.read_text() == "a user's file"


def test_a_signal_ends_the_process_and_removes_its_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    options = ("--socket", str(path), "--directory", str(tmp_path))
    process = subprocess.Popen(
        [sys.executable, "-m", "casita.dask.tunnel", *options],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        wait_for(lambda: refused(path), "an answer")
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_SECONDS) == 128 + signal.SIGTERM
        assert not path.exists()
    finally:
        process.kill()
        process.wait()


def refused(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        if client.connect_ex(str(path)):
            return False
        client.sendall(REQUEST)
        return client.recv(12) == b"HTTP/1.1 502"


def test_a_process_that_cannot_listen_says_so(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="cannot listen"):
        tunnel.main(["--socket", str(tmp_path / "missing" / "socket")])


async def test_pages_and_plots_of_a_sessions_dashboard_pass(tmp_path: Path) -> None:
    session = Session(tmp_path)
    try:
        scheduler = session.scheduler()
        await asyncio.to_thread(wait_for, scheduler.healthy, "scheduler")
        where = {"dashboardAddress": f"https://localhost:{session.dashboard_port}"}
        directory = session.client_mount.directory
        (directory / "session.json").write_text(json.dumps(where))
        bound = socket.create_server(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        async with running(bound, directory):
            page = await http_page(port)
            # The plots come by a websocket, opened with a token that is in the page.
            token = re.search(r'"token":"([^"]+)"', page)
            assert token is not None, page
            stream = await websocket_connect(
                HTTPRequest(
                    f"ws://127.0.0.1:{port}/status/ws", headers={"Origin": "https://hub.example"}
                ),
                subprotocols=["bokeh", token[1]],
            )
            assert "ACK" in str(await stream.read_message())
            stream.close()
            while await stream.read_message() is not None:
                pass
    finally:
        session.stop()


async def http_page(port: int) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /status HTTP/1.1\r\nHost: hub.example\r\nConnection: close\r\n\r\n")
    async with asyncio.timeout(DEADLINE_SECONDS):
        answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    return answer.decode()


def test_the_image_has_the_dashboard_at_the_place_that_the_lab_shows() -> None:
    folder = Path(__file__).parents[2] / "images/notebook"
    server = json.loads((folder / "jupyter_server_config.json").read_text())
    lab = json.loads((folder / "overrides.json").read_text())
    [(name, entry)] = server["ServerProxy"]["servers"].items()
    assert lab["dask-labextension:plugin"]["defaultURL"] == f"{name}/"
    assert entry["launcher_entry"]["path_info"] == f"{name}/status"
    assert entry["command"][2:] == ["-m", tunnel.__spec__.name, "--socket", "{unix_socket}"]
    assert entry["timeout"] > 2 * tunnel.DIAL_SECONDS
