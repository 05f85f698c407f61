"""``root://`` outlives its token: which login is used when, and when a refusal is asked again.

The real server's part is in tests/e2e/test_data.py; here its words are given.
"""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.registry import known_implementations
from fsspec_xrootd import XRootDFileSystem as StockFileSystem

from casita.access import filesystem
from casita.access.files import write_private
from casita.access.filesystem import XRootDFileSystem, address, is_cache
from casita.access.login import YOUNG_SECONDS, Logins, token_file
from casita.access.registration import register_root

REFUSED = "Server responded with an error: [3010] Unable to open /store/f; permission denied"
NO_LOGIN = "[FATAL] Auth failed: No protocols left to try"
ORIGIN_AWAY = "Server responded with an error: [3014] Unable to open /store/f; connection refused"
MISSING = "Server responded with an error: [3011] Unable to open /store/f; no such file"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / f"bt_u{os.geteuid()}"
    write_private(path, b"first")
    return path


@pytest.fixture
def logins(token: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Logins:
    made = Logins(lambda: token, clock)
    monkeypatch.setattr(filesystem, "logins", made)
    monkeypatch.delenv("CASITA_XCACHE", raising=False)
    return made


def test_the_token_is_looked_for_where_xrootd_does() -> None:
    name = f"bt_u{os.geteuid()}"
    assert token_file({"XDG_RUNTIME_DIR": "/run/casita"}) == Path("/run/casita", name)
    assert token_file({}) == Path("/tmp", name)


def test_a_renewed_token_is_a_new_login(logins: Logins, token: Path) -> None:
    first = logins.current()
    assert logins.current() == first
    write_private(token, b"second")
    second = logins.current()
    assert second != first
    token.unlink()
    third = logins.current()
    write_private(token, b"third")
    assert len({first, second, third, logins.current()}) == 4


def test_a_refusal_is_asked_again_only_by_a_login_of_some_age(logins: Logins, clock: Clock) -> None:
    first = logins.current()
    assert not logins.refused(first), "the login is new: it would be refused again"
    clock.now = YOUNG_SECONDS
    assert logins.refused(first)
    second = logins.current()
    assert second != first
    assert logins.refused(first), "another thread has logged in anew meanwhile"
    assert logins.current() == second


def test_a_useless_login_is_replaced_once_for_all_threads(logins: Logins) -> None:
    first = logins.current()
    assert all([logins.lost(first), logins.lost(first)])
    assert logins.current() == first + 1


@pytest.mark.parametrize(
    ("asked", "told", "expected"),
    [
        ("xcache", "", "t7@xcache"),
        ("xcache:1094", "", "t7@xcache:1094"),
        ("me:word@xcache:1094", "", "t7@xcache:1094"),
        ("xcache:1094", "cache.example.org:1095", "t7@cache.example.org:1095"),
        ("t3@cache.example.org:1095", "cache.example.org:1095", "t7@cache.example.org:1095"),
        ("xcache:2000", "", "xcache:2000"),
        ("xcache.example.org:1094", "", "xcache.example.org:1094"),
        ("eos.example.org:1094", "cache.example.org:1095", "eos.example.org:1094"),
        ("me@eos.example.org", "", "me@eos.example.org"),
    ],
)
def test_the_cache_alone_is_called_otherwise(asked: str, told: str, expected: str) -> None:
    assert address(asked, told, 7) == expected
    assert is_cache(asked, told) == (asked != expected)


def test_files_of_one_object_are_opened_by_the_login_of_the_moment(
    logins: Logins, token: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = XRootDFileSystem("xcache:1094", skip_instance_cache=True)
    before = system.unstrip_protocol("/store/f")
    assert before == f"root://t{logins.current()}@xcache:1094//store/f"
    client = system._myclient
    assert system._myclient is client
    write_private(token, b"second")
    assert system.unstrip_protocol("/store/f") != before
    assert system._myclient is not client
    monkeypatch.setenv("CASITA_XCACHE", "cache.example.org:1095")
    made = system.unstrip_protocol("/store/f")
    assert made.endswith("@cache.example.org:1095//store/f")
    given_back = XRootDFileSystem._get_kwargs_from_urls(made)
    assert given_back == {"hostid": "cache.example.org:1095"}, "its login would be pinned"


def test_users_see_their_own_urls(logins: Logins) -> None:
    register_root()
    system, path = fsspec.url_to_fs("root://xcache//store/f")
    assert isinstance(system, XRootDFileSystem)
    assert path == "/store/f"
    elsewhere, _ = fsspec.url_to_fs("root://eos.example.org//store/f")
    assert elsewhere.unstrip_protocol("/store/f") == "root://eos.example.org:1094//store/f"
    assert logins.current() == 0


class Server:
    """Answers a few times as told, then gives the file; notes who asked."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def info(self, system: XRootDFileSystem, path: str) -> dict[str, Any]:
        self.asked.append(system.unstrip_protocol(path))
        if self.answers:
            raise OSError(f"File stat request failed: {self.answers.pop(0)}")
        return {"name": path, "size": 1}


Ask = Callable[..., Any]


@pytest.fixture
def ask() -> Ask:
    def asking(server: Server, host: str = "xcache:1094") -> Any:
        operation = filesystem._twice(server.info)
        system = XRootDFileSystem(host, skip_instance_cache=True)
        return asyncio.run(asked(operation, system))

    async def asked(operation: Callable[..., Any], system: XRootDFileSystem) -> Any:
        return await operation(system, "/store/f")

    return asking


@pytest.mark.parametrize("said", [NO_LOGIN, ORIGIN_AWAY, "[FATAL] Socket disconnected"])
def test_what_another_login_may_cure_is_asked_once_more(
    logins: Logins, ask: Ask, said: str
) -> None:
    server = Server(said)
    assert ask(server)["size"] == 1
    assert len(set(server.asked)) == 2, "the same connection was asked again"
    hopeless = Server(said, said)
    with pytest.raises(OSError, match="File stat request failed"):
        ask(hopeless)
    assert len(hopeless.asked) == 2
    assert logins.current() == 2


def test_an_expired_login_is_replaced(logins: Logins, ask: Ask, clock: Clock) -> None:
    logins.current()
    clock.now = YOUNG_SECONDS + 1
    server = Server(REFUSED)
    assert ask(server)["size"] == 1
    assert len(set(server.asked)) == 2


@pytest.mark.parametrize("said", [MISSING, REFUSED, "[FATAL] Connection error"])
def test_what_is_meant_is_told_at_once(logins: Logins, ask: Ask, said: str) -> None:
    server = Server(said)
    with pytest.raises(OSError, match="File stat request failed"):
        ask(server)
    assert len(server.asked) == 1
    assert logins.current() == 0


def test_other_hosts_are_never_asked_twice(logins: Logins, ask: Ask) -> None:
    server = Server(NO_LOGIN)
    with pytest.raises(OSError, match="Auth failed"):
        ask(server, "eos.example.org:1094")
    assert logins.current() == 0


@pytest.mark.parametrize(
    "name", ["_info", "_exists", "_ls", "_cat_file", "_cat_vector_read", "_get_file"]
)
def test_every_way_to_read_is_covered(name: str) -> None:
    assert getattr(XRootDFileSystem, name).__wrapped__ is getattr(StockFileSystem, name)


def test_registration_replaces_one_that_is_in_use() -> None:
    fsspec.register_implementation("root", StockFileSystem, clobber=True)
    assert fsspec.get_filesystem_class("root") is StockFileSystem
    register_root()
    assert fsspec.get_filesystem_class("root") is XRootDFileSystem
    assert known_implementations["root"]["class"].startswith("casita.")
