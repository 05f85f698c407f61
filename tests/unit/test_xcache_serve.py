"""The server runs with a key that it accepts, and starts anew when what it reads once changes."""

import base64
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from casita.xcache.keyfile import KeyFileError, normalised
from casita.xcache.probe import ProbeError, ask
from casita.xcache.serve import Settings, Supervisor

KEY = bytes(range(64))
SERVER = """
import os, pathlib, shutil, signal, sys, time
folder = pathlib.Path(sys.argv[1])
shutil.copy(sys.argv[2], folder / f"key-{os.getpid()}")
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
while True:
    time.sleep(0.05)
"""


@pytest.mark.parametrize(
    "text",
    [
        base64.b64encode(KEY),
        base64.b64encode(KEY) + b"\n",
        base64.encodebytes(KEY),
        b"  " + base64.b64encode(KEY).replace(b"A", b"\r\nA") + b"\n\n",
    ],
)
def test_any_form_of_the_key_becomes_the_one_that_xrootd_reads(text: bytes) -> None:
    lines = normalised(text).split(b"\n")
    assert lines.pop() == b""
    assert max(map(len, lines)) <= 64
    assert base64.b64decode(b"".join(lines)) == KEY


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "0 bytes"),
        (base64.b64encode(KEY[:31]), "31 bytes"),
        (b"not base64!", "not base64"),
        (KEY, "not base64"),
    ],
)
def test_a_key_that_is_none_is_refused_without_a_word_of_it(text: bytes, words: str) -> None:
    with pytest.raises(KeyFileError, match=words) as caught:
        normalised(text)
    assert not text or text.decode("latin-1") not in str(caught.value)


class Running:
    """A supervisor in a thread, whose servers leave their key behind."""

    def __init__(self, folder: Path, key: Path) -> None:
        self.folder = folder
        copy = folder / "copy"
        command = (sys.executable, "-c", SERVER, str(folder), str(copy))
        settings = Settings(command, key, copy, seconds=0.02)
        self.supervisor = Supervisor(settings)
        self.status: int | None = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        self.status = self.supervisor.run()

    def starts(self) -> dict[int, bytes]:
        found = sorted(self.folder.glob("key-*"), key=lambda path: path.stat().st_mtime_ns)
        return {int(path.name.removeprefix("key-")): path.read_bytes() for path in found}

    def wait(self, look: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not look():
            assert time.monotonic() < deadline, self.starts()
            time.sleep(0.01)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    key = tmp_path / "key"
    key.write_bytes(base64.b64encode(KEY))
    found = Running(tmp_path, key)
    yield found
    found.supervisor.stop()
    found.thread.join(10)
    assert not found.thread.is_alive()


def test_a_new_key_starts_the_server_anew_and_a_broken_one_does_not(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    running.wait(lambda: len(running.starts()) == 1)
    key = running.folder / "key"
    key.write_bytes(b"broken")
    running.wait(lambda: "goes on with the old" in caplog.text)
    assert len(running.starts()) == 1
    second = base64.b64encode(KEY[::-1])
    key.write_bytes(second)
    running.wait(lambda: len(running.starts()) == 2)
    first_key, second_key = running.starts().values()
    assert first_key == normalised(base64.b64encode(KEY))
    assert second_key == normalised(second)
    first, _ = running.starts()
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)
    assert (running.folder / "copy").stat().st_mode & 0o777 == 0o400


def test_it_starts_anew_when_told_to(running: Running) -> None:
    running.wait(lambda: len(running.starts()) == 1)
    running.supervisor.start_anew()
    running.wait(lambda: len(running.starts()) == 2)


def test_a_server_that_ends_by_itself_ends_all(running: Running) -> None:
    running.wait(lambda: len(running.starts()) == 1)
    (server,) = running.starts()
    os.kill(server, signal.SIGKILL)
    running.wait(lambda: running.status is not None)
    assert running.status == -signal.SIGKILL


def answering(answer: bytes) -> tuple[socket.socket, int]:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener.accept()[0] as client:
            client.recv(4096)
            client.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    return listener, listener.getsockname()[1]


def test_the_probe_wants_an_xrootd_server() -> None:
    handshake = b"\0\0\0\0\0\0\0\x08\0\0\x05\x11\0\0\0\x01"
    listener, port = answering(handshake * 2)
    with listener:
        assert ask("127.0.0.1", port, timeout=5).version == 0x511
    listener, port = answering(handshake * 2)
    with listener, pytest.raises(ProbeError, match="does not offer TLS"):
        ask("127.0.0.1", port, timeout=5, tls=True)
    listener, port = answering(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with listener, pytest.raises(ProbeError):
        ask("127.0.0.1", port, timeout=5)
    with pytest.raises(ProbeError, match=f":{port} fails at connecting"):
        ask("127.0.0.1", port, timeout=5)
