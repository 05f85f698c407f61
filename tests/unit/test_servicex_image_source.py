"""Where the images of ServiceX get its source, and what happens without it."""

import subprocess
from pathlib import Path

import pytest

from tests.cluster import images, servicex_source
from tests.cluster.errors import ClusterError
from tests.cluster.steps import Steps


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with one commit that stands for ServiceX's."""
    made = tmp_path / "repository"
    for name in servicex_source.WANTED:
        file = made / name if name == "LICENSE" else made / name / "code.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("1\n")
    (made / "helm").mkdir()
    (made / "helm" / "values.yaml").write_text("unwanted: true\n")

    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        command = ["git", "-C", str(made), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "first")
    monkeypatch.setattr(servicex_source, "COMMIT", git("rev-parse", "HEAD"))
    return made


def test_only_what_the_images_need_is_taken(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(servicex_source.VARIABLE, str(repository))
    folder = tmp_path / "context" / "servicex"
    assert servicex_source.provide(Steps(quiet=True), folder)
    assert (folder / "servicex_app/servicex_app/code.py").exists()
    assert not (folder / "helm").exists()


def test_a_source_taken_before_is_used_until_another_commit_is_wanted(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(servicex_source.VARIABLE, str(repository))
    folder = tmp_path / "servicex"
    servicex_source.provide(Steps(quiet=True), folder)
    monkeypatch.delenv(servicex_source.VARIABLE)
    assert servicex_source.provide(Steps(quiet=True), folder)
    monkeypatch.setattr(servicex_source, "COMMIT", "0" * 40)
    assert not servicex_source.provide(Steps(quiet=True), folder)


def test_a_repository_without_the_commit_is_named(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(servicex_source.VARIABLE, str(repository))
    monkeypatch.setattr(servicex_source, "COMMIT", "0" * 40)
    with pytest.raises(ClusterError, match=str(repository)):
        servicex_source.provide(Steps(quiet=True), tmp_path / "servicex")


def test_images_without_their_source_are_left_out_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SERVICES", "1")
    monkeypatch.setattr(servicex_source, "provide", lambda _steps: False)
    assert images.left_out(Steps()) == images.SERVICEX
    assert "LEFT OUT" in capsys.readouterr().err
    monkeypatch.setattr(servicex_source, "provide", lambda _steps: True)
    assert not images.left_out(Steps())
