"""A burst of logins: how long they take, and what keeps the hub from answering meanwhile.

``python -m tests.performance.logins [--logins 100] [--output build/bench]``

A real JupyterHub, an operator in a process of its own and an API server that nobody used before.
All users ask for a server at once, each follows the progress of the start as the hub's page does,
and the bench says of pods that they run, in place of kubelets.

The hub's process watches itself. A ticker of its event loop tells how long the loop did not come
round; a thread looks at the loop's own thread every few milliseconds and notes where it is. A
moment is put down to whoever is innermost on the stack among casita, kubespawner and JupyterHub:
what a library does for one of them is that one's.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from casita.config import load_site
from tests.cluster.control_plane import ControlPlane
from tests.performance.processes import ROOT, Operator, await_start, operator
from tests.performance.site import NAMESPACE, Bench, bench
from tests.support.audit import counts
from tests.support.bed import Bed
from tests.support.cluster import Cluster
from tests.support.hub import CONFIGURATION, HERE, Hub
from tests.support.hub_account import make_account
from tests.support.kubelet import kubelet

MOST: Final = 100
"""Connections of the client that follows the starts."""

START_SECONDS: Final = 300

BLOCK_SECONDS: Final = 0.05
"""The loop is blocked if it does not come round for so long."""

OWNERS: Final = ("casita", "kubespawner", "jupyterhub")
"""Packages that moments are put down to."""

OTHERS: Final = "HTTP and asyncio"
"""Where none of them is on the stack: requests and answers on their way."""

DATABASE: Final = "its database"
"""JupyterHub's, by SQLAlchemy."""

COLLECTOR: Final = "garbage collection"
WAITING: Final = "waiting"
SHOWN: Final = 8

WATCH: Final = """
import gc
import sys
import threading
import time


class Watch:
    def __init__(self, block, path):
        self.block, self.path, self.told = block, path, []
        self.loop_thread = threading.get_ident()
        asyncio.get_running_loop().call_soon(self.start)

    def start(self):
        self.task = asyncio.create_task(self.tick())
        threading.Thread(target=self.look, daemon=True).start()
        run = asyncio.Handle._run

        def timed(handle):
            begin = self.now()
            run(handle)
            self.tell("step", begin)

        asyncio.Handle._run = timed
        gc.callbacks.append(self.collect)

    def now(self):
        return time.monotonic(), time.thread_time()

    def tell(self, kind, begin, shortest=None):
        end = self.now()
        if end[0] - begin[0] > (self.block if shortest is None else shortest):
            self.told.append([kind, begin[0], end[0], end[1] - begin[1]])

    def collect(self, phase, info):
        if threading.get_ident() == self.loop_thread:
            if phase == "start":
                self.collecting = self.now()
            else:
                self.tell("collection", self.collecting, 0.001)

    async def tick(self):
        while True:
            begin = self.now()
            await asyncio.sleep(0.01)
            self.tell("round", begin)

    def look(self):
        with open(self.path, "w") as file:
            while True:
                time.sleep(0.005)
                now, stack = time.monotonic(), []
                frame = sys._current_frames()[self.loop_thread]
                while frame:
                    stack.append([frame.f_code.co_filename, frame.f_code.co_name])
                    frame = frame.f_back
                file.write(json.dumps(["moment", now, stack]) + "\\n")
                while self.told:
                    file.write(json.dumps(self.told.pop(0)) + "\\n")
                file.flush()


watch = Watch({block!r}, {path!r})
"""
"""Ends the hub's configuration, which is read within the loop that is watched."""

Stack = Sequence[Sequence[str]]
"""File and function of each frame, the innermost first."""


@dataclass(frozen=True)
class Block:
    """A time in which the hub's event loop did not come round.

    Attributes:
        seconds: how long.
        cpu_seconds: of it, in which the loop's thread had a core.
        shares: seconds by owner.
    """

    seconds: float
    cpu_seconds: float
    shares: dict[str, float]


@dataclass(frozen=True)
class Lag:
    """What the hub's process saw of itself.

    Attributes:
        rounds: blocks of the loop, longest first: all that ran between two rounds of it.
        steps: what ran for as long without giving the loop back, longest first.
        busy: seconds of the whole burst by owner.
    """

    rounds: tuple[Block, ...]
    steps: tuple[Block, ...]
    busy: dict[str, float]

    def most(self, owner: str) -> float:
        """Return the most seconds of one owner between two rounds of the loop."""
        return max((block.shares.get(owner, 0.0) for block in self.rounds), default=0.0)


