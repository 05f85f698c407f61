"""What a notebook finds by pip for its workers: what is asked for, and what the session lacks."""

import importlib.metadata
import sys
import zipfile
from pathlib import Path

import pytest

from casita.dask.bundle import MAX_BYTES, PackagesError, check_size, pack, unpack
from casita.dask.install import make_bundle, missing
from tests.unit.dask_wheel import wheel

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture(autouse=True)
def no_index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No registry is asked: what is not in this folder does not exist."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))


def test_what_the_session_has_is_not_sent_again(tmp_path: Path) -> None:
    present = importlib.metadata.version("packaging")
    path = wheel(tmp_path, "1.0", "casita-base>=1")
    base = tmp_path / "casita_base-1.5-py3-none-any.whl"
    info = "casita_base-1.5.dist-info"
    with zipfile.ZipFile(base, "w") as archive:
        archive.writestr("casita_base.py", "")
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: casita-base\nVersion: 1.5\n"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    lacks = make_bundle([str(path)], {"packaging": present}, PYTHON)
    assert set(lacks.names) == {"casita-greetings 1.0", "casita-base 1.5"}
    has = make_bundle([str(path)], {"casita-base": "1.5"}, PYTHON)
    assert has.names == ("casita-greetings 1.0",)
    again = make_bundle([str(path)], {"casita-base": "1.5"}, PYTHON)
    assert again.digest == has.digest, "the same packages must make the same archive"
    with pytest.raises(PackagesError, match="casita-base"):
        make_bundle([str(path)], {"casita-base": "0.9"}, PYTHON)


def test_another_python_is_refused() -> None:
    with pytest.raises(PackagesError, match=r"Python is .* here and 2\.7 in the session"):
        make_bundle(["anything"], {}, "2.7")


def test_direct_sources_are_fetched_as_they_were_named() -> None:
    url = "https://example.org/tools"
    report = {
        "install": [
            {
                "metadata": {"name": "tools", "version": "3"},
                "download_info": {"url": url, "vcs_info": {"vcs": "git", "commit_id": "abc"}},
                "is_direct": True,
                "requested": True,
            },
            {
                "metadata": {"name": "More_Tools", "version": "4"},
                "download_info": {"url": f"{url}.whl", "archive_info": {}},
                "is_direct": False,
                "requested": False,
            },
        ]
    }
    assert missing(report, {"tools": "3"}) == {
        "tools 3": f"tools @ git+{url}@abc",
        "More_Tools 4": "More_Tools==4",
    }
    assert list(missing(report, {"more-tools": "4"})) == ["tools 3"]


def test_too_much_is_refused_in_megabytes() -> None:
    with pytest.raises(PackagesError, match="big 1: 101 MiB packed, a session takes 100 MiB"):
        check_size(MAX_BYTES + 2**20, ("big 1",))


def test_a_damaged_archive_is_not_unpacked(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "module.py").write_text("x = 1\n")
    bundle = pack(source, ("module 1",))
    unpack(bundle.data, bundle.digest, tmp_path / "good")
    assert (tmp_path / "good" / "module.py").read_text() == "x = 1\n"
    with pytest.raises(PackagesError, match="was damaged"):
        unpack(bundle.data[:-1], bundle.digest, tmp_path / "bad")
    assert not (tmp_path / "bad").exists()
