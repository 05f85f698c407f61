"""dask-kubernetes' operator as it is: its package, its kinds, its controller, its autoscaler.

It gets a virtual environment of its own under ``build``; nothing of it is a dependency here.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.cluster import ports
from tests.cluster.wait import until
from tests.performance.processes import ROOT, STOP_SECONDS, Operator
from tests.support.cluster import Json

VERSION: Final = "2026.3.0"
HOME: Final = ROOT / "build/bench/peers/dask-kubernetes"

_WHERE: Final = "import dask_kubernetes; print(dask_kubernetes.__path__[0])"
_SPEC: Final = """
import json, sys
from dask_kubernetes.operator import make_cluster_spec
print(json.dumps(make_cluster_spec("NAME", n_workers=int(sys.argv[1]))))
"""
_WITH_HOSTS: Final = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'


def install() -> Path:
    """Return the environment's interpreter; made at the first call.

    Raises:
        subprocess.CalledProcessError: it could not be made.
    """
    python = HOME / "bin/python"
    done = HOME / f".installed-{VERSION}"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", str(HOME)], check=True)
        wanted = f"dask-kubernetes=={VERSION}"
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", wanted], check=True)
        done.touch()
    return python


def kinds() -> list[Path]:
    """Return the files of its CRDs, from its package."""
    folder = Path(_ask(_WHERE)) / "operator/deployment/helm/dask-kubernetes-operator/crds"
    return sorted(folder.glob("*.yaml"))


def cluster_manifests(names: Sequence[str], namespace: str, workers: int) -> list[Json]:
    """Return clusters as its own function specifies them."""
    found = []
    for name in names:
        made = json.loads(_ask(_SPEC, str(workers)).replace("NAME", name))
        made["metadata"]["namespace"] = namespace
        found.append(made)
    return found


def autoscaler_manifest(cluster: str, namespace: str, least: int, most: int) -> Json:
    """Return what lets a cluster follow its work."""
    return {
        "apiVersion": "kubernetes.dask.org/v1",
        "kind": "DaskAutoscaler",
        "metadata": {"name": cluster, "namespace": namespace},
        "spec": {"cluster": cluster, "minimum": least, "maximum": most},
    }


@contextlib.contextmanager
def controller(
    kubeconfig: Path, namespace: str, log: Path, hosts: Path | None = None
) -> Iterator[Operator]:
    """Run its controller as its image does, for as long as a block.

    Args:
        kubeconfig: as whom.
        namespace: where it works.
        log: what it writes is appended there.
        hosts: stands for the cluster's DNS: a hosts file that it alone sees, by a mount namespace,
            which takes root.
    """
    (port,) = ports.free(1)
    command = [str(install().parent / "kopf"), "run", "-m", "dask_kubernetes.operator.controller"]
    command += [f"--liveness=http://127.0.0.1:{port}/healthz", "--namespace", namespace]
    if hosts is not None:
        command = ["unshare", "--mount", "sh", "-euc", _WITH_HOSTS, "sh", str(hosts), *command]
    with _running(command, {"KUBECONFIG": str(kubeconfig)}, log) as running:
        yield running


@contextlib.contextmanager
def scheduler(port: int, dashboard_port: int, log: Path) -> Iterator[None]:
    """Run a Dask scheduler that its autoscaler can ask how many workers it wants."""
    command = [str(install()), "-m", "dask", "scheduler", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--dashboard-address", f"127.0.0.1:{dashboard_port}"]
    routes = ["distributed.http.scheduler.api", "distributed.http.scheduler.info"]
    settings = {"DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES": json.dumps(routes)}
    with _running(command, settings, log):
        until(lambda: not ports.is_free(dashboard_port), "a Dask scheduler listens", seconds=60)
        yield


@contextlib.contextmanager
def _running(command: list[str], settings: dict[str, str], log: Path) -> Iterator[Operator]:
    with log.open("ab") as sink:
        started = time.monotonic()
        process = subprocess.Popen(
            command, env={**os.environ, **settings}, stdout=sink, stderr=sink
        )
    try:
        yield Operator(process.pid, started, 0)
        if process.poll() is not None:
            raise RuntimeError(f"{command[0]} ended with {process.returncode}; see {log}")
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ask(program: str, *arguments: str) -> str:
    command = [str(install()), "-c", program, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
