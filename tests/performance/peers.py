"""Casita's operator beside dask-kubernetes', on the same API server and with the same clusters.

``python -m tests.performance.peers [--clusters 20] [--idle 60] [--output build/bench]``

Each contender gets a control plane that nobody used before, is asked for clusters of a scheduler
and two workers, and then left alone. Pods are said to be ready by the bench in place of a kubelet.
Requests are counted by the server's audit log. Only what the two have in common is compared:
casita's sessions have certificates, tokens, a route and a policy besides.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from tests.cluster import ports
from tests.cluster.control_plane import ControlPlane
from tests.cluster.wait import until
from tests.performance import dask_kubernetes as peer
from tests.performance.processes import ROOT, Operator, await_start, operator
from tests.performance.site import CRD, NAMESPACE, Bench, bench
from tests.performance.workload import session_manifest
from tests.support.audit import WRITES
from tests.support.bed import pod_status
from tests.support.cluster import Cluster, Json

WORKERS: Final = 2
MOST: Final = 8
PODS: Final = 1 + WORKERS
USER: Final = "measured-operator"
DEADLINE_SECONDS: Final = 300.0
START_SECONDS: Final = 60.0
SETTLED_SECONDS: Final = 15.0
"""Without a write of the operator for so long, all is done; longer than the peer's own timers."""


@dataclass(frozen=True)
class Contender:
    """One operator and what it is asked for.

    Attributes:
        name: for the table.
        crds: its kinds.
        running: runs its operator, ready to work, for as long as a block.
        manifests: what stands for these clusters.
    """

    name: str
    crds: list[Path]
    running: Callable[[Bench, Path], contextlib.AbstractContextManager[Operator]]
    manifests: Callable[[Sequence[str]], list[Json]]


@dataclass(frozen=True)
class Result:
    """What one contender took for `clusters` clusters.

    Attributes:
        requests: the operator's from the first cluster until all is settled, watches apart.
        writes: those of them that changed something.
        by_others: writes of Kubernetes' own controllers in the namespace meanwhile.
        seconds: from the first cluster's arrival to the operator's last write before pods ran.
        cpu_seconds: of the operator in the time of `requests`.
        megabytes: peak resident size, 10^6 bytes.
        idle_requests: the operator's in `idle_seconds` without any change.
        crd_bytes: of the kinds, as YAML.
        kinds: requests by verb and resource.
    """

    name: str
    clusters: int
    requests: int
    writes: int
    by_others: int
    seconds: float
    cpu_seconds: float
    megabytes: float
    idle_seconds: float
    idle_requests: int
    idle_cpu_seconds: float
    crd_bytes: int
    kinds: dict[str, int] = field(default_factory=dict)


def measure(contender: Contender, clusters: int, idle: float, folder: Path) -> Result:
    """Let one contender work."""
    with bench(folder, contender.crds) as site:
        plane, cluster = site.plane, Cluster(site.plane.kubeconfig)
        kubeconfig = plane.user_kubeconfig(USER, ["system:masters"])
        with contender.running(site, kubeconfig) as running:
            before, cpu = len(_asked(plane)), running.cpu_seconds()
            others = _by_others(plane)
            names = [f"analysis-{number:03d}" for number in range(clusters)]
            for manifest in contender.manifests(names):
                cluster.create(manifest)
            seconds = _await_pods(plane, cluster, clusters)
            _settle(plane)
            asked = _asked(plane)[before:]
            cpu = running.cpu_seconds() - cpu
            others = _by_others(plane) - others
            idle_before, idle_cpu = len(_asked(plane)), running.cpu_seconds()
            time.sleep(idle)  # the time itself is what is looked at
            return Result(
                name=contender.name,
                clusters=clusters,
                requests=len(asked),
                writes=sum(event["verb"] in WRITES for event in asked),
                by_others=others,
                seconds=seconds,
                cpu_seconds=cpu,
                megabytes=running.peak_megabytes(),
                idle_seconds=idle,
                idle_requests=len(_asked(plane)) - idle_before,
                idle_cpu_seconds=running.cpu_seconds() - idle_cpu,
                crd_bytes=sum(path.stat().st_size for path in contender.crds),
                kinds=_kinds(asked),
            )


