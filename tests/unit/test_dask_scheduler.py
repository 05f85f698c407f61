"""A session's scheduler, run as in its pod: who gets in, what it shows, what it keeps running."""

import asyncio
import json
import os
import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import dask.config
import pytest
import yaml
from distributed import Client
from distributed.comm import connect as open_comm
from distributed.security import Security
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from casita.credentials.x509 import Role
from casita.dask.connect import ConnectError, client_security, connect
from casita.manifests.dask_config import client_config
from tests.unit.dask_session import (
    DEADLINE_SECONDS,
    DaskProcess,
    Session,
    authority,
    free_port,
    leaf,
    mount,
    presented_serial,
    wait_for,
)
from tests.unit.dask_tasks import counted, gated, nested, open_gate, runs

TASKS = 4


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    made = Session(tmp_path_factory.mktemp("session"))
    scheduler, worker = made.scheduler(), made.worker("worker", "--worker-port", str(free_port()))
    try:
        wait_for(scheduler.healthy, "scheduler")
        wait_for(worker.healthy, "worker")
        yield made
    finally:
        made.stop()


@pytest.fixture
def folder(session: Session, tmp_path: Path) -> Path:
    """The files of the client's Secret, saved outside the cluster."""
    mounted = mount(tmp_path / "folder", session.authority, Role.CLIENT).directory
    where = {"address": "tls://unknown.invalid:8786", "externalAddress": session.address}
    (mounted / "session.json").write_text(json.dumps(where))
    (mounted / "dask.yaml").write_text(yaml.safe_dump(client_config(session.address, str(mounted))))
    return mounted


def security_of(directory: Path) -> Security:
    return Security(
        tls_ca_file=str(directory / "ca.pem"),
        tls_client_cert=str(directory / "usercert.pem"),
        require_encryption=True,
    )


def worker_address(session: Session) -> str:
    with Client(
        session.address, security=client_security(session.client_mount.directory)
    ) as client:
        return str(next(iter(client.scheduler_info()["workers"])))