@dataclass(frozen=True)
class Burst:
    """What a burst of logins took.

    Attributes:
        seconds: from the first request until the last server was ready.
        each: seconds of each login from the first request on, shortest first.
        failed: what was told of each server that did not start.
        lag: of the hub's event loop.
        requests: the hub's to the API server until its end, by verb and resource.
        operator_cpu_seconds: of the operator meanwhile.
    """

    seconds: float
    each: tuple[float, ...]
    failed: tuple[str, ...]
    lag: Lag
    requests: dict[str, int]
    operator_cpu_seconds: float


def measure(logins: int, folder: Path) -> Burst:
    """Let all users log in, on a control plane of their own."""
    with (
        bench(folder / "site") as site,
        operator(site.config, site.plane.kubeconfig, site.log) as running,
    ):
        await_start(running, site.log)
        return asyncio.run(_burst(logins, site, running, folder))


async def _burst(logins: int, site: Bench, running: Operator, folder: Path) -> Burst:
    bed = Bed(Cluster(site.plane.kubeconfig), NAMESPACE)
    hub = Hub(folder, make_account(site.plane, bed, folder), load_site(site.config), NAMESPACE)
    hub.configure(
        {
            "JupyterHub": {"concurrent_spawn_limit": 0},
            "CasitaSpawner": {"start_timeout": START_SECONDS},
        }
    )
    seen = folder / "seen.jsonl"
    watch = WATCH.format(block=BLOCK_SECONDS, path=str(seen))
    (folder / "hub_config.py").write_text(CONFIGURATION + watch)
    async with hub.running(), kubelet(bed, HERE):
        cpu, began = running.cpu_seconds(), time.monotonic()
        names = [f"user{number:03d}" for number in range(logins)]
        ends = await asyncio.gather(*(_login(hub, name) for name in names))
        ended = time.monotonic()
        cpu = running.cpu_seconds() - cpu
    return Burst(
        seconds=ended - began,
        each=tuple(sorted(end - began for end, _ in ends)),
        failed=tuple(told for _, told in ends if told),
        lag=_lag(seen.read_text().splitlines(), began, ended),
        requests=_requests(site.plane),
        operator_cpu_seconds=cpu,
    )


async def _login(hub: Hub, user: str) -> tuple[float, str]:
    """Return when the server was ready, and why it is not if it is not."""
    status, told = await hub.start(user)
    if status in (201, 202):
        *_, told = await hub.progress(user)
    ready = isinstance(told, dict) and told.get("ready")
    return time.monotonic(), "" if ready else f"{user}: {status} {told}"


Span = tuple[float, float]


def _lag(lines: Iterable[str], began: float, ended: float) -> Lag:
    """Read what the hub noted; both times are of the clock that all processes share."""
    told: dict[str, list[Any]] = {"moment": [], "step": [], "round": [], "collection": []}
    for kind, *values in map(json.loads, lines):
        told[kind].append(values)
    before, moments = began, []
    for now, stack in told["moment"]:
        moments.append(((before, now), _owner(stack)))
        before = max(before, now)
    collections = [(begin, end) for begin, end, _ in told["collection"]]

    def shares(span: Span) -> dict[str, float]:
        found: dict[str, float] = defaultdict(float)
        for moment, owner in moments:
            if length := _common(moment, span):
                both = (max(moment[0], span[0]), min(moment[1], span[1]))
                collected = sum(_common(both, collection) for collection in collections)
                found[owner] += length - collected
                found[COLLECTOR] += collected
        return {owner: seconds for owner, seconds in found.items() if seconds > 0}

    def blocks(kind: str) -> tuple[Block, ...]:
        spans = [(b, e, cpu) for b, e, cpu in told[kind] if b < ended and e > began]
        spans.sort(key=lambda span: span[0] - span[1])
        return tuple(Block(e - b, cpu, shares((b, e))) for b, e, cpu in spans)

    return Lag(blocks("round"), blocks("step"), shares((began, ended)))


def _common(one: Span, other: Span) -> float:
    return max(0.0, min(one[1], other[1]) - max(one[0], other[0]))


