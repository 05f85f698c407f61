"""The command line gives each command what it was told, and errors end it with a word."""

import stat
from pathlib import Path

import pytest

from casita.config import RouteApi
from casita.operator import cli
from casita.operator.prepare import CacheTls, SiteSecrets
from casita.operator.stop import NotStoppedError
from tests.chart import scenarios

PREPARE = ["prepare", "--namespace=casita-system", "--route-api=None"]


def prepared(monkeypatch: pytest.MonkeyPatch, *flags: str) -> SiteSecrets:
    """Run `casita prepare` up to the API server; return what it was to make."""
    told: list[tuple[object, ...]] = []

    async def prepare(*arguments: object) -> None:
        told.append(arguments)

    monkeypatch.setattr(cli, "prepare", prepare)
    monkeypatch.setattr(cli, "find_connection", lambda: "connection")
    assert cli.main([*PREPARE, *flags]) == 0
    ((connection, namespace, api, wanted),) = told
    assert (connection, namespace, api) == ("connection", "casita-system", RouteApi.NONE)
    assert isinstance(wanted, SiteSecrets)
    return wanted


def test_only_the_named_secrets_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    assert prepared(monkeypatch) == SiteSecrets()
    wanted = prepared(monkeypatch, "--authority-secret=a", "--idtoken-key-secret=i")
    assert wanted == SiteSecrets(authority="a", idtoken_key="i")


def test_the_caches_certificate_has_an_authority_and_names(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = prepared(
        monkeypatch,
        "--root-key-secret=r",
        "--macaroon-key-secret=m",
        "--cache-tls-secret=t",
        "--cache-tls-authority=a",
        "--cache-tls-name=xcache",
        "--cache-tls-name=xcache.example.org",
    )
    assert (wanted.root_key, wanted.macaroon_key) == ("r", "m")
    assert wanted.cache_tls == CacheTls("t", "a", ("xcache", "xcache.example.org"))


def stop_arguments() -> list[str]:
    """What the chart gives the program that ends a facility."""
    job = scenarios.rendered("everything-on").one("Job", "casita-stop")
    found: list[str] = job["spec"]["template"]["spec"]["containers"][0]["args"]
    return found


def test_the_end_of_a_facility_is_told_every_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[object, ...]] = []

    async def stop_sessions(*arguments: object) -> None:
        told.append(arguments)

    monkeypatch.setattr(cli, "stop_sessions", stop_sessions)
    monkeypatch.setattr(cli, "find_connection", lambda: "connection")
    assert cli.main(stop_arguments()) == 0
    assert told == [("connection", ["casita", "cms-users"], 240.0)]


def test_sessions_that_are_still_held_fail_the_hook(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def stop_sessions(*_: object) -> None:
        raise NotStoppedError("sessions casita/alice still have jobs")

    monkeypatch.setattr(cli, "stop_sessions", stop_sessions)
    monkeypatch.setattr(cli, "find_connection", lambda: "connection")
    monkeypatch.setattr(cli, "set_up_logs", lambda _level: None)
    assert cli.main(stop_arguments()) == 1
    assert "casita/alice" in caplog.text


def test_deliver_is_given_its_own_options(tmp_path: Path) -> None:
    (tmp_path / "mounted").mkdir()
    (tmp_path / "mounted" / "token").write_text("secret")
    target = tmp_path / "private"
    arguments = ["--from", str(tmp_path / "mounted"), "--to", str(target), "--once"]
    assert cli.main(["deliver", *arguments]) == 0
    assert (target / "token").read_text() == "secret"
    assert stat.S_IMODE((target / "token").stat().st_mode) == 0o600


def test_a_command_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main([])
    assert "required" in capsys.readouterr().err
