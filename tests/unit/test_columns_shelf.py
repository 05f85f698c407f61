"""The object store's disk does not fill up, and what was delivered just now stays."""

import os
from pathlib import Path
from uuid import uuid4

import pytest

from casita.columns.shelf import tidy

NOW = 1_000_000.0
DAY = 86_400.0


def bucket(folder: Path, age: float, size: int = 10) -> Path:
    made = folder / str(uuid4())
    made.mkdir()
    (made / "part.parquet").write_bytes(b"x" * size)
    for each in (made / "part.parquet", made):
        os.utime(each, (NOW - age, NOW - age))
    return made


def test_what_is_older_than_the_site_keeps_it_is_deleted(tmp_path: Path) -> None:
    old, young = bucket(tmp_path, 31 * DAY), bucket(tmp_path, 29 * DAY)
    tidy(tmp_path, NOW, 30 * DAY, 10**12)
    assert not old.exists()
    assert (young / "part.parquet").exists()


@pytest.mark.parametrize("rounds", [1, 2])
def test_of_too_much_the_oldest_goes_until_there_is_room(tmp_path: Path, rounds: int) -> None:
    found = [bucket(tmp_path, age, 100_000) for age in (3 * DAY, 2 * DAY, DAY)]
    for _ in range(rounds):
        tidy(tmp_path, NOW, 30 * DAY, 250_000)
    assert [each.exists() for each in found] == [False, True, True]


def test_what_was_delivered_within_the_hour_stays_however_much_it_is(tmp_path: Path) -> None:
    fresh = bucket(tmp_path, 60, 100_000)
    tidy(tmp_path, NOW, 30 * DAY, 1)
    assert fresh.exists()


def test_what_is_no_bucket_of_a_request_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "lost+found"
    other.mkdir()
    os.utime(other, (0, 0))
    link = tmp_path / str(uuid4())
    link.symlink_to(other)
    tidy(tmp_path, NOW, DAY, 1)
    tidy(tmp_path / "none", NOW, DAY, 1)
    assert other.exists()
    assert link.is_symlink()