def contenders(folder: Path) -> list[Contender]:
    """Return casita, dask-kubernetes, and dask-kubernetes whose clusters follow their work.

    The last needs root, for a hosts file of its own.
    """
    found = [
        Contender("casita, adaptive", [CRD], _casita, _sessions),
        Contender("dask-kubernetes, fixed size", peer.kinds(), _peer, _clusters),
    ]
    return [*found, _adaptive_peer(folder)] if os.geteuid() == 0 else found


def compare(clusters: int, idle: float, output: Path, folder: Path) -> str:
    """Let all of them work, one after the other; write and return the figures.

    Args:
        clusters: of each.
        idle: seconds to look at each when it is done.
        output: for `peers.md` and `peers.json`.
        folder: for keys and logs.
    """
    results = []
    output.mkdir(parents=True, exist_ok=True)
    for number, contender in enumerate(contenders(folder)):
        sys.stderr.write(f"{time.strftime('%H:%M:%S')} {contender.name}\n")
        results.append(measure(contender, clusters, idle, folder / f"peer-{number}"))
        data = json.dumps([asdict(result) for result in results], indent=1)
        (output / "peers.json").write_text(data + "\n")
    text = f"# {clusters} clusters of {WORKERS} workers, idle for {idle:g} s\n\n{table(results)}"
    (output / "peers.md").write_text(text)
    return text


@contextlib.contextmanager
def _casita(site: Bench, kubeconfig: Path) -> Iterator[Operator]:
    with operator(site.config, kubeconfig, site.log) as running:
        await_start(running, site.log)
        yield running


def _sessions(names: Sequence[str]) -> list[Json]:
    found = [session_manifest(NAMESPACE, name) for name in names]
    for manifest in found:
        pool = {"pool": "local", "min": WORKERS, "max": MOST}
        manifest["spec"] = {"user": "alice", "workers": [pool]}
    return found


@contextlib.contextmanager
def _peer(site: Bench, kubeconfig: Path, hosts: Path | None = None) -> Iterator[Operator]:
    with peer.controller(kubeconfig, NAMESPACE, site.log, hosts) as running:
        watched = {"daskclusters", "daskworkergroups", "daskautoscalers", "pods", "services"}
        until(
            lambda: watched <= _watched(site.plane),
            f"dask-kubernetes watches, see {site.log}",
            seconds=START_SECONDS,
        )
        running.quiet_since()
        yield running


def _clusters(names: Sequence[str]) -> list[Json]:
    return peer.cluster_manifests(names, NAMESPACE, WORKERS)


def _adaptive_peer(folder: Path) -> Contender:
    """One Dask scheduler answers for all clusters': a hosts file leads their names to it."""
    port, dashboard = ports.free(2)
    hosts = folder / "hosts"

    @contextlib.contextmanager
    def running(site: Bench, kubeconfig: Path) -> Iterator[Operator]:
        with peer.scheduler(port, dashboard, folder / "scheduler.log"):
            hosts.write_text("127.0.0.1 localhost\n")
            with _peer(site, kubeconfig, hosts) as found:
                yield found

    def manifests(names: Sequence[str]) -> list[Json]:
        with hosts.open("a") as lines:
            lines.writelines(f"127.0.0.1 {name}-scheduler.{NAMESPACE}\n" for name in names)
        made = _clusters(names)
        for manifest in made:
            for entry in manifest["spec"]["scheduler"]["service"]["ports"]:
                entry["port"] = dashboard if entry["name"] == "http-dashboard" else port
        scalers = [peer.autoscaler_manifest(name, NAMESPACE, WORKERS, MOST) for name in names]
        return [manifest for pair in zip(made, scalers, strict=True) for manifest in pair]

    return Contender("dask-kubernetes, adaptive", peer.kinds(), running, manifests)


