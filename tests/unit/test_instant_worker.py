"""The worker beside the scheduler does the first task; the pod's own commands run here for real."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

from casita.access.login import token_file
from casita.api.names import HEALTH_PORT, SCHEDULER_PORT, WORKER_PORT
from casita.api.session import SchedulerResources
from casita.config import InstantWorker, PodOverrides, Site
from casita.dask.connect import client_security
from casita.manifests.common import Owner
from casita.manifests.containers import SCRATCH, TLS_DIRECTORY
from casita.manifests.data import RUNTIME_DIRECTORY
from casita.manifests.pods import Template, instant_name, scheduler_name, scheduler_pod
from tests.unit.dask_session import DaskProcess, SecretMount, Session, free_port, wait_for

OWNER = Owner("casita", "alice", "uid-of-alice")
SITE = Site.model_validate(
    {
        "domain": "af.test",
        "reporting": {"url": ""},
        "cache": {"host": "cache", "pathPrefix": "/store/"},
        "profiles": [{"name": "default", "image": "example.org/notebook:1"}],
    }
)


class PodOnThisMachine:
    """The scheduler's pod as planned; of each container only folders, host and ports are others."""

    def __init__(self, session: Session, folder: Path) -> None:
        template = Template(OWNER, SITE, "example.org/notebook:1", "0123456789abcdef")
        instant = InstantWorker(cores=2, memory_mi_b=512)
        pod = scheduler_pod(template, SchedulerResources(), PodOverrides(), instant)
        self._session = session
        self._folder = folder
        self._containers = {each["name"]: each for each in pod["spec"]["containers"]}
        self._ports = {port: free_port() for port in (WORKER_PORT, HEALTH_PORT)}
        self._ports[SCHEDULER_PORT] = session.port

    def start(self, name: str) -> DaskProcess:
        mounts = {
            TLS_DIRECTORY: self._folder / ("scheduler" if name == "scheduler" else "worker"),
            SCRATCH: self._folder,
            RUNTIME_DIRECTORY: self._folder / f"runtime-{name}",
        }

        def local(text: str) -> str:
            for path, here in mounts.items():
                if text == path or text.startswith(f"{path}/"):
                    return f"{here}{text.removeprefix(path)}"
            text = text.replace(f"//{scheduler_name(OWNER)}:", "//localhost:")
            for port, here_port in self._ports.items():
                if text == str(port) or text.endswith(f":{port}"):
                    return text.removesuffix(str(port)) + str(here_port)
            return text

        container = self._containers[name]
        environment = {entry["name"]: local(entry["value"]) for entry in container["env"]}
        command, *arguments = map(local, container["args"])
        assert command == "dask"
        health = environment.get("CASITA_HEALTH_PORT", local(str(HEALTH_PORT)))
        environment["CASITA_DASHBOARD_PORT"] = str(free_port())
        environment["CASITA_TOKENS_DIRECTORY"] = str(self._folder / "tokens")
        log = self._folder / f"{name}.log"
        process = DaskProcess(arguments, environment, log, health_port=int(health)).start()
        self._session.processes.append(process)
        return process


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    for name in ("XDG_RUNTIME_DIR", "X509_CERT_FILE", "_CONDOR_SCRATCH_DIR"):
        monkeypatch.delenv(name, raising=False)
    tokens = SecretMount(tmp_path / "tokens")
    tokens.write({"xcache_token": b"the-token\n", "xcache-ca.pem": b"authority\n"})
    made = Session(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def pod(session: Session, tmp_path: Path) -> PodOnThisMachine:
    return PodOnThisMachine(session, tmp_path)


def connected(session: Session) -> Client:
    return Client(session.address, security=client_security(session.client_mount.directory))


def look() -> dict[str, Any]:
    """Return who does this task, and the token that it finds."""
    import os

    from distributed import get_worker

    worker = get_worker()
    return {
        "name": worker.name,
        "threads": worker.state.nthreads,
        "address": worker.address,
        "token": token_file(os.environ).read_text(),
    }


def test_it_waits_for_its_scheduler_and_does_the_first_task(
    session: Session, pod: PodOnThisMachine
) -> None:
    instant = pod.start("instant")
    wait_for(instant.logged("Waiting to connect"), "the worker to dial")
    scheduler = pod.start("scheduler")
    wait_for(instant.logged("Registered to"), "the worker to register")
    assert scheduler.healthy()
    with connected(session) as client:
        seen = client.submit(look).result()
    assert seen["name"] == instant_name(OWNER)
    assert (seen["threads"], seen["token"]) == (2, "the-token")


def test_it_comes_back_with_a_scheduler_that_was_restarted_in_place(
    session: Session, pod: PodOnThisMachine
) -> None:
    scheduler, instant = pod.start("scheduler"), pod.start("instant")
    wait_for(instant.logged("Registered to"), "the worker to register")
    scheduler.stop()
    instant.exit_code()  # whatever it is: the kubelet starts it anew
    pod.start("instant")
    pod.start("scheduler")
    with connected(session) as client:
        client.wait_for_workers(1, timeout=30)
        assert client.submit(look).result()["token"] == "the-token"
