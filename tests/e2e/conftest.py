"""The whole facility on the cluster that is up (`make e2e` sees to it)."""

import json
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from playwright.async_api import Page

from casita.api.names import slug
from tests.cluster.access import image_references, kubeconfig
from tests.facility import NAMESPACE as SYSTEM
from tests.support import kubectl
from tests.support.browser import browser
from tests.support.cluster import SESSION, Cluster, condition, eventually
from tests.support.notebook import notebook_pod

NAMESPACE = "casita"
GATEWAY = "casita-gateway"

MakeSession = Callable[..., str]
RunIn = Callable[..., str]


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    return Cluster(kubeconfig())


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """A window of a browser that nobody has used before."""
    async with browser() as found:
        yield found


@pytest.fixture
def make_session(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[MakeSession]:
    """Makes sessions with random names; explains them if the test fails; removes them."""
    made: list[str] = []

    def make(user: str = "alice", replicas: int = 1, **spec: Any) -> str:
        name = f"{user}-{uuid4().hex[:6]}"
        made.append(name)
        pool = {"pool": "local", "max": 4, "memoryMiB": 1024}
        body = {
            "user": user,
            "scaling": {"mode": "Manual"},
            "replicas": replicas,
            "scheduler": {"memoryMiB": 1024},
            "workers": [pool],
            **spec,
        }
        metadata = {"name": name, "namespace": NAMESPACE}
        api_version, kind = SESSION
        cluster.create(
            {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": body}
        )
        return name

    failed_before = request.session.testsfailed
    yield make
    if request.session.testsfailed > failed_before:
        for name in made:
            print(explain(name))
    for name in made:
        kubectl.run("-n", NAMESPACE, "delete", "asess", name, "--ignore-not-found")


@pytest.fixture
def notebook() -> Iterator[Callable[..., RunIn]]:
    """Starts a pod beside a session; returns a function that runs Python code in it."""
    pods: list[tuple[str, str]] = []

    def start(session: str, *, namespace: str = NAMESPACE, mounted: str | None = None) -> RunIn:
        name = f"notebook-{uuid4().hex[:8]}"
        image = image_references()["notebook"]
        manifest = notebook_pod(NAMESPACE, session, image, name, mounted=mounted)
        manifest["metadata"]["namespace"] = namespace
        kubectl.run("apply", "-f", "-", stdin=json.dumps(manifest))
        pods.append((namespace, name))
        wait = ("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=90s")
        kubectl.run("-n", namespace, *wait)

        def run(code: str, timeout: float = 120) -> str:
            return kubectl.execute(namespace, name, "python", "-c", code, timeout=timeout)

        return run

    yield start
    for namespace, name in pods:
        kubectl.run("-n", namespace, "delete", "pod", name, "--now", "--wait=false")


@pytest.fixture
def outside(cluster: Cluster) -> Iterator[str]:
    """A namespace that no policy of the facility knows: from there the gateway is the only way."""
    name = f"outside-{uuid4().hex[:6]}"
    cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    cluster.delete("v1", "Namespace", name)


async def ready(cluster: Cluster, name: str, workers: int = 0, seconds: float = 120) -> str:
    """Wait until a session is ready, with so many workers; return its slug."""

    def look() -> bool:
        session = cluster.get(*SESSION, name, NAMESPACE)
        assert condition(session, "Ready").get("status") == "True", session.get("status")
        assert session["status"]["replicas"] >= workers, session["status"]["workers"]
        return True

    await eventually(look, seconds, what=f"session {name} ready", pause=0.3)
    return slug(NAMESPACE, name)


def copy_secret(session: str, namespace: str) -> str:
    """Copy a session's client Secret to another namespace, as a user would carry its files."""
    name = f"{slug(NAMESPACE, session)}-client"
    secret = json.loads(kubectl.run("-n", NAMESPACE, "get", "secret", name, "-o", "json"))
    copy = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "data": secret["data"],
    }
    kubectl.run("apply", "-f", "-", stdin=json.dumps(copy))
    return name


def explain(session: str) -> str:
    """Gather what tells what became of a session."""
    label = f"casita.dev/session={slug(NAMESPACE, session)}"
    asked = [
        ("-n", NAMESPACE, "get", "asess", session, "-o", "yaml"),
        ("-n", NAMESPACE, "get", "pods", "-o", "wide", "-l", label),
        ("-n", NAMESPACE, "get", "events", "--sort-by=.lastTimestamp"),
        ("-n", NAMESPACE, "logs", "-l", label, "--tail=40", "--prefix", "--all-containers"),
        ("-n", SYSTEM, "logs", "deploy/casita-operator", "--tail=60"),
        ("-n", GATEWAY, "logs", "-l", "app.kubernetes.io/name=traefik", "--tail=20"),
    ]
    said = []
    for arguments in asked:
        try:
            said.append(f"$ kubectl {' '.join(arguments)}\n" + kubectl.run(*arguments).decode())
        except (kubectl.KubectlError, subprocess.TimeoutExpired) as error:
            said.append(str(error))
    return "\n".join(said)
