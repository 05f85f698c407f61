"""Checks run the real clients in real processes, and end with an answer whatever they meet.

The servers here are what is met when something is wrong; the right ones are in tests/e2e.
"""

import asyncio
import logging
import os
import signal
import ssl
import struct
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from casita.clients.checking.process import run_check
from casita.clients.checking.request import CacheCheck, CheckReason, ProcessCheck, ScheddCheck
from casita.credentials.x509 import Authority, Role, issue_leaf, new_authority

TOKEN = "MDAxNGxvY2F0aW9uIGNhc2l0YQowMDM0aWRlbnRpZmllci"
PATH = "/store/probe.root"
NOW = datetime.now(UTC)
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where checks make their private folders."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def authority() -> Authority:
    return new_authority("casita test", NOW - timedelta(hours=1), timedelta(days=1))


@pytest.fixture(scope="module")
def ours() -> Authority:
    return authority()


@asynccontextmanager
async def server(talk: Talk) -> AsyncIterator[int]:
    """A listener that meets everybody with `talk`; yields its port."""
    tasks: set[asyncio.Task[None]] = set()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # the other side has gone, or the test is over
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def start(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(meet(reader, writer)))

    listener = await asyncio.start_server(start, "127.0.0.1", 0)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)


async def silence(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def farewell(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Close at once."""


async def garbage(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\xff" * 4096)
    await writer.drain()


def cache_at(port: int, authority: Authority) -> CacheCheck:
    return CacheCheck("localhost", port, TOKEN, authority.certificate_pem.decode(), PATH)


def schedd_at(port: int, _authority: Authority) -> ScheddCheck:
    return ScheddCheck(f"127.0.0.1:{port}", "casita@casita.pool", TOKEN)


PARTS = pytest.mark.parametrize("part", [cache_at, schedd_at])
Part = Callable[[int, Authority], ProcessCheck]


def children() -> set[int]:
    """Processes that this one has started, the unburied included."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                found.add(int(stat.parent.name))
    return found


def told_to(process: int) -> bytes:
    return b"".join(Path(f"/proc/{process}/{n}").read_bytes() for n in ("cmdline", "environ"))


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def ended(process: int) -> None:
    try:
        descriptor = os.pidfd_open(process)
    except ProcessLookupError:
        return
    gone = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, gone.set)
    try:
        async with asyncio.timeout(20):
            await gone.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


@PARTS
async def test_a_server_that_never_answers_costs_the_time_limit_and_no_more(
    part: Part, ours: Authority, folders: Path
) -> None:
    before = children()
    async with server(silence) as port:
        answer = await run_check(part(port, ours), 1.5)
    assert answer.reason is CheckReason.NO_ANSWER
    assert 1.5 <= answer.seconds < 10
    assert str(port) in answer.message
    assert children() <= before
    assert not left_in(folders)


@PARTS
@pytest.mark.parametrize("talk", [farewell, garbage])
async def test_whoever_speaks_another_protocol_is_told_as_such(
    part: Part, talk: Talk, ours: Authority
) -> None:
    async with server(talk) as port:
        answer = await run_check(part(port, ours), 20)
    assert answer.reason is CheckReason.NOT_UNDERSTOOD
    assert f":{port}" in answer.message
    assert TOKEN not in answer.message


@PARTS
async def test_a_port_that_nobody_listens_at_is_unreachable(part: Part, ours: Authority) -> None:
    async with server(silence) as port:
        pass
    answer = await run_check(part(port, ours), 20)
    assert answer.reason is CheckReason.UNREACHABLE
    assert f":{port}" in answer.message
    assert "refused" in answer.message


async def test_a_name_that_does_not_exist_is_unreachable(ours: Authority) -> None:
    nowhere = CacheCheck("nosuch.invalid", 1094, TOKEN, ours.certificate_pem.decode(), PATH)
    pool = ScheddCheck("nosuch.invalid:9618", "casita@casita.pool", TOKEN)
    for request in (nowhere, pool):
        answer = await run_check(request, 20)
        assert answer.reason is CheckReason.UNREACHABLE
        assert "nosuch.invalid" in answer.message


def xroot_front(certificate: Authority | None, names: list[str], folder: Path) -> Talk:
    """The first two answers of an XRootD server, then TLS with this authority's leaf, if any."""
    flags = 1 | (0xC0000000 if certificate else 0)
    hello = struct.pack("!2sHi2i", b"\0\0", 0, 8, 0x511, 1)
    protocol = struct.pack("!2sHiiI", b"\0\1", 0, 8, 0x511, flags)
    context = None
    if certificate:
        leaf = issue_leaf(certificate, Role.ENDPOINT, names, NOW, timedelta(hours=1))
        file = folder / "leaf.pem"
        file.write_bytes(leaf.certificate_pem + leaf.key_pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        file.unlink()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(44)
        writer.write(hello + protocol)
        await writer.drain()
        if context:
            await writer.start_tls(context)
            await reader.read(1)

    return talk


@pytest.mark.parametrize(
    ("names", "known", "words"),
    [
        (["localhost"], False, "unable to get local issuer"),
        (["elsewhere.example"], True, "Hostname mismatch"),
    ],
)
async def test_a_cache_with_a_wrong_certificate_is_told_by_what_is_wrong(
    names: list[str], known: bool, words: str, ours: Authority, folders: Path
) -> None:
    theirs = ours if known else authority()
    async with server(xroot_front(theirs, names, folders)) as port:
        answer = await run_check(cache_at(port, ours), 20)
    assert answer.reason is CheckReason.CERTIFICATE_REFUSED
    assert words in answer.message
    assert f"localhost:{port}" in answer.message


async def test_a_token_is_private_and_in_neither_arguments_nor_environment(
    ours: Authority, folders: Path
) -> None:
    arrived = asyncio.Event()

    async def notice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await silence(reader, writer)

    before = children()
    async with server(notice) as port:
        task = asyncio.create_task(run_check(cache_at(port, ours), 60))
        async with asyncio.timeout(30):
            await arrived.wait()
        (process,) = children() - before
        (folder,) = left_in(folders)
        (file,) = (path for path in left_in(folder) if path.name.startswith("bt_u"))
        seen = told_to(process)
        assert TOKEN.encode() not in seen
        assert b"PYTHONPATH" in seen
        assert file.read_text() == TOKEN
        assert (file.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)
        # Whoever stops waiting leaves nothing behind, neither the process nor the token.
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert children() <= before
    assert not left_in(folders)


async def test_the_environment_is_the_programs_own(
    ours: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEARER_TOKEN", "somebody else's")
    monkeypatch.setenv("_condor_SEC_TOKEN_DIRECTORY", "/somewhere")
    monkeypatch.setenv("XRD_LOGLEVEL", "Dump")
    program = """
import json, os
print(json.dumps({"reason": "Answered", "message": " ".join(sorted(os.environ)), "seconds": 0}))
"""
    answer = await run_check(cache_at(1, ours), 20, ("-c", program))
    assert answer.message == "HOME LC_ALL PYTHONPATH TMPDIR XDG_RUNTIME_DIR"


async def test_a_program_that_ends_without_an_answer_is_no_verdict_on_the_part(
    ours: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    program = f"import sys; sys.exit('lost my way with {TOKEN}')"
    with caplog.at_level(logging.WARNING):
        answer = await run_check(cache_at(1, ours), 20, ("-c", program))
    assert answer.reason is CheckReason.CHECK_FAILED
    assert "exit code 1" in answer.message
    assert "lost my way" in caplog.text
    assert TOKEN not in caplog.text


async def test_a_program_that_crashes_is_told_by_its_signal(ours: Authority) -> None:
    program = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    answer = await run_check(schedd_at(1, ours), 20, ("-c", program))
    assert answer.reason is CheckReason.CHECK_FAILED
    assert "signal 11" in answer.message


async def test_a_program_that_says_too_much_is_cut_off(ours: Authority) -> None:
    before = children()
    program = "while True: print('x' * 1000, flush=True)"
    answer = await run_check(cache_at(1, ours), 60, ("-c", program))
    assert answer.reason is CheckReason.CHECK_FAILED
    assert answer.seconds < 50
    assert len(answer.message) < 300
    assert children() <= before


async def test_whoever_escapes_the_process_holds_up_no_answer(
    ours: Authority, folders: Path
) -> None:
    number = folders / "escaped"
    program = f"""
import pathlib, subprocess, sys, time
sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
child = subprocess.Popen(sleep, start_new_session=True)
pathlib.Path({str(number)!r}).write_text(str(child.pid))
time.sleep(600)
"""
    answer = await run_check(cache_at(1, ours), 2, ("-c", program))
    escaped = int(number.read_text())
    os.kill(escaped, signal.SIGKILL)
    await ended(escaped)
    assert answer.reason is CheckReason.NO_ANSWER
    assert answer.seconds < 20


async def test_what_a_hanging_program_has_started_is_ended_with_it(
    ours: Authority, folders: Path
) -> None:
    number = folders / "grandchild"
    program = f"""
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path({str(number)!r}).write_text(str(child.pid))
time.sleep(600)
"""
    answer = await run_check(schedd_at(1, ours), 2, ("-c", program))
    assert answer.reason is CheckReason.NO_ANSWER
    await ended(int(number.read_text()))
