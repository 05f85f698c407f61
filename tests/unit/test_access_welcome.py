"""Who comes for the first time finds the examples; nobody's own files are touched."""

from pathlib import Path

import pytest

from casita.access.welcome import DEFAULT_URL, FIRST_PAGE, FOLDER, welcome


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / FIRST_PAGE).write_text("# Welcome")
    (folder / "first-plot.ipynb").write_text("{}")
    (folder / "first-plot.ipynb").chmod(0o444)
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def test_a_new_home_has_the_examples_and_their_first_page_is_seen(source: Path, home: Path) -> None:
    environment = {DEFAULT_URL: "/lab"}
    welcome(home, source, environment)
    assert environment[DEFAULT_URL] == f"/lab/tree/{FOLDER}/{FIRST_PAGE}"
    (home / FOLDER / "first-plot.ipynb").write_text("mine")


def test_later_everything_is_as_the_user_left_it(source: Path, home: Path) -> None:
    welcome(home, source, {})
    (home / FOLDER / FIRST_PAGE).unlink()
    environment = {DEFAULT_URL: "/lab"}
    welcome(home, source, environment)
    assert environment == {DEFAULT_URL: "/lab"}
    assert not (home / FOLDER / FIRST_PAGE).exists()


def test_a_home_that_cannot_be_written_still_has_its_server(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.touch()
    environment = {DEFAULT_URL: "/lab"}
    welcome(file, source, environment)
    assert environment == {DEFAULT_URL: "/lab"}
    assert "the examples are not in" in capsys.readouterr().err


def test_an_image_without_examples_starts_as_it_is(home: Path, tmp_path: Path) -> None:
    environment: dict[str, str] = {}
    welcome(home, tmp_path / "none", environment)
    assert environment == {}
    assert not list(home.iterdir())
