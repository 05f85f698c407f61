"""``casita deliver``: files of mounted Secrets as their readers accept them, and kept so."""

import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from casita.access.deliver import main
from tests.unit.dask_session import SecretMount, wait_for


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def mounted(tmp_path: Path) -> SecretMount:
    mount = SecretMount(tmp_path / "secrets")
    mount.write({"xcache_token": b"first-token", "condor_token": b"first-idtoken"})
    return mount


class Follower:
    """A sidecar."""

    def __init__(self, mounted: SecretMount, folder: Path, *more: str) -> None:
        self.folder = folder
        self.ready = folder / ".ready"
        self.log = folder.with_suffix(".log")
        arguments = ("--from", str(mounted.directory), "--to", str(folder), "--seconds", "0.05")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "casita.access.deliver", "--follow", *arguments),
                    *("--ready", str(self.ready), *more),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                umask=0,
            )

    def holds(self, **files: str | None) -> bool:
        return all(
            (path := self.folder / name.replace("__", "/")).exists() == (content is not None)
            and (content is None or path.read_text() == content)
            for name, content in files.items()
        )

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(10)
        finally:
            self.process.kill()


@pytest.fixture
def follower(mounted: SecretMount, tmp_path: Path) -> Iterator[Follower]:
    files = ("--file", "xcache_token=bt_u{uid}", "--file", "condor_token=condor/token")
    made = Follower(mounted, tmp_path / "run", *files, "--optional")
    wait_for(made.ready.exists, "the first delivery")
    yield made
    made.process.kill()
    made.process.wait()


TOKEN = f"bt_u{os.getuid()}"


def test_files_are_private_under_the_names_that_readers_look_for(follower: Follower) -> None:
    assert follower.holds(**{TOKEN: "first-token", "condor__token": "first-idtoken"})
    assert mode(follower.folder / TOKEN) == mode(follower.folder / "condor/token") == 0o600
    assert mode(follower.folder / "condor") == 0o700
    assert [entry.name for entry in (follower.folder / "condor").iterdir()] == ["token"]


def test_a_renewal_replaces_and_a_withdrawal_removes(
    follower: Follower, mounted: SecretMount
) -> None:
    mounted.write({"xcache_token": b"second-token", "condor_token": b"first-idtoken"})
    wait_for(lambda: follower.holds(**{TOKEN: "second-token"}), "the renewed token")
    mounted.write({"xcache_token": b"second-token"})
    wait_for(lambda: follower.holds(condor__token=None), "the withdrawn token gone")
    assert follower.holds(**{TOKEN: "second-token"})
    mounted.write({"xcache_token": b"second-token", "condor_token": b"third-idtoken"})
    wait_for(lambda: follower.holds(condor__token="third-idtoken"), "the token given again")


def test_what_a_user_removes_or_overwrites_is_brought_back(follower: Follower) -> None:
    (follower.folder / TOKEN).unlink()
    wait_for(lambda: follower.holds(**{TOKEN: "first-token"}), "the removed token back")
    (follower.folder / TOKEN).write_text("nonsense")
    wait_for(lambda: follower.holds(**{TOKEN: "first-token"}), "the right token back")


def test_what_does_not_change_is_not_written_again(
    follower: Follower, mounted: SecretMount
) -> None:
    before = (follower.folder / "condor/token").stat().st_ino
    (mounted.directory / "..data" / "xcache_token").write_bytes(b"second-token")
    wait_for(lambda: follower.holds(**{TOKEN: "second-token"}), "the renewed token")
    assert (follower.folder / "condor/token").stat().st_ino == before


def test_it_ends_when_told_to_and_says_nothing_secret(follower: Follower) -> None:
    status = Path(f"/proc/{follower.process.pid}/status").read_text()
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    assert int(resident.split()[1]) < 32 * 1024, "a sidecar has 64 MiB"
    command = Path(f"/proc/{follower.process.pid}/cmdline").read_bytes()
    assert follower.stop() == 0
    assert b"first-" not in command
    assert "first-" not in follower.log.read_text()
    assert "condor_token delivered" in follower.log.read_text()


