"""A session's Dask processes on this machine: real TLS, throw-away authorities, stock commands."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import TypeVar

from casita.credentials.x509 import Authority, Leaf, Role, issue_leaf, new_authority

DEADLINE_SECONDS = 30.0
POLL_SECONDS = 0.02
HOST = "scheduler.casita.test"

T = TypeVar("T")


def wait_for(condition: Callable[[], T], what: str, seconds: float = DEADLINE_SECONDS) -> T:
    """Return the first truthy result of `condition`; fail after `seconds`."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"{what}: not within {seconds:g} s"
        time.sleep(POLL_SECONDS)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def authority(name: str = "session") -> Authority:
    return new_authority(name, datetime.now(UTC) - timedelta(minutes=5), timedelta(hours=1))


def leaf(signer: Authority, role: Role, names: tuple[str, ...] = (HOST, "localhost")) -> Leaf:
    return issue_leaf(signer, role, names, datetime.now(UTC), timedelta(minutes=30))


@dataclass(eq=False)
class SecretMount:
    """A directory that changes as a kubelet's does: one link is swapped, all files with it."""

    directory: Path
    version: int = 0

    def write(self, files: dict[str, bytes]) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.version += 1
        data = self.directory / f"..{self.version}"
        data.mkdir()
        for name, content in files.items():
            (data / name).write_bytes(content)
            link = self.directory / name
            if not link.is_symlink():
                link.symlink_to(Path("..data", name))
        fresh = self.directory / "..data_tmp"
        fresh.symlink_to(data.name)
        fresh.replace(self.directory / "..data")

    def write_leaf(self, signer: Authority, issued: Leaf, **more: bytes) -> Leaf:
        self.write(
            {
                "ca.pem": signer.certificate_pem,
                "tls.crt": issued.certificate_pem,
                "tls.key": issued.key_pem,
                "usercert.pem": issued.certificate_pem + issued.key_pem,
                **more,
            }
        )
        return issued


def mount(directory: Path, signer: Authority, role: Role) -> SecretMount:
    made = SecretMount(directory)
    made.write_leaf(signer, leaf(signer, role))
    return made


@dataclass
class DaskProcess:
    """A ``dask`` command with a log and a health port."""

    arguments: list[str]
    environment: dict[str, str]
    log: Path
    health_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    directory: Path | None = None
    inherits: bool = True
    """The environment of the test, as a batch job's does not."""

    def start(self) -> "DaskProcess":
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("DASK_")},
            "CASITA_HEALTH_PORT": str(self.health_port),
            **self.environment,
        }
        if not self.inherits:
            environment = {**self.environment, "PYTHONPATH": os.pathsep.join(sys.path)}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dask", *self.arguments],
                env=environment,
                cwd=self.directory,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self

    def send(self, signum: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(signum)

    def exit_code(self, seconds: float = DEADLINE_SECONDS) -> int:
        assert self.process is not None
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"no end within {seconds:g} s:\n{self.output()}") from None

    def health(self) -> int | None:
        """Return the status of the health endpoint, or nothing if nobody answers."""
        try:
            return self.ask_health("GET", "/healthz")[0]
        except OSError:
            return None

    def ask_health(self, method: str, path: str) -> tuple[int, bytes]:
        """Return status and body of an answer of the health port."""
        with closing(HTTPConnection("127.0.0.1", self.health_port, timeout=5)) as connection:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def healthy(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.output()
        return self.health() == 200

    def logged(self, text: str) -> Callable[[], bool]:
        return lambda: text in self.output()

    def output(self) -> str:
        return self.log.read_text()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()


@dataclass
class Session:
    """An authority, and the processes that trust it."""

    directory: Path
    environment: dict[str, str] = field(default_factory=dict)
    authority: Authority = field(default_factory=authority)
    port: int = field(default_factory=free_port)
    dashboard_port: int = field(default_factory=free_port)
    processes: list[DaskProcess] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.scheduler_mount = mount(self.directory / "scheduler", self.authority, Role.SCHEDULER)
        self.worker_mount = mount(self.directory / "worker", self.authority, Role.WORKER)
        self.client_mount = mount(self.directory / "client", self.authority, Role.CLIENT)

    @property
    def address(self) -> str:
        return f"tls://localhost:{self.port}"

    def scheduler_environment(self) -> dict[str, str]:
        return {
            **tls_environment("SCHEDULER", self.scheduler_mount.directory),
            "CASITA_DASHBOARD_PORT": str(self.dashboard_port),
            "CASITA_TLS_DIRECTORY": str(self.scheduler_mount.directory),
        }

    def scheduler(self, *arguments: str, **environment: str) -> DaskProcess:
        return self.start(
            "scheduler",
            [
                "scheduler",
                *("--protocol", "tls", "--port", str(self.port)),
                *("--dashboard-address", "127.0.0.1:0"),
                *("--preload", "casita.dask.scheduler"),
                *arguments,
            ],
            {**self.scheduler_environment(), **environment},
        )

    def worker(self, name: str, *arguments: str, **environment: str) -> DaskProcess:
        return self.start(
            name,
            [
                *("worker", self.address, "--name", name),
                *("--nthreads", "1", "--memory-limit", "1GiB", "--no-nanny", "--no-dashboard"),
                *("--local-directory", str(self.directory), "--death-timeout", "20"),
                *("--preload", "casita.dask.worker"),
                *arguments,
            ],
            {**tls_environment("WORKER", self.worker_mount.directory), **environment},
        )

    def start(self, name: str, arguments: list[str], environment: dict[str, str]) -> DaskProcess:
        log = self.directory / f"{name}.log"
        environment = {"CASITA_RELOAD_SECONDS": "0.1", **self.environment, **environment}
        process = DaskProcess(arguments, environment, log).start()
        self.processes.append(process)
        return process

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.stop()


def tls_environment(role: str, directory: Path) -> dict[str, str]:
    return {
        "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True",
        "DASK_DISTRIBUTED__COMM__TLS__CA_FILE": str(directory / "ca.pem"),
        f"DASK_DISTRIBUTED__COMM__TLS__{role}__CERT": str(directory / "tls.crt"),
        f"DASK_DISTRIBUTED__COMM__TLS__{role}__KEY": str(directory / "tls.key"),
    }


def presented_serial(port: int, client: Path) -> str:
    """Return the serial number of the certificate that a listener presents to a new connection."""
    context = ssl.create_default_context(cafile=client / "ca.pem")
    context.load_cert_chain(client / "usercert.pem")
    context.check_hostname = False
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        context.wrap_socket(plain) as secured,
    ):
        certificate = secured.getpeercert()
        assert certificate is not None
        return f"{int(str(certificate['serialNumber']), 16):x}"
