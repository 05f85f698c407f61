"""Workers on HTCondor: casita's pool beside dask-jobqueue's HTCondorCluster, on the same machines.

``python -m tests.performance.batch [--workers 4] [--rounds 3]`` on the cluster that is up, with
casita and its demo pool on it, and nothing else in the queue.

Both ask for the same number of equal workers at one moment. The time of each worker is that of its
registration at its own scheduler. How many submissions there were is what the schedd says: each
has a cluster number, and each of dask-jobqueue's is a ``condor_submit`` of its own. What HTCondor
does between submission and start is the same for both.
"""

import argparse
import io
import json
import statistics
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from casita.api.names import API_VERSION, KIND, SESSION_LABEL, WORKER_PORT, slug
from tests.cluster.access import image_references
from tests.cluster.wait import until
from tests.support import kubectl
from tests.support.pool import (
    COLLECTOR,
    POOL,
    SCHEDD,
    at_access_point,
    client_pod,
    signing_key,
    token,
)

NAMESPACE: Final = "casita"
USER: Final = "bench"
PROGRAM: Final = Path(__file__).with_name("jobqueue_program.py").read_text()
CORES, MEMORY_MIB, DISK_MIB = 1, 512, 64
SECONDS: Final = 180.0
PORTS: Final = "40000:40099"
"""Those that the demo pool's policies let through (``global.batch.workers``)."""


@dataclass(frozen=True)
class Round:
    """One time that workers were asked for.

    Attributes:
        came: seconds from the asking to each worker's registration, in order.
        submitted: seconds from the asking to the last job's arrival at the schedd, which tells
            whole seconds.
        started: to the last job's start.
        submissions: cluster numbers of the schedd.
    """

    came: tuple[float, ...]
    submitted: float
    started: float
    submissions: int


def casita(workers: int) -> Round:
    """Ask a session for workers, whose scheduler is there already."""
    name = f"bench-{uuid4().hex[:6]}"
    pool = {
        "pool": "batch",
        "backend": "HTCondor",
        "max": workers,
        "cores": CORES,
        "memoryMiB": MEMORY_MIB,
        "diskMiB": DISK_MIB,
    }
    spec = {"user": USER, "scaling": {"mode": "Manual"}, "replicas": 0, "workers": [pool]}
    with _session(name, spec):
        _wait(name, "Ready")
        began = time.time()
        kubectl.run("-n", NAMESPACE, "scale", f"asess/{name}", f"--replicas={workers}")
        until(lambda: len(_registered(name)) >= workers, "workers register", seconds=SECONDS)
        came = tuple(moment - began for moment in sorted(_registered(name))[:workers])
        uid = _get(f"asess/{name}", "{.metadata.uid}")
        return _round(began, came, f'CasitaSession == "{uid}"')


def jobqueue(workers: int) -> Round:
    """Let dask-jobqueue ask, whose scheduler is in its own process."""
    name = f"bench-{uuid4().hex[:6]}"
    with _client(name) as address:
        _give(name, "dask_jobqueue")
        text = token(signing_key(), USER)
        put = 'umask 077; mkdir -p "$0"; cat > "$0/token"'
        kubectl.run(*_exec(name), "sh", "-c", put, f"/tmp/{USER}", stdin=text)
        request = {
            "folder": "/tmp",
            "workers": workers,
            "seconds": SECONDS,
            "memory": f"{MEMORY_MIB}MiB",
            "disk": f"{DISK_MIB}MiB",
            "python": "/opt/casita/bin/python3",
            "host": address,
            "port": WORKER_PORT,
            "ports": PORTS,
            "where": ["-pool", COLLECTOR, "-name", SCHEDD],
            "directives": {"MY.CasitaBench": f'"{name}"'},
        }
        where = ("env", f"_condor_SEC_TOKEN_DIRECTORY=/tmp/{USER}", "PYTHONPATH=/tmp")
        line = (*_exec(name), *where, "python3", "-c", PROGRAM)
        answer = json.loads(kubectl.run(*line, stdin=json.dumps(request), timeout=2 * SECONDS))
        if len(answer["came"]) < workers:
            raise TimeoutError(f"{len(answer['came'])} of {workers} workers after {SECONDS:g} s")
        return _round(answer["began"], answer["came"], f'CasitaBench == "{name}"')


@contextmanager
def _session(name: str, spec: dict[str, Any]) -> Iterator[None]:
    manifest = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    }
    kubectl.run("apply", "-f", "-", stdin=json.dumps(manifest))
    try:
        yield
    finally:
        kubectl.run("-n", NAMESPACE, "delete", f"asess/{name}", "--timeout=120s")