def test_it_waits_for_what_is_not_there_yet(tmp_path: Path) -> None:
    mount = SecretMount(tmp_path / "secrets")
    mount.write({})
    follower = Follower(mount, tmp_path / "run", "--file", "key")
    try:
        wait_for(lambda: "key: not there" in follower.log.read_text(), "a line in the log")
        assert not follower.ready.exists(), "it is not ready while something is missing"
        mount.write({"key": b"late"})
        wait_for(lambda: follower.holds(key="late") and follower.ready.exists(), "the late key")
        assert follower.log.read_text().count("not there") == 1
    finally:
        assert follower.stop() == 0


def test_a_failed_write_is_told_and_tried_again(tmp_path: Path, mounted: SecretMount) -> None:
    blocked = tmp_path / "run" / "sub"
    blocked.parent.mkdir()
    blocked.write_text("in the way")
    follower = Follower(mounted, tmp_path / "run", "--file", "condor_token=sub/token")
    try:
        wait_for(lambda: "ERROR" in follower.log.read_text(), "a line in the log")
        assert not follower.ready.exists()
        blocked.unlink()
        wait_for(lambda: follower.holds(sub__token="first-idtoken"), "the delivery")
        wait_for(follower.ready.exists, "ready")
    finally:
        follower.stop()


def once(mounted: SecretMount, folder: Path, *more: str) -> int:
    return main(["--from", str(mounted.directory), "--to", str(folder), "--once", *more])


def test_once_brings_all_files_of_several_mounts(tmp_path: Path) -> None:
    SecretMount(tmp_path / "secrets" / "tls").write({"tls.key": b"key", "tls.crt": b"crt"})
    SecretMount(tmp_path / "secrets" / "macaroon").write({"key": b"root key"})
    folder = tmp_path / "run"
    everything = SecretMount(tmp_path / "secrets")
    files = ("--file", "tls/tls.key=tls.key", "--file", "macaroon/key=macaroon.key")
    assert once(everything, folder, *files, "--mode", "0400") == 0
    assert (folder / "tls.key").read_bytes() == b"key"
    assert (folder / "macaroon.key").read_bytes() == b"root key"
    assert mode(folder / "tls.key") == mode(folder / "macaroon.key") == 0o400


def test_without_names_all_files_come_but_hidden_ones(tmp_path: Path, mounted: SecretMount) -> None:
    assert once(mounted, tmp_path / "run") == 0
    names = sorted(entry.name for entry in (tmp_path / "run").iterdir())
    assert names == ["condor_token", "xcache_token"]


def test_a_missing_file_fails_with_its_name(
    tmp_path: Path, mounted: SecretMount, caplog: pytest.LogCaptureFixture
) -> None:
    ready = tmp_path / "ready"
    assert once(mounted, tmp_path / "run", "--file", "nothing", "--ready", str(ready)) == 1
    assert not ready.exists()
    assert "nothing: not there" in caplog.text
    assert once(mounted, tmp_path / "run", "--file", "nothing", "--optional") == 0


def test_a_file_left_by_an_earlier_container_goes_with_its_secret(
    tmp_path: Path, mounted: SecretMount
) -> None:
    files = ("--file", "condor_token=token", "--optional")
    assert once(mounted, tmp_path / "run", *files) == 0
    mounted.write({})
    assert once(mounted, tmp_path / "run", *files) == 0
    assert not (tmp_path / "run" / "token").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--file", "../outside"),
        ("--file", "key=../outside"),
        ("--file", "key=/etc/outside"),
        ("--file", "=target"),
        ("--mode", "0644"),
        ("--seconds", "0"),
        ("--seconds", "nan"),
        ("--follow",),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(
    tmp_path: Path, mounted: SecretMount, arguments: tuple[str, ...]
) -> None:
    with pytest.raises(SystemExit) as ended:
        once(mounted, tmp_path / "run", *arguments)
    assert ended.value.code == 2


def test_it_needs_nothing_but_python() -> None:
    code = (
        "import sys, casita.access.deliver as d; "
        "sys.exit([n for n in ('pydantic', 'yaml', 'fsspec', 'asyncio') if n in sys.modules] or 0)"
    )
    limits = resource.RLIMIT_AS, (200 * 2**20, 200 * 2**20)
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(*limits),
    )
    assert done.returncode == 0, done.stderr
