"""A worker as it is in a batch job: files beside it, no home, no fixed port, an end in sight."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

from casita.dask.connect import client_security
from casita.dask.settings import SettingsError, worker_settings
from tests.unit.dask_session import DaskProcess, Session, wait_for
from tests.unit.dask_tasks import counted, gated, open_gate, runs

FIRST_PORT, LAST_PORT = 41_000, 41_099


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    made = Session(tmp_path_factory.mktemp("session"))
    try:
        wait_for(made.scheduler("--no-dashboard").healthy, "scheduler")
        yield made
    finally:
        made.stop()


@pytest.fixture
def client(session: Session) -> Iterator[Client]:
    with Client(session.address, security=client_security(session.client_mount.directory)) as made:
        yield made
        made.cancel(list(made.futures))


def job(session: Session, name: str, folder: Path, **environment: str) -> DaskProcess:
    """Start a worker in a sandbox of its own, with nothing but what its submit file says."""
    folder.mkdir(exist_ok=True)
    for file in ("ca.pem", "tls.crt", "tls.key"):
        (folder / file).write_bytes((session.worker_mount.directory / file).read_bytes())
    arguments = [
        *("worker", session.address, "--name", name, "--nthreads", "1"),
        *("--memory-limit", "1GiB", "--no-nanny", "--no-dashboard", "--death-timeout", "20"),
        *("--tls-ca-file", "ca.pem", "--tls-cert", "tls.crt", "--tls-key", "tls.key"),
        *("--local-directory", ".", "--worker-port", f"{FIRST_PORT}:{LAST_PORT}"),
        *("--preload", "casita.dask.worker"),
    ]
    given = {
        "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True",
        "CASITA_HEALTH_PORT": "0",
        "CASITA_DRAIN_SECONDS": "300",
        "CASITA_RELOAD_SECONDS": "0.1",
        "_CONDOR_SCRATCH_DIR": str(folder),
        **environment,
    }
    log = session.directory / f"{name}.log"
    process = DaskProcess(arguments, given, log, directory=folder, inherits=False).start()
    session.processes.append(process)
    return process


@pytest.fixture(autouse=True)
def only_its_own_workers(session: Session, client: Client) -> Iterator[None]:
    yield
    for process in session.processes[1:]:
        process.stop()
    wait_for(lambda: not client.scheduler_info(n_workers=-1)["workers"], "the workers' end")


def seen() -> dict[str, Any]:
    """Return what a task finds of where it runs."""
    import threading

    from distributed import get_worker

    worker = get_worker()
    return {
        "home": os.environ.get("HOME"),
        "port": worker.port,
        "local": str(Path(worker.local_directory).resolve()),
        "health": "health" in worker.services,
        "threads": threading.active_count(),
    }


def test_it_needs_no_more_than_its_sandbox(
    session: Session, client: Client, tmp_path: Path
) -> None:
    sandbox = tmp_path / "sandbox"
    worker = job(session, "job", sandbox)
    client.wait_for_workers(1, timeout=30)
    facts = client.submit(seen, workers=["job"]).result()
    assert facts["home"] is None
    assert FIRST_PORT <= facts["port"] <= LAST_PORT
    assert facts["local"].startswith(str(sandbox.resolve()))
    assert facts["health"] is False
    worker.process.terminate()  # type: ignore[union-attr]
    assert worker.exit_code() == 0
    assert "ERROR" not in worker.output()


def test_many_share_a_machine(session: Session, client: Client, tmp_path: Path) -> None:
    workers = [job(session, f"many-{n}", tmp_path / f"many-{n}") for n in range(3)]
    client.wait_for_workers(3, timeout=30)
    ports = {address.rpartition(":")[2] for address in client.scheduler_info()["workers"]}
    assert len(ports) == len(workers)
    assert all(FIRST_PORT <= int(port) <= LAST_PORT for port in ports)


def test_a_task_that_changes_the_folder_breaks_nothing(
    session: Session, client: Client, tmp_path: Path
) -> None:
    """The leaf's files are named by where the job began."""
    worker = job(session, "wanderer", tmp_path / "sandbox")
    client.wait_for_workers(1, timeout=30)
    client.submit(os.chdir, "/", workers=["wanderer"]).result()
    before = worker.output().count("loaded: serial")
    (tmp_path / "sandbox" / "tls.crt").touch()
    wait_for(lambda: worker.output().count("loaded: serial") > before, "the leaf to be read")
    assert "refused" not in worker.output()


@pytest.mark.parametrize("given", ["localhost", "tls://localhost:{port}"])
def test_it_is_dialled_at_the_address_that_the_site_says(
    session: Session, client: Client, tmp_path: Path, given: str
) -> None:
    job(session, "advertised", tmp_path / "sandbox", CASITA_CONTACT_ADDRESS=given)
    client.wait_for_workers(1, timeout=30)
    address = next(iter(client.scheduler_info()["workers"]))
    port = client.submit(seen, workers=["advertised"]).result()["port"]
    assert address == f"tls://localhost:{port}"


def test_it_drains_before_its_time_is_over(
    session: Session, client: Client, tmp_path: Path
) -> None:
    worker = job(session, "mortal", tmp_path / "sandbox", CASITA_LIFETIME_SECONDS="4")
    client.wait_for_workers(1, timeout=30)
    future = client.submit(gated, str(tmp_path), "late", key="late", workers=["mortal"])
    wait_for(lambda: runs(tmp_path, "late"), "the task's begin")
    wait_for(worker.logged("the end of its lifetime: draining for up to 300 s"), "the drain")
    job(session, "heir", tmp_path / "heir")
    open_gate(tmp_path)
    assert worker.exit_code() == 0
    assert future.result(timeout=30) == 0
    assert runs(tmp_path, "late") == 1, "a task was cut"
    assert client.submit(counted, str(tmp_path), "next", 7).result(timeout=30) == 7


def test_a_signal_in_that_drain_does_not_cut_it_short(
    session: Session, client: Client, tmp_path: Path
) -> None:
    worker = job(session, "patient", tmp_path / "sandbox", CASITA_LIFETIME_SECONDS="2")
    client.wait_for_workers(1, timeout=30)
    future = client.submit(gated, str(tmp_path), "kept", key="kept", workers=["patient"])
    wait_for(worker.logged("the end of its lifetime"), "the drain")
    worker.process.terminate()  # type: ignore[union-attr]
    wait_for(worker.logged("SIGTERM: draining already"), "the signal")
    job(session, "heir2", tmp_path / "heir")
    open_gate(tmp_path)
    assert worker.exit_code() == 0
    assert future.result(timeout=30) == 0


def test_settings_of_a_batch_worker() -> None:
    assert worker_settings({"CASITA_HEALTH_PORT": "0"}).health_port is None
    assert worker_settings({}).lifetime_seconds is None
    assert worker_settings({"CASITA_LIFETIME_SECONDS": "3600"}).lifetime_seconds == 3600
    with pytest.raises(SettingsError, match=re.escape("CASITA_LIFETIME_SECONDS must be")):
        worker_settings({"CASITA_LIFETIME_SECONDS": "soon"})
