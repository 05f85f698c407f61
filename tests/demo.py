"""The demonstration: a session on a real cluster turns real CMS events into a plot.

Brings the facility up if need be, makes a session from ``docs/examples/session.yaml``, runs
``docs/examples/dimuon.py`` in a pod beside it, as in a user's notebook, with all data coming
through the cache by the session's own token; reads a large file that the cache has never seen, and
once more. With SERVICES=1 it goes on to inference and tracking. Then a user logs in to the hub by a
real browser and makes a first plot there. Pictures and a report are left under ``build/demo``. The
cluster stays up for a look around; `make down` ends it.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import yaml

from casita.api.names import slug
from tests import facility, origin
from tests.cluster.access import image_references
from tests.cluster.images import services_wanted
from tests.cluster.locations import REPOSITORY
from tests.cluster.steps import Steps
from tests.demo_login import how_to_look, show_a_login
from tests.demo_services import show_services
from tests.support import kubectl
from tests.support.notebook import notebook_pod
from tests.support.reading import TIMED

OUTPUT = REPOSITORY / "build/demo"
EXAMPLES = REPOSITORY / "docs/examples"
DATA = "root://xcache//store/nanoaod"
RESULTS = "/tmp/demo"
METRICS = (
    f"/api/v1/namespaces/{facility.NAMESPACE}/services/casita-operator-metrics:8080/proxy/metrics"
)
CACHE_METRICS = (
    f"/api/v1/namespaces/{facility.NAMESPACE}/services/casita-xcache-metrics:9100/proxy/metrics"
)
LARGE_BYTES = 100 * 2**20


def main() -> int:
    """Run the demonstration."""
    steps = Steps()
    subprocess.run([sys.executable, "-m", "tests.cluster", "up"], check=True)
    facility.install(steps)
    session = yaml.safe_load((EXAMPLES / "session.yaml").read_text())
    namespace, name = session["metadata"]["namespace"], session["metadata"]["name"]
    withdraw(namespace, name, steps)
    before = requests_made()
    began = time.monotonic()
    kubectl.run("apply", "-f", str(EXAMPLES / "session.yaml"))
    ready_seconds = follow(namespace, name, steps)
    pod = start_notebook(namespace, name, steps)
    steps.say("running docs/examples/dimuon.py on the session's workers, then locally ...")
    command = ("python", "/tmp/dimuon.py", "--data", DATA, "--output", RESULTS, "--workers", "2")
    kubectl.write_file(namespace, pod, "/tmp/dimuon.py", (EXAMPLES / "dimuon.py").read_bytes())
    print(kubectl.execute(namespace, pod, *command, timeout=600))
    analysis_ended = time.monotonic() - began
    steps.say("reading a file that is new to the cache, and once more ...")
    reads = read_twice(namespace, pod)
    kubectl.fetch(namespace, pod, RESULTS, OUTPUT)
    figures: dict[str, float | int] = {
        "session ready after, s": round(ready_seconds, 1),
        "session to last result, s": round(analysis_ended, 1),
        "Kubernetes API requests by the operator": requests_made() - before,
        **(services_shown(session, pod, steps) if services_wanted() else {}),
        **asyncio.run(show_a_login(OUTPUT, steps)),
        "whole demonstration, s": round(steps.elapsed(), 1),
    }
    report(figures, reads)
    made = sorted(str(file.relative_to(REPOSITORY)) for file in OUTPUT.iterdir())
    steps.say(f"done: {', '.join(made)}")
    for line in how_to_look():
        steps.say(line)
    steps.say("the cluster is up; `make status` tells of it, `make down` ends it")
    return 0


def services_shown(session: dict[str, Any], pod: str, steps: Steps) -> dict[str, float | int]:
    """Show inference and tracking; return their figures."""
    namespace, user = session["metadata"]["namespace"], session["spec"]["user"]
    return asyncio.run(show_services(namespace, pod, user, RESULTS, OUTPUT, steps))


def withdraw(namespace: str, name: str, steps: Steps) -> None:
    """Remove what an earlier run left, so that this one shows a session from its beginning."""
    pod = f"notebook-{slug(namespace, name)}"
    kubectl.run("-n", namespace, "delete", "pod", pod, "--ignore-not-found")
    gone = kubectl.run("-n", namespace, "delete", "asess", name, "--ignore-not-found")
    if gone:
        selector = f"casita.dev/session={slug(namespace, name)}"
        with steps.step("an earlier session of this name goes"):
            kubectl.run("-n", namespace, "wait", "--for=delete", "pod,secret", "-l", selector)


def follow(namespace: str, name: str, steps: Steps) -> float:
    """Tell how the session comes up, until it is ready; return the seconds that took."""
    began = time.monotonic()
    told = ""
    while time.monotonic() - began < 300:
        answer = kubectl.run("-n", namespace, "get", "asess", name, "-o", "json")
        conditions = json.loads(answer).get("status", {}).get("conditions", [])
        ready = next((c for c in conditions if c["type"] == "Ready"), None)
        if ready and ready["message"] != told:
            told = ready["message"]
            steps.say(f"session {name}: {ready['reason']}: {told}")
        if ready and ready["status"] == "True":
            return time.monotonic() - began
        time.sleep(0.2)
    raise SystemExit(explain(namespace, name))


def start_notebook(namespace: str, name: str, steps: Steps) -> str:
    """Start the user's pod beside the session; return its name."""
    pod = notebook_pod(namespace, name, image_references()["notebook"])
    kubectl.run("apply", "-f", "-", stdin=json.dumps(pod))
    pod_name: str = pod["metadata"]["name"]
    with steps.step("a notebook's pod starts beside the session"):
        kubectl.run("-n", namespace, "wait", "--for=condition=Ready", f"pod/{pod_name}")
    return pod_name