def test_a_notebooks_client_needs_no_arguments(session: Session, folder: Path) -> None:
    cell = "\n".join(
        (
            "from distributed import Client",
            "with Client() as client:",
            "    print(client.submit(int, '7').result(), client.dashboard_link)",
        )
    )
    shown = subprocess.run(
        [sys.executable, "-c", cell],
        env={**os.environ, "DASK_CONFIG": str(folder / "dask.yaml")},
        check=True,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert shown.stdout.split() == ["7", f"https://localhost:{session.dashboard_port}/status"]


def test_a_client_outside_connects_from_a_folder(folder: Path) -> None:
    with connect(folder, external=True) as client:
        assert client.submit(int, "7").result() == 7
        assert "casita-leaf" in client._periodic_callbacks, "its certificate is not watched"


def test_a_task_may_start_tasks(folder: Path) -> None:
    with connect(folder, external=True) as client:
        assert client.submit(nested, 7).result(timeout=DEADLINE_SECONDS) == 7


def test_a_session_without_a_route_says_so(folder: Path) -> None:
    (folder / "session.json").write_text(
        json.dumps({"address": "tls://a:1", "externalAddress": None})
    )
    with pytest.raises(ConnectError, match="no route"):
        connect(folder, external=True)
    (folder / "usercert.pem").unlink()
    with pytest.raises(ConnectError, match=r"usercert\.pem: there is no such file"):
        connect(folder)


def test_a_clients_renewed_certificate_is_used_for_new_connections(
    session: Session, tmp_path: Path
) -> None:
    mounted = mount(tmp_path / "folder", session.authority, Role.CLIENT)
    configured = client_config(session.address, str(mounted.directory))
    with (
        pytest.MonkeyPatch.context() as patch,
        dask.config.set(dask.config.merge(dask.config.config, configured)),
    ):
        patch.setenv("CASITA_RELOAD_SECONDS", "0.05")
        with Client() as client:
            context = client.connection_args["ssl_context"]
            stranger = authority("stranger")
            renewed = mounted.write_leaf(session.authority, leaf(session.authority, Role.CLIENT))
            presented = partial(client.sync, client_serial, context, session)
            wait_for(lambda: presented() == renewed.serial, "the renewed leaf")
            mounted.write_leaf(session.authority, leaf(stranger, Role.CLIENT))
            assert client.submit(int, "7").result() == 7
            assert presented() == renewed.serial


async def client_serial(context: ssl.SSLContext, session: Session) -> str:
    """Return the serial number of what `context` presents when it dials.

    To be run on the loop that renews the context: OpenSSL loads a certificate before its key, and
    another thread that dials in between has none to present.
    """
    asking = ssl.create_default_context(
        ssl.Purpose.CLIENT_AUTH, cadata=session.authority.certificate_pem.decode()
    )
    asking.verify_mode = ssl.CERT_REQUIRED
    asking.load_cert_chain(
        session.scheduler_mount.directory / "tls.crt", session.scheduler_mount.directory / "tls.key"
    )
    inbound, outbound = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = context.wrap_bio(inbound, outbound)
    there = asking.wrap_bio(outbound, inbound, server_side=True)
    for side in (here, there, here, there):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    certificate = there.getpeercert()
    assert certificate is not None
    return f"{int(str(certificate['serialNumber']), 16):x}"


@pytest.mark.parametrize("listener", ["scheduler", "worker"])
@pytest.mark.parametrize("role", [Role.CLIENT, Role.WORKER, Role.SCHEDULER])
async def test_a_certificate_of_another_session_is_refused(
    session: Session, tmp_path: Path, listener: str, role: Role
) -> None:
    address = (
        session.address
        if listener == "scheduler"
        else await asyncio.to_thread(worker_address, session)
    )
    stranger = mount(tmp_path / "stranger", authority("stranger"), role).directory
    # It trusts this session's authority, as one who was told its public part may.
    (stranger / "ca.pem").unlink()
    (stranger / "ca.pem").write_bytes(session.authority.certificate_pem)
    with pytest.raises(OSError, match=r"(?i)unknown.ca|closed|Timed out"):
        await open_comm(address, timeout=2, **security_of(stranger).get_connection_args("client"))


@pytest.mark.parametrize("secured", [True, False])
def test_no_certificate_is_refused(session: Session, secured: bool) -> None:
    context = ssl.create_default_context(cadata=session.authority.certificate_pem.decode())
    context.check_hostname = False
    for port in (session.port, session.dashboard_port):
        with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
            first_byte(port, context if secured else None)


def first_byte(port: int, context: ssl.SSLContext | None) -> None:
    """Ask for a page without a certificate; return when anything is answered."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=5)
    with context.wrap_socket(connection) if context else connection as stream:
        stream.sendall(b"GET /status HTTP/1.0\r\n\r\n")
        if not stream.recv(1):
            raise EOFError


async def test_the_dashboard_answers_a_certificate_of_the_session(session: Session) -> None:
    directory = session.client_mount.directory
    context = ssl.create_default_context(cafile=directory / "ca.pem")
    context.load_cert_chain(directory / "usercert.pem")
    root = f"localhost:{session.dashboard_port}"

    def status() -> str:
        with urlopen(f"https://{root}/status", context=context, timeout=5) as response:
            return str(response.read().decode())

    page = await asyncio.to_thread(status)
    # The plots come by a websocket, opened with a token that is in the page.
    token = re.search(r'"token":"([^"]+)"', page)
    assert token is not None, page
    request = HTTPRequest(
        f"wss://{root}/status/ws", ssl_options=context, headers={"Origin": f"https://{root}"}
    )
    stream = await websocket_connect(request, subprotocols=["bokeh", token[1]])
    assert "ACK" in str(await stream.read_message())
    stream.close()
    while await stream.read_message() is not None:
        pass


def test_the_dashboard_is_nowhere_else(session: Session) -> None:
    stock = [
        line.rsplit("/", 2)[1]
        for line in session.processes[0].output().splitlines()
        if "dashboard at" in line
    ]
    assert len(stock) == 1
    with pytest.raises(URLError, match="refused"):
        urlopen(f"http://127.0.0.1:{stock[0].rpartition(':')[2]}/status", timeout=5)


def test_the_health_endpoint_shows_nothing_else(session: Session) -> None:
    for process in session.processes:
        assert process.health() == 200
        assert process.ask_health("GET", "/status") == (404, b"")
        assert process.ask_health("GET", "/") == (404, b"")
        assert process.ask_health("POST", "/healthz") == (405, b"")


def is_equal(function: Callable[[], str], value: str) -> bool:
    return function() == value


def test_leaves_are_renewed_while_work_is_in_flight(session: Session, tmp_path: Path) -> None:
    security = client_security(session.client_mount.directory)
    worker_port = int(worker_address(session).rpartition(":")[2])
    listeners = {
        session.scheduler_mount: (Role.SCHEDULER, (session.port, session.dashboard_port)),
        session.worker_mount: (Role.WORKER, (worker_port,)),
    }
    with Client(session.address, security=security) as client:
        futures = [
            client.submit(gated, str(tmp_path), f"task{n}", n, key=f"renewal{n}")
            for n in range(TASKS)
        ]
        wait_for(lambda: runs(tmp_path, "task0"), "the first task's begin")
        for mounted, (role, ports) in listeners.items():
            renewed = mounted.write_leaf(session.authority, leaf(session.authority, role))
            for port in ports:
                presented = partial(presented_serial, port, session.client_mount.directory)
                wait_for(partial(is_equal, presented, renewed.serial), f"the leaf on port {port}")
        open_gate(tmp_path)
        assert client.gather(futures) == list(range(TASKS))
        assert [runs(tmp_path, f"task{n}") for n in range(TASKS)] == [1] * TASKS
        # New connections in every direction, checked with the renewed leaves on both sides.
        assert client.run(int) == {worker_address(session): 0}
    with Client(session.address, security=security) as client:
        assert client.submit(counted, str(tmp_path), "after", 7).result() == 7


def ended(process: DaskProcess, *expected: str) -> bool:
    assert process.exit_code() == 1
    return all(text in process.output() for text in expected)


def test_a_scheduler_does_not_start_with_an_open_dashboard_or_without_tls(tmp_path: Path) -> None:
    session = Session(tmp_path)
    preload = ("--no-dashboard", "--preload", "casita.dask.scheduler")
    try:
        open_dashboard = session.start(
            "open",
            [
                "scheduler",
                "--protocol",
                "tls",
                "--port",
                "0",
                "--dashboard-address",
                ":0",
                *preload,
            ],
            session.scheduler_environment(),
        )
        plain = session.start(
            "plain",
            ["scheduler", "--host", "127.0.0.1", "--port", "0", *preload],
            {},
        )
        assert ended(open_dashboard, "start the scheduler with --dashboard-address 127.0.0.1:0")
        assert ended(plain, "every connection must be TLS")
    finally:
        session.stop()
