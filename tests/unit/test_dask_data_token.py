"""The token for data reaches every worker before its first task, and its renewals too."""

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, get_worker

from casita.dask.connect import client_security
from casita.dask.data_token import Keeper, TokenError, read_access
from tests.unit.dask_session import SecretMount, Session, wait_for

logger = logging.getLogger("test")


def look(*_: Any) -> dict[str, Any]:
    """Return what a task finds: where XRootD's client looks for its token, and who may read it."""
    import os
    from pathlib import Path

    path = Path(os.environ.get("XDG_RUNTIME_DIR", "/nowhere"), f"bt_u{os.geteuid()}")
    authority = Path(os.environ.get("X509_CERT_FILE", "/nowhere"))
    return {
        "token": path.read_text() if path.exists() else None,
        "mode": oct(path.stat().st_mode & 0o777) if path.exists() else None,
        "authority": authority.read_text() if authority.exists() else None,
        "cache": os.environ.get("CASITA_XCACHE"),
        "folder": str(path.parent),
    }


@pytest.fixture
def tokens(tmp_path: Path) -> SecretMount:
    mount = SecretMount(tmp_path / "tokens")
    mount.write({"xcache_token": b"first-token\n", "xcache-ca.pem": b"authority\n"})
    return mount


@pytest.fixture
def session(
    tmp_path: Path, tokens: SecretMount, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Session]:
    for name in ("XDG_RUNTIME_DIR", "X509_CERT_FILE", "CASITA_XCACHE", "_CONDOR_SCRATCH_DIR"):
        monkeypatch.delenv(name, raising=False)
    made = Session(tmp_path, {"CASITA_TOKENS_DIRECTORY": str(tokens.directory)})
    yield made
    made.stop()


def connected(session: Session, workers: int) -> Client:
    client = Client(session.address, security=client_security(session.client_mount.directory))
    client.wait_for_workers(workers, timeout=30)
    return client


def test_tasks_that_wait_for_a_worker_find_the_token(session: Session) -> None:
    session.scheduler(CASITA_XCACHE="cache.example.org:1094")
    client = Client(
        session.address, security=client_security(session.client_mount.directory), timeout=30
    )
    with client:
        waiting = client.map(look, range(20), pure=False)
        session.worker("one")
        session.worker("two")
        for seen in client.gather(waiting):
            assert seen["token"] == "first-token"
            assert seen["mode"] == "0o600"
            assert seen["authority"] == "authority\n"
            assert seen["cache"] == "cache.example.org:1094"


def test_a_worker_keeps_it_where_it_is_told_to(session: Session, tmp_path: Path) -> None:
    memory, scratch = tmp_path / "memory", tmp_path / "scratch"
    scratch.mkdir()
    session.scheduler()
    session.worker("pod", CASITA_RUNTIME_DIRECTORY=str(memory))
    session.worker("job", _CONDOR_SCRATCH_DIR=str(scratch), XDG_RUNTIME_DIR="/run/user/of-another")
    with connected(session, 2) as client:
        folders = {
            name: client.submit(look, workers=[name], pure=False).result()["folder"]
            for name in ("pod", "job")
        }
    assert folders["pod"] == str(memory)
    assert Path(folders["job"]).parent == scratch, "a user's own folder must be left alone"
    assert Path(folders["job"]).stat().st_mode & 0o777 == 0o700


def test_a_renewed_token_reaches_workers_and_a_withdrawn_one_leaves(
    session: Session, tokens: SecretMount
) -> None:
    session.scheduler()
    session.worker("one")
    session.worker("two")

    def everywhere(token: str | None) -> Callable[[], bool]:
        return lambda: [seen["token"] for seen in client.run(look).values()] == [token, token]

    with connected(session, 2) as client:
        wait_for(everywhere("first-token"), "the token at both workers")
        tokens.write({"xcache_token": b"second-token", "xcache-ca.pem": b"authority\n"})
        wait_for(everywhere("second-token"), "the renewed token at both workers")
        tokens.write({"xcache-ca.pem": b"authority\n"})
        wait_for(everywhere(None), "no token at any worker")


def test_what_cannot_be_a_token_is_not_sent(session: Session, tokens: SecretMount) -> None:
    scheduler = session.scheduler()
    session.worker("one")
    with connected(session, 1) as client:
        tokens.write({"xcache_token": b"x" * 5000, "xcache-ca.pem": b"authority\n"})
        wait_for(scheduler.logged("the token sent before stays in use"), "a line in the log")
        assert [seen["token"] for seen in client.run(look).values()] == ["first-token"]