def requests_made() -> int:
    """Return how many requests the operator has made to the Kubernetes API, watches apart."""
    return int(metric(METRICS, "casita_kubernetes_requests_total{"))


def metric(source: str, beginning: str) -> float:
    """Return the sum of the samples that begin so."""
    lines = kubectl.run("get", "--raw", source).decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(beginning))


def read_twice(namespace: str, pod: str) -> list[dict[str, Any]]:
    """Read a large file that only the origin has, and again when the cache has it too.

    Returns:
        Of the cold read and the warm one: its rate, and where its bytes were.
    """
    path = f"/store/demo/{uuid4().hex}"
    make = f"import os; os.makedirs('/files/store/demo', exist_ok=True); open('/files{path}', 'wb')"
    fill = f"{make}.write(os.urandom({LARGE_BYTES}))"
    kubectl.execute(origin.NAMESPACE, f"deploy/{origin.NAME}", "python3", "-c", fill)
    try:
        return [read_once(namespace, pod, path, which) for which in ("cold", "warm")]
    finally:
        remove = ("rm", f"/files{path}")
        kubectl.execute(origin.NAMESPACE, f"deploy/{origin.NAME}", *remove)


def read_once(namespace: str, pod: str, path: str, which: str) -> dict[str, Any]:
    """Read a file of the origin in the notebook; say how, in figures."""
    before = cache_counts()
    answer = kubectl.execute(namespace, pod, "python", "-c", TIMED, f"root://xcache/{path}")
    read = json.loads(answer)
    # The cache tells of a file some seconds after it was closed.
    deadline = time.monotonic() + 60
    while (served := difference(cache_counts(), before))["bytes"] < read["bytes"]:
        if time.monotonic() > deadline:
            raise SystemExit(f"the cache has not told of {path}; it says {served}")
        time.sleep(1)
    return {"read": which, "MB/s": round(read["bytes"] / read["seconds"] / 1e6, 1), **served}


def cache_counts() -> dict[str, int]:
    """Return what the cache has served since it began."""
    kinds = {kind: f'casita_xcache_bytes_total{{kind="{kind}"}}' for kind in ("hit", "miss")}
    hit, miss = (int(metric(CACHE_METRICS, name)) for name in kinds.values())
    hits = int(metric(CACHE_METRICS, 'casita_xcache_accesses_total{result="hit"}'))
    stored = int(metric(CACHE_METRICS, 'casita_xcache_bytes_total{kind="stored"}'))
    return {"bytes": hit + miss, "fetched from the origin": stored, "files served as hits": hits}


def difference(after: dict[str, int], before: dict[str, int]) -> dict[str, int]:
    """Return what was added."""
    return {what: count - before[what] for what, count in after.items()}


def report(figures: dict[str, float | int], reads: list[dict[str, Any]]) -> None:
    """Add the facility's figures to the analysis' own report."""
    path = OUTPUT / "report.json"
    analysis: dict[str, Any] = json.loads(path.read_text())
    path.write_text(json.dumps({**analysis, "facility": figures, "cache": reads}, indent=1))
    lines = ["", "## The facility", "", "| what | figure |", "|---|---|"]
    lines += [f"| {what} | {figure} |" for what, figure in figures.items()]
    lines += ["", "## The data cache", "", f"A file of {LARGE_BYTES:,} bytes, in the notebook.", ""]
    lines += [f"| {' | '.join(reads[0])} |", "|---" * len(reads[0]) + "|"]
    lines += [f"| {' | '.join(str(value) for value in read.values())} |" for read in reads]
    text = OUTPUT / "report.md"
    text.write_text(text.read_text() + "\n".join(lines) + "\n")
    print("\n".join(lines))


def explain(namespace: str, name: str) -> str:
    """Gather what tells why a session did not come up."""
    asked: list[Callable[[], bytes]] = [
        lambda: kubectl.run("-n", namespace, "describe", "asess", name),
        lambda: kubectl.run("-n", namespace, "get", "pods", "-o", "wide"),
        lambda: kubectl.run(
            "-n", facility.NAMESPACE, "logs", "deploy/casita-operator", "--tail=50"
        ),
    ]
    said = []
    for ask in asked:
        try:
            said.append(ask().decode())
        except kubectl.KubectlError as error:
            said.append(str(error))
    return f"the session did not become ready within 5 minutes\n{'-' * 40}\n" + "\n".join(said)


if __name__ == "__main__":
    sys.exit(main())
