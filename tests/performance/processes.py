"""The processes that are measured, as the kernel sees them."""

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from tests.cluster import ports
from tests.cluster.wait import until

ROOT: Final = Path(__file__).resolve().parents[2]
TICK: Final = float(os.sysconf("SC_CLK_TCK"))
QUIET_SECONDS: Final = 1.0
"""Without a tick of CPU for so long, a process is taken to have nothing to do."""

STOP_SECONDS: Final = 20.0

_AS_IN_IMAGE: Final = """
import runpy, sys
sys.modules["kubernetes"] = None
runpy.run_module("casita.operator.cli", run_name="__main__", alter_sys=True)
"""
"""``python -m casita.operator.cli`` without what its image lacks: kopf imports the generated client
where it finds it, here for the tests' sake, and that is a third of the operator's start."""


@dataclass(frozen=True)
class Operator:
    """An operator in a process of its own.

    Attributes:
        pid: process number.
        started: `time.monotonic()` when it was started.
        status_port: where it tells metrics and health.
    """

    pid: int
    started: float
    status_port: int

    def cpu_seconds(self) -> float:
        """Return user and system time so far, all threads; in steps of 10 ms."""
        text = Path(f"/proc/{self.pid}/stat").read_text()
        fields = text.rpartition(")")[2].split()  # proc(5): utime and stime are 14 and 15
        return (int(fields[11]) + int(fields[12])) / TICK

    def peak_megabytes(self) -> float:
        """Return the largest resident size so far, 10^6 bytes."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
        raise LookupError(f"process {self.pid} tells no VmHWM: it has ended")

    def metrics(self) -> dict[str, float]:
        """Return every metric, labels left out and summed over; costs the operator some CPU."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.status_port}/metrics") as answer:
            text = answer.read().decode()
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found[sample.name] = found.get(sample.name, 0.0) + sample.value
        return found

    def is_serving(self) -> bool:
        """Say whether its status port answers."""
        with contextlib.suppress(OSError):
            return bool(self.metrics())
        return False

    def quiet_since(self) -> float:
        """Wait until it does nothing any more; return `time.monotonic()` of its last CPU tick.

        It is watched from outside: asking it would be work.
        """
        ticks, last = self.cpu_seconds(), time.monotonic()
        while time.monotonic() - last < QUIET_SECONDS:
            time.sleep(0.02)
            if (now := self.cpu_seconds()) != ticks:
                ticks, last = now, time.monotonic()
        return last


@contextlib.contextmanager
def operator(site: Path, kubeconfig: Path, log: Path) -> Iterator[Operator]:
    """Run an operator for as long as a block; its log is appended to `log`.

    Raises:
        ClusterError: it ended or did not answer; the message names the log.
    """
    report_port, status_port = ports.free(2)
    command = [sys.executable, "-c", _AS_IN_IMAGE, "run", "--config", str(site)]
    command += ["--report-port", str(report_port), "--status-port", str(status_port)]
    with log.open("ab") as sink:
        started = time.monotonic()
        process = subprocess.Popen(command, env=_environment(kubeconfig), stderr=sink)
    try:
        running = Operator(process.pid, started, status_port)
        yield running
        if process.poll() is not None:
            raise RuntimeError(f"the operator ended with {process.returncode}; see {log}")
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def await_start(running: Operator, log: Path) -> None:
    """Wait until an operator without sessions has listed everything."""

    def ended() -> str | None:
        return None if Path(f"/proc/{running.pid}/task").exists() else f"it ended; see {log}"

    until(running.is_serving, "the operator answers", seconds=60.0, failed=ended)
    running.quiet_since()


@contextlib.contextmanager
def client(
    site: Path, kubeconfig: Path, namespace: str, count: int, *, whole: bool
) -> Iterator[subprocess.Popen[str]]:
    """Start `tests.performance.client` and wait until it is ready to send."""
    command = [sys.executable, "-m", "tests.performance.client", "--config", str(site)]
    command += ["--namespace", namespace, "--count", str(count), *(["--whole"] if whole else [])]
    process = subprocess.Popen(
        command,
        env=_environment(kubeconfig),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        if process.stdout is None or process.stdout.readline() != "ready\n":
            raise RuntimeError("the bare client could not prepare; its error is above")
        yield process
    finally:
        process.kill()
        process.communicate()


def send(process: subprocess.Popen[str]) -> float:
    """Let a client send everything; return the CPU seconds it took for it.

    Raises:
        RuntimeError: a request failed; the client's error is on standard error.
    """
    answer, _ = process.communicate("go\n")
    if process.returncode:
        raise RuntimeError("the bare client failed; its error is above")
    return float(json.loads(answer)["cpu_seconds"])


def _environment(kubeconfig: Path) -> dict[str, str]:
    paths = os.pathsep.join([str(ROOT / "operator"), str(ROOT)])
    return {**os.environ, "KUBECONFIG": str(kubeconfig), "PYTHONPATH": paths}