@contextmanager
def _client(name: str) -> Iterator[str]:
    """Run a pod with Dask and HTCondor's programs, to which machines may connect; its address."""
    pod = client_pod(name, NAMESPACE, {"tools": image_references()["htcondor-execute"]})
    pod["metadata"]["labels"]["casita.dev/component"] = "worker"  # as which machines may dial it
    pod["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "50m", "memory": "256Mi"}}
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "podSelector": {"matchLabels": {SESSION_LABEL: name}},
            "policyTypes": ["Ingress"],
            "ingress": [
                {
                    "from": [
                        {
                            "namespaceSelector": {
                                "matchLabels": {"kubernetes.io/metadata.name": POOL}
                            }
                        }
                    ],
                    "ports": [{"protocol": "TCP", "port": WORKER_PORT}],
                }
            ],
        },
    }
    for manifest in (pod, policy):
        kubectl.run("apply", "-f", "-", stdin=json.dumps(manifest))
    try:
        target = ("-n", NAMESPACE, "wait", "--for=condition=Ready", f"pod/{name}")
        kubectl.run(*target, "--timeout=120s")
        yield _get(f"pod/{name}", "{.status.podIP}")
    finally:
        for kind in ("pod", "networkpolicy"):
            kubectl.run("-n", NAMESPACE, "delete", kind, name)


def _give(name: str, package: str) -> None:
    """Put a pure Python package, the tests' own, into the pod."""
    found = find_spec(package)
    if found is None or found.origin is None:
        raise LookupError(f"{package} is not installed here")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(Path(found.origin).parent, package)
    kubectl.run(*_exec(name), "tar", "-x", "-C", "/tmp", stdin=buffer.getvalue())


def _exec(name: str) -> tuple[str, ...]:
    return ("-n", NAMESPACE, "exec", "-i", name, "-c", "tools", "--")


def _get(what: str, path: str) -> str:
    return kubectl.run("-n", NAMESPACE, "get", what, "-o", f"jsonpath={path}").decode()


def _wait(name: str, condition: str) -> None:
    target = ("-n", NAMESPACE, "wait", f"--for=condition={condition}", f"asess/{name}")
    kubectl.run(*target, "--timeout=120s")


def _registered(name: str) -> list[float]:
    """Return when workers registered, by the log of the session's scheduler."""
    pod = f"{slug(NAMESPACE, name)}-scheduler"
    logs = kubectl.run("-n", NAMESPACE, "logs", pod, "-c", "scheduler", "--timestamps").decode()
    lines = (line for line in logs.splitlines() if "Register worker" in line)
    return [datetime.fromisoformat(line.split()[0]).timestamp() for line in lines]


def _round(began: float, came: Sequence[float], constraint: str) -> Round:
    """Add what the schedd knows of these jobs, be they in its queue or gone."""
    names = ("ClusterId", "QDate", "JobCurrentStartDate")
    ask = ("-constraint", constraint, "-af", *names)
    text = at_access_point("condor_q", "-allusers", *ask) + at_access_point("condor_history", *ask)
    jobs = [line.split() for line in text.splitlines()]
    return Round(
        came=tuple(came),
        submitted=max(int(job[1]) for job in jobs) - began,
        started=max(int(job[2]) for job in jobs if job[2].isdecimal()) - began,
        submissions=len({job[0] for job in jobs}),
    )


def _row(name: str, rounds: list[Round]) -> str:
    figures = (
        statistics.median(each.submitted for each in rounds),
        statistics.median(each.started for each in rounds),
        statistics.median(each.came[0] for each in rounds),
        statistics.median(each.came[-1] for each in rounds),
    )
    cells = " | ".join(f"{seconds:.1f} s" for seconds in figures)
    return f"| {name} | {cells} | {max(each.submissions for each in rounds)} |"


def main() -> int:
    """Measure in alternating order and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.performance.batch", description=__doc__)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    contenders: dict[str, Callable[[int], Round]] = {"casita": casita, "dask-jobqueue": jobqueue}
    rounds: dict[str, list[Round]] = {name: [] for name in contenders}
    for number in range(options.rounds):
        for name in sorted(contenders, reverse=number % 2 == 1):
            rounds[name].append(contenders[name](options.workers))
            came = ", ".join(f"{moment:.1f}" for moment in rounds[name][-1].came)
            sys.stderr.write(f"{name}: {came} s\n")
    head = "all submitted | all started | first registered | last registered | submissions"
    print(f"| {options.workers} workers | {head} |\n|---|---|---|---|---|---|")
    for name, found in rounds.items():
        print(_row(name, found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