def test_a_session_without_data_goes_on_as_ever(session: Session, tokens: SecretMount) -> None:
    tokens.write({})
    session.scheduler()
    session.worker("one")
    with connected(session, 1) as client:
        seen = client.submit(look).result()
        assert (seen["token"], seen["authority"]) == (None, None)
        tokens.write({"xcache_token": b"late-token"})
        wait_for(
            lambda: client.submit(look, pure=False).result()["token"] == "late-token",
            "a token that came later",
        )


def test_a_stock_worker_is_spared_the_message(session: Session) -> None:
    session.scheduler()
    stock = session.worker("stock")
    stock.stop()
    stock.arguments = [part for part in stock.arguments if part != "casita.dask.worker"]
    stock.arguments.remove("--preload")
    stock.start()
    with connected(session, 1) as client:
        assert client.submit(sum, [1, 2]).result() == 3


def test_the_token_is_told_to_nobody_else(session: Session, tmp_path: Path) -> None:
    scheduler = session.scheduler()
    worker = session.worker("one")
    dump = tmp_path / "dump.yaml"
    with connected(session, 1) as client:
        assert client.submit(look).result()["token"] == "first-token"
        future = client.submit(sum, [1, 2], key="shown")
        assert future.result() == 3
        client.dump_cluster_state(str(dump.with_suffix("")), format="yaml")
        shown = [
            repr(client.scheduler_info(n_workers=-1)),
            repr(client.get_events()),
            repr(client.story("shown")),
            repr(client.get_scheduler_logs() + tuple(client.get_worker_logs().values())),
            repr(client.run_on_scheduler(plugins)),
        ]
    dumped = dump.read_text()
    assert "shown" in dumped
    for text in (scheduler.output(), worker.output(), dumped, *shown):
        assert "first-token" not in text
    assert "token for data received" in worker.output()


def plugins(dask_scheduler: Any) -> list[str]:
    return [repr(plugin) for plugin in dask_scheduler.plugins.values()]


def test_the_root_file_system_is_casitas_in_scheduler_and_workers(session: Session) -> None:
    session.scheduler()
    session.worker("one")

    def registered() -> Any:
        from fsspec.registry import known_implementations

        return known_implementations["root"]["class"]

    with connected(session, 1) as client:
        expected = "casita.access.filesystem.XRootDFileSystem"
        assert client.submit(registered).result() == expected
        assert client.run_on_scheduler(registered) == expected


def test_what_is_mounted_is_read_as_it_is(tokens: SecretMount, tmp_path: Path) -> None:
    access = read_access(tokens.directory, "cache:1094")
    assert (access.token, access.authority, access.cache) == (
        "first-token",
        "authority\n",
        "cache:1094",
    )
    assert "first-token" not in repr(access)
    assert read_access(tmp_path / "nowhere", "").token == ""


@pytest.mark.parametrize("content", [b"two words", b"x" * 4096, b"tok\xffen"])
def test_a_broken_token_is_refused_without_a_word_of_it(
    tokens: SecretMount, content: bytes
) -> None:
    tokens.write({"xcache_token": content})
    with pytest.raises(TokenError) as caught:
        read_access(tokens.directory, "")
    assert content.decode("latin-1") not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_full_disk_does_not_end_a_worker(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    occupied = tmp_path / "file"
    occupied.write_text("")
    keeper = Keeper(lambda: occupied / "folder", {}, logger)
    keeper.keep("first-token", "", "")
    assert "cannot be kept" in caplog.text
    assert "first-token" not in caplog.text


def test_an_admins_own_choice_of_authorities_stays(tmp_path: Path) -> None:
    environment = {"X509_CERT_FILE": "/site/ca.pem"}
    Keeper(lambda: tmp_path / "run", environment, logger).keep("token", "authority", "")
    assert environment["X509_CERT_FILE"] == "/site/ca.pem"
    assert environment["XDG_RUNTIME_DIR"] == str(tmp_path / "run")
    assert (tmp_path / "run" / f"bt_u{os.geteuid()}").read_text() == "token"


def test_workers_say_that_they_take_it(session: Session) -> None:
    session.scheduler()
    session.worker("one")
    with connected(session, 1) as client:
        assert client.submit(lambda: get_worker().name).result() == "one"
        extra = client.run_on_scheduler(
            lambda dask_scheduler: [w.extra for w in dask_scheduler.workers.values()]
        )
        assert extra[0]["casita-data-access"] is True
