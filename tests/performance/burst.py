"""Many sessions at once: the operator against a client that only writes."""

import time
from dataclasses import dataclass
from typing import Final

from casita.api.names import PLURAL
from tests.performance.audit import OPERATOR, STATUS, count, from_first_session_to_last_status
from tests.performance.audit import requests as requests_of
from tests.performance.client import AGENT
from tests.performance.processes import await_start, client, operator, send
from tests.performance.site import NAMESPACE, Bench

CHILDREN: Final = 9
"""Five Secrets, Service, NetworkPolicy, route, scheduler: a session without workers."""

DEADLINE_SECONDS: Final = 600.0
PASSES: Final = "casita_reconcile_duration_seconds_count"


@dataclass(frozen=True)
class Floor:
    """The bare writes.

    Attributes:
        seconds: from the first session's arrival at the server to its answer to the last status.
        client_cpu_seconds: of the client alone, its preparation left out.
    """

    seconds: float
    client_cpu_seconds: float


@dataclass(frozen=True)
class Burst:
    """The operator's run.

    Attributes:
        sessions: how many.
        seconds: as `Floor.seconds`, by the same clock.
        cpu_seconds: of the operator, from the first session until it was quiet; start left out.
        start_cpu_seconds: of the operator until it was ready, imports included.
        idle_megabytes: peak resident size before the first session.
        peak_megabytes: peak resident size at the end, 10^6 bytes.
        requests: the operator's requests by verb and resource, those of its start left out.
        failed: requests that the server answered with an error.
        passes: reconciles that were done; events of what was just written cause some.
    """

    sessions: int
    seconds: float
    cpu_seconds: float
    start_cpu_seconds: float
    idle_megabytes: float
    peak_megabytes: float
    requests: dict[str, int]
    failed: int
    passes: int

    def per_session(self, resource: str) -> float:
        """Return the writes of one resource per session."""
        found = (n for what, n in self.requests.items() if what.split()[1] == resource)
        return sum(found) / self.sessions

    @property
    def objects_per_session(self) -> float:
        """Writes to child objects per session."""
        writes = sum(n for what, n in self.requests.items() if is_write(what))
        return writes / self.sessions - self.per_session(STATUS) - self.per_session("events")


def is_write(what: str) -> bool:
    """Say whether a counted request changed something."""
    return what.split()[0] not in ("get", "list", "watch")


def run_floor(bench: Bench, count_: int) -> Floor:
    """Let the bare client write everything for `count_` sessions."""
    kubeconfig = bench.plane.kubeconfig
    with client(bench.config, kubeconfig, NAMESPACE, count_, whole=True) as process:
        cpu = send(process)
    return Floor(from_first_session_to_last_status(bench.plane, AGENT), cpu)


def run_burst(bench: Bench, count_: int) -> Burst:
    """Create `count_` sessions and let an operator of its own make everything."""
    kubeconfig = bench.plane.kubeconfig
    with (
        operator(bench.config, kubeconfig, bench.log) as running,
        client(bench.config, kubeconfig, NAMESPACE, count_, whole=False) as process,
    ):
        await_start(running, bench.log)
        start_cpu, idle = running.cpu_seconds(), running.peak_megabytes()
        before = len(requests_of(bench.plane))
        send(process)
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            running.quiet_since()
            cpu, peak = running.cpu_seconds() - start_cpu, running.peak_megabytes()
            asked = requests_of(bench.plane)[before:]
            told = {r.name for r in asked if r.resource == STATUS and r.code == 200}
            metrics = running.metrics()
            if len(told) == count_ and not metrics["casita_queue_length"]:
                break
            if time.monotonic() > deadline:
                text = f"{len(told)} of {count_} {PLURAL} have a status after {DEADLINE_SECONDS} s"
                raise TimeoutError(f"{text}; see {bench.log}")
    return Burst(
        sessions=count_,
        seconds=from_first_session_to_last_status(bench.plane, OPERATOR),
        cpu_seconds=cpu,
        start_cpu_seconds=start_cpu,
        idle_megabytes=idle,
        peak_megabytes=peak,
        requests=count(asked),
        failed=sum(r.code >= 400 for r in asked),
        passes=int(metrics[PASSES]),
    )
