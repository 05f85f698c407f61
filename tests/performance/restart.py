"""An operator that starts over sessions which have everything, and then has nothing to do."""

import time
from dataclasses import dataclass
from typing import Final

from tests.performance.audit import Request, count
from tests.performance.audit import requests as requests_of
from tests.performance.burst import PASSES
from tests.performance.processes import Operator, operator
from tests.performance.site import Bench

DEADLINE_SECONDS: Final = 300.0


@dataclass(frozen=True)
class Restart:
    """One start over sessions with all their children.

    Attributes:
        seconds: from the start of the process, imports included, to its last tick of CPU.
        cpu_seconds: of the operator until then.
        peak_megabytes: peak resident size until then, 10^6 bytes.
        passes: reconciles that were done.
        requests: by verb and resource.
        writes: how many of them changed something.
    """

    seconds: float
    cpu_seconds: float
    peak_megabytes: float
    passes: int
    requests: dict[str, int]
    writes: int


@dataclass(frozen=True)
class Idle:
    """What was asked while nothing happened.

    Attributes:
        seconds: for how long.
        cpu_seconds: of the operator in this time.
        requests: by verb and resource, watches left out.
        watches: watches that the server had ended, as it does after 5 to 10 minutes.
    """

    seconds: float
    cpu_seconds: float
    requests: dict[str, int]
    watches: int


def run_restart(bench: Bench, sessions: int, idle_seconds: float) -> tuple[Restart, Idle | None]:
    """Start an operator and wait for the last of its passes; then watch it idle, if asked to."""
    before = len(requests_of(bench.plane))
    with operator(bench.config, bench.plane.kubeconfig, bench.log) as running:
        last, cpu, peak, passes = _await_passes(running, sessions)
        asked = requests_of(bench.plane)[before:]
        restart = Restart(
            seconds=last - running.started,
            cpu_seconds=cpu,
            peak_megabytes=peak,
            passes=passes,
            requests=count(asked),
            writes=sum(r.is_write for r in asked),
        )
        return restart, _run_idle(bench, running, idle_seconds) if idle_seconds else None


def _await_passes(running: Operator, sessions: int) -> tuple[float, float, float, int]:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        last = running.quiet_since()
        cpu, peak = running.cpu_seconds(), running.peak_megabytes()
        if running.is_serving():
            metrics = running.metrics()
            if metrics[PASSES] >= sessions and not metrics["casita_queue_length"]:
                return last, cpu, peak, int(metrics[PASSES])
        if time.monotonic() > deadline:
            raise TimeoutError(f"{sessions} sessions not looked at after {DEADLINE_SECONDS:g} s")


def _run_idle(bench: Bench, running: Operator, seconds: float) -> Idle:
    before, cpu = len(requests_of(bench.plane)), running.cpu_seconds()
    time.sleep(seconds)  # the time itself is what is looked at
    asked: list[Request] = requests_of(bench.plane)[before:]
    return Idle(
        seconds=seconds,
        cpu_seconds=running.cpu_seconds() - cpu,
        requests=count(r for r in asked if r.verb != "watch"),
        watches=sum(r.verb == "watch" for r in asked),
    )
