"""A file with a secret is nobody else's, and whole, at every moment."""

import os
import stat
import threading
from pathlib import Path

import pytest

from casita.access.files import make_private_folder, write_private


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture(autouse=True)
def open_umask() -> object:
    """The worst a process can be started with."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.parametrize("wanted", [0o600, 0o400])
def test_only_its_owner_may_read_it(tmp_path: Path, wanted: int) -> None:
    path = tmp_path / "token"
    write_private(path, b"secret", wanted)
    assert path.read_bytes() == b"secret"
    assert mode(path) == wanted
    write_private(path, b"renewed", wanted)
    assert path.read_bytes() == b"renewed"
    assert [entry.name for entry in tmp_path.iterdir()] == ["token"], "something was left behind"


def test_readers_see_the_old_or_the_new_and_never_a_wider_mode(tmp_path: Path) -> None:
    path = tmp_path / "token"
    contents = {letter.encode() * 100_000 for letter in "ab"}
    write_private(path, b"a" * 100_000)
    ended = threading.Event()

    def renew() -> None:
        for letter in "ba" * 100:
            write_private(path, letter.encode() * 100_000)
        ended.set()

    writer = threading.Thread(target=renew)
    writer.start()
    seen = set()
    while not ended.is_set():
        assert path.read_bytes() in contents
        for entry in tmp_path.iterdir():
            try:
                seen.add(mode(entry))
            except FileNotFoundError:
                continue
            assert entry == path or entry.name.startswith("."), "HTCondor would read it as a token"
    writer.join()
    assert seen == {0o600}


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"untouched")
    path = tmp_path / "token"
    path.symlink_to(other)
    write_private(path, b"secret")
    assert other.read_bytes() == b"untouched"
    assert not path.is_symlink()


def test_what_was_there_stays_if_it_cannot_be_replaced(tmp_path: Path) -> None:
    occupied = tmp_path / "token"
    occupied.mkdir()
    with pytest.raises(OSError, match="token"):
        write_private(occupied, b"secret")
    assert [entry.name for entry in tmp_path.iterdir()] == ["token"], "the secret was left behind"


def test_folders_are_made_for_this_user_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    make_private_folder(tmp_path / "one" / "two")
    make_private_folder(tmp_path / "one" / "two")
    assert mode(tmp_path / "one") == mode(tmp_path / "one" / "two") == 0o700
    assert mode(tmp_path) == 0o755, "a folder that was there is none of its business"
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="file"):
        make_private_folder(tmp_path / "file")