def _owner(stack: Stack) -> str:
    """Return whose moment it was; what runs the loop itself is nobody's."""
    if stack[0][1] == "select":
        return WAITING
    queries = False
    for file, function in stack:
        if function == "_run" and file.endswith("asyncio/events.py"):
            break
        queries |= "/sqlalchemy/" in file
        for owner in OWNERS:
            if f"/{owner}/" in file:
                return DATABASE if queries and owner == "jupyterhub" else owner
    return OTHERS


def _requests(plane: ControlPlane) -> dict[str, int]:
    account = f"system:serviceaccount:{NAMESPACE}:casita-hub"
    asked = (
        event
        for event in plane.audit_events()
        if event["user"]["username"] == account
        and event.get("objectRef")
        and not (event["verb"] == "watch" and event["stage"] == "ResponseComplete")
    )
    return dict(sorted(counts(asked).items()))


def table(burst: Burst) -> str:
    """Return the figures as Markdown."""
    lag, each = burst.lag, burst.each
    longest = lag.rounds[0] if lag.rounds else Block(0.0, 0.0, {})
    step = lag.steps[0] if lag.steps else Block(0.0, 0.0, {})
    rows = [
        ("until all are ready", f"{burst.seconds:.1f} s"),
        ("median login", f"{statistics.median(each):.1f} s"),
        ("longest login", f"{each[-1]:.1f} s"),
        ("servers that did not start", f"{len(burst.failed)}"),
        ("longest block of the hub's event loop", _milliseconds(longest.seconds)),
        ("of it with a core", _milliseconds(longest.cpu_seconds)),
        ("most of casita's own code in any block", _milliseconds(lag.most("casita"))),
        ("longest step without giving the loop back", _milliseconds(step.seconds)),
        (
            "most of casita's own code in any step",
            _milliseconds(max((s.shares.get("casita", 0.0) for s in lag.steps), default=0.0)),
        ),
        ("operator CPU", f"{burst.operator_cpu_seconds:.1f} s"),
        ("requests of the hub", ", ".join(f"{n} {what}" for what, n in burst.requests.items())),
    ]
    owners = [*OWNERS, DATABASE, OTHERS, COLLECTOR, WAITING]
    return "\n".join(
        [
            "| | |",
            "|---|---|",
            *(f"| {what} | {value} |" for what, value in rows),
            "",
            f"| milliseconds | all | with a core | {' | '.join(owners)} |",
            "|---" * (3 + len(owners)) + "|",
            _row("whole burst", burst.seconds, "", lag.busy, owners),
            *_rows("block", lag.rounds, owners),
            *_rows("step", lag.steps, owners),
            "",
            *burst.failed,
        ]
    )


def _rows(what: str, blocks: Sequence[Block], owners: Sequence[str]) -> list[str]:
    return [
        _row(what, block.seconds, f"{block.cpu_seconds * 1000:.0f}", block.shares, owners)
        for block in blocks[:SHOWN]
    ]


def _row(
    what: str, seconds: float, core: str, shares: dict[str, float], owners: Sequence[str]
) -> str:
    parts = " | ".join(f"{shares.get(owner, 0.0) * 1000:.0f}" for owner in owners)
    return f"| {what} | {seconds * 1000:.0f} | {core} | {parts} |"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def main() -> int:
    """Run the command line; the exit status tells whether all servers started."""
    parser = argparse.ArgumentParser(prog="python -m tests.performance.logins", description=__doc__)
    parser.add_argument("--logins", type=int, default=MOST, help=f"at most {MOST}")
    parser.add_argument("--output", type=Path, default=ROOT / "build/bench")
    options = parser.parse_args()
    if not 0 < options.logins <= MOST:
        parser.error(f"--logins is from 1 to {MOST}")
    loads = [Path("/proc/loadavg").read_text().split()[0]]
    with tempfile.TemporaryDirectory(prefix="casita-logins-") as folder:
        burst = measure(options.logins, Path(folder))
    loads.append(Path("/proc/loadavg").read_text().split()[0])
    title = f"# {options.logins} logins at once, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    text = f"{title}\n\nLoad before and after: {' and '.join(loads)}\n\n{table(burst)}\n"
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "logins.md").write_text(text)
    (options.output / "logins.json").write_text(json.dumps(asdict(burst), indent=1) + "\n")
    sys.stdout.write(text)
    return bool(burst.failed)


if __name__ == "__main__":
    sys.exit(main())
