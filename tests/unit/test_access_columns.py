"""ServiceX' client finds the session's configuration, and a user's own is left alone."""

from pathlib import Path

import pytest
from servicex.configuration import Configuration

from casita.access.columns import VARIABLE, link_configuration
from casita.sessions.service_tokens import servicex_file

CONTENT = servicex_file("http://servicex:5000", "header.claims.signature")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def delivered(tmp_path: Path) -> Path:
    file = tmp_path / "servicex.yaml"
    file.write_bytes(CONTENT)
    return file


def test_the_home_leads_to_what_is_delivered_and_to_what_comes_later(
    home: Path, delivered: Path
) -> None:
    for _ in range(2):
        link_configuration(home, {VARIABLE: str(delivered)})
    assert (home / ".servicex").read_bytes() == CONTENT
    delivered.write_text("renewed")
    assert (home / ".servicex").read_text() == "renewed"


def test_a_home_stays_as_it_is_where_the_site_has_no_columns(home: Path) -> None:
    link_configuration(home, {})
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("name", [".servicex", "servicex.yaml"])
def test_the_users_own_configuration_is_left_alone(home: Path, delivered: Path, name: str) -> None:
    (home / name).write_text("mine")
    link_configuration(home, {VARIABLE: str(delivered)})
    assert [file.name for file in home.iterdir()] == [name]
    assert (home / name).read_text() == "mine"


def test_a_home_that_cannot_be_written_has_its_server_all_the_same(
    tmp_path: Path, delivered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    link_configuration(tmp_path / "nowhere", {VARIABLE: str(delivered)})
    assert "finds no configuration" in capsys.readouterr().err


def test_the_real_client_reads_it(
    home: Path, delivered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link_configuration(home, {VARIABLE: str(delivered)})
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    found = Configuration.read()
    assert found.default_endpoint is not None
    endpoint = found.endpoint_dict()[found.default_endpoint]
    assert (endpoint.endpoint, endpoint.token) == (
        "http://servicex:5000",
        "header.claims.signature",
    )
    assert found.cache_path == str(tmp_path / "servicex-cache")