def _await_pods(plane: ControlPlane, cluster: Cluster, clusters: int) -> float:
    """Wait for all pods, say that they run and answer; return the seconds of the last creation."""
    began = time.monotonic()
    ready: set[str] = set()
    while len(ready) < PODS * clusters:
        if time.monotonic() - began > DEADLINE_SECONDS:
            raise TimeoutError(f"{len(ready)} pods after {DEADLINE_SECONDS:g} s")
        for pod in cluster.items("v1", "Pod", NAMESPACE):
            name = pod["metadata"]["name"]
            if name not in ready:
                status = pod_status(ready=True)
                status["conditions"].append({"type": "ContainersReady", "status": "True"})
                body = {"status": status}
                cluster.patch("v1", "Pod", name, NAMESPACE, body, subresource="status")
                ready.add(name)
    made = [e for e in _asked(plane) if e["objectRef"]["resource"] in ("pods", "deployments")]
    made = [e for e in made if e["verb"] == "create"]
    first = min(_time(e) for e in _events(plane) if _is_first(e))
    return max(map(_time, made)) - first


def _settle(plane: ControlPlane) -> None:
    """Wait until the operator has written nothing for a while."""
    count, since = -1, time.monotonic()
    while time.monotonic() - since < SETTLED_SECONDS:
        now = sum(event["verb"] in WRITES for event in _asked(plane))
        if now != count:
            count, since = now, time.monotonic()
        time.sleep(0.5)


def _events(plane: ControlPlane) -> Iterator[Json]:
    for event in plane.audit_events():
        if (event.get("objectRef") or {}).get("namespace") == NAMESPACE:
            yield event


def _asked(plane: ControlPlane) -> list[Json]:
    """Return the operator's requests, watches apart."""
    return [e for e in _events(plane) if e["user"]["username"] == USER and e["verb"] != "watch"]


def _by_others(plane: ControlPlane) -> int:
    names = (e["user"]["username"] for e in _events(plane) if e["verb"] in WRITES)
    return sum(name.startswith("system:") for name in names)


def _watched(plane: ControlPlane) -> set[str]:
    watches = (e for e in _events(plane) if e["verb"] == "watch" and e["user"]["username"] == USER)
    return {event["objectRef"]["resource"] for event in watches}


def _is_first(event: Json) -> bool:
    kinds = ("analysissessions", "daskclusters")
    return event["verb"] == "create" and event["objectRef"]["resource"] in kinds


def _time(event: Json) -> float:
    return datetime.fromisoformat(event["requestReceivedTimestamp"]).timestamp()


def _kinds(asked: Sequence[Json]) -> dict[str, int]:
    found: dict[str, int] = {}
    for event in asked:
        reference = event["objectRef"]
        parts = filter(None, (reference["resource"], reference.get("subresource")))
        what = f"{event['verb']} {'/'.join(parts)}"
        found[what] = found.get(what, 0) + 1
    return dict(sorted(found.items()))


def table(results: Sequence[Result]) -> str:
    """Return the figures side by side, as Markdown."""
    rows: list[tuple[str, Callable[[Result], str]]] = [
        ("requests per cluster", lambda r: f"{r.requests / r.clusters:.1f}"),
        ("of them writes", lambda r: f"{r.writes / r.clusters:.1f}"),
        (
            "writes of Kubernetes' controllers for it, per cluster",
            lambda r: f"{r.by_others / r.clusters:.1f}",
        ),
        ("first cluster to last pod or Deployment", lambda r: f"{r.seconds:.1f} s"),
        ("operator CPU per cluster", lambda r: f"{r.cpu_seconds * 1000 / r.clusters:.0f} ms"),
        ("operator peak resident size", lambda r: f"{r.megabytes:.0f} MB"),
        ("requests while idle, all clusters", lambda r: f"{r.idle_requests}"),
        ("operator CPU while idle", lambda r: f"{r.idle_cpu_seconds:.2f} s"),
        ("size of its CRDs", lambda r: f"{r.crd_bytes / 1000:.0f} kB"),
    ]
    lines = [
        "| | " + " | ".join(result.name for result in results) + " |",
        "|---" * (len(results) + 1) + "|",
        *(f"| {what} | " + " | ".join(map(show, results)) + " |" for what, show in rows),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.performance.peers", description=__doc__)
    parser.add_argument("--clusters", type=int, default=20)
    parser.add_argument("--idle", type=float, default=60.0)
    parser.add_argument("--output", type=Path, default=ROOT / "build/bench")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="casita-peers-") as folder:
        text = compare(options.clusters, options.idle, options.output, Path(folder))
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
