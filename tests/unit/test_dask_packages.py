"""A user's extra packages: found once, by pip in the notebook, and importable in every task."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

from casita.dask.bundle import PackagesError
from casita.dask.cluster import Cluster
from tests.unit.dask_session import DEADLINE_SECONDS, Session, wait_for
from tests.unit.dask_wheel import COMPILED, wheel


@pytest.fixture(autouse=True)
def no_index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No registry is asked: what is not in this folder does not exist."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    session = Session(tmp_path / "session")
    folder = session.client_mount.directory
    (folder / "session.json").write_text(json.dumps({"address": session.address}))
    try:
        wait_for(session.scheduler("--no-dashboard").healthy, "scheduler")
        session.worker("first")
        with Cluster(folder, quiet=True) as made:
            made.session = session
            made.wait_for_workers(1, timeout=DEADLINE_SECONDS)
            yield made
    finally:
        session.stop()


def version(_: Any = None) -> str:
    import importlib

    return str(importlib.import_module("casita_greetings").VERSION)


def files() -> list[str]:
    import importlib
    from pathlib import Path

    module = importlib.import_module("casita_greetings")
    return sorted(path.name for path in Path(str(module.__file__)).parent.glob("*.so"))


def test_packages_are_in_every_task_of_present_and_later_workers(
    cluster: Cluster, tmp_path: Path
) -> None:
    cluster.install(str(wheel(tmp_path, "1.0")))
    with Client(cluster) as client:
        assert client.submit(version).result() == "1.0"
        assert client.submit(files).result() == [COMPILED]
        assert client.run_on_scheduler(version) == "1.0"
        cluster.session.processes[-1].stop()
        waiting = client.map(version, range(8))
        late = cluster.session.worker("second")
        assert client.gather(waiting) == ["1.0"] * 8
        assert "failed to setup" not in late.output()


def test_what_was_installed_last_is_found_first(cluster: Cluster, tmp_path: Path) -> None:
    first, second = str(wheel(tmp_path, "1.0")), str(wheel(tmp_path, "2.0"))
    for wanted in (first, second):
        cluster.install(wanted)
    with Client(cluster) as client:
        plugins = client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.worker_plugins))
        assert plugins == 2, "one for all archives, and distributed's own for shuffles"
        assert client.submit(version, workers=["first"]).result() == "2.0"
        cluster.install(first)
        cluster.session.worker("second")
        cluster.wait_for_workers(2, timeout=DEADLINE_SECONDS)
        assert client.submit(version, workers=["second"]).result() == "1.0"
        assert client.submit(version, workers=["first"], pure=False).result() == "2.0", "in use"


def test_what_pip_cannot_find_is_told_in_its_words(cluster: Cluster) -> None:
    with pytest.raises(PackagesError, match="No matching distribution found for casita-nowhere"):
        cluster.install("casita-nowhere")
    with pytest.raises(PackagesError, match="name packages, folders or wheels"):
        cluster.install("--index-url=https://example.org")
    with pytest.raises(PackagesError, match="name packages"):
        cluster.install()


def test_a_worker_without_room_is_named(cluster: Cluster, tmp_path: Path) -> None:
    with Client(cluster) as client:

        def occupy(dask_worker: Any) -> None:
            dask_worker.local_directory = "/dev/null"

        client.run(occupy)
        with pytest.raises(PackagesError, match=r"tls://.*NotADirectoryError"):
            cluster.install(str(wheel(tmp_path, "1.0")))
