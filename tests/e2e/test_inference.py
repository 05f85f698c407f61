"""Sessions score events by models on the facility's inference server, and nobody else does."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests import services
from tests.cluster.access import image_references
from tests.cluster.locations import REPOSITORY
from tests.e2e.conftest import NAMESPACE, MakeSession, RunIn, ready
from tests.facility import image_values, rollback, upgrade
from tests.support import kubectl
from tests.support.cluster import SESSION, Cluster, condition, eventually
from tests.support.prometheus import of_the_cluster

Values = dict[str, Any]

EXAMPLE = REPOSITORY / "docs/examples/inference.py"
MODEL = REPOSITORY / "docs/examples/models/dimuon/1/model.py"
SERVER = "casita-triton-default"
RUN = """
import subprocess, sys
options = ["--model", "/tmp/model.py", "--output", "/tmp/inference", "--workers", "2"]
subprocess.run([sys.executable, "/tmp/inference.py", *options], check=True, stdout=sys.stderr)
print(open("/tmp/inference/inference.json").read())
"""
CONNECT = """
import socket, sys
host, _, port = {url!r}.rpartition(":")
try:
    socket.create_connection((host, int(port)), timeout=5)
except OSError as error:
    print(type(error).__name__)
else:
    print("connected")
"""
LOAD = """
import concurrent.futures, json, time
import numpy as np
from casita.access import inference
from tritonclient.grpc import InferInput
client = inference.client()
events = np.full((4096, 2), 40.0, dtype=np.float32)
inputs = []
for name in ("pt", "eta", "phi", "mass"):
    column = InferInput(name, list(events.shape), "FP32")
    column.set_data_from_numpy(events)
    inputs.append(column)
deadline = time.monotonic() + {seconds}
def score(_):
    done = 0
    while time.monotonic() < deadline:
        assert client.infer("dimuon", inputs).as_numpy("score").shape == (4096, 1)
        done += 1
    return done
with concurrent.futures.ThreadPoolExecutor({at_once}) as threads:
    print(json.dumps(sum(threads.map(score, range({at_once})))))
"""


@pytest.fixture
def changed() -> Iterator[Callable[[Values], None]]:
    """Changes the facility's values, and takes the change back."""
    changes = 0

    def change(values: Values) -> None:
        nonlocal changes
        upgrade(values, wait=False)
        changes += 1

    yield change
    for _ in range(changes):
        rollback()


def pods_ready(cluster: Cluster) -> int:
    deployment = cluster.get("apps/v1", "Deployment", SERVER, services.INFERENCE)
    return int(deployment["status"].get("readyReplicas") or 0)


async def test_workers_score_events_as_the_model_at_home_does(
    cluster: Cluster, make_session: MakeSession, notebook: Callable[..., RunIn]
) -> None:
    name = make_session(replicas=2)
    await ready(cluster, name, workers=2)
    run = notebook(name)
    for path, source in (("inference.py", EXAMPLE), ("model.py", MODEL)):
        run(f"open('/tmp/{path}', 'w').write({source.read_text()!r})")
    facts = json.loads(run(RUN, 300))
    assert sum(facts["events"].values()) > 50
    assert facts["largest_difference"] < 1e-5


async def test_only_sessions_that_may_reach_the_server(
    cluster: Cluster, make_session: MakeSession, notebook: Callable[..., RunIn]
) -> None:
    session = make_session(replicas=0)
    await ready(cluster, session)
    run = notebook(session)
    url = run("import os; print(os.environ['TRITON_URL'])").strip()
    assert run(CONNECT.format(url=url)).strip() == "connected"
    straight = f"{SERVER}.{services.INFERENCE}.svc"
    for port in (8000, 8001, 8002):
        assert run(CONNECT.format(url=f"{straight}:{port}")).strip() != "connected", port
    other = make_session("bob", 0, profile="closed")
    await ready(cluster, other)
    pod = f"{await ready(cluster, other)}-scheduler"
    found = kubectl.execute(NAMESPACE, pod, "python", "-c", CONNECT.format(url=url))
    assert found.strip() != "connected"


async def test_a_server_killed_under_requests_fails_none(
    cluster: Cluster, make_session: MakeSession, notebook: Callable[..., RunIn]
) -> None:
    name = make_session(replicas=0)
    await ready(cluster, name)
    run = notebook(name)
    load = asyncio.create_task(asyncio.to_thread(run, LOAD.format(seconds=30, at_once=2), 120))
    await asyncio.sleep(8)
    label = "app.kubernetes.io/name=triton"
    kubectl.run(
        "-n", services.INFERENCE, "delete", "pod", "-l", label, "--grace-period=0", "--force"
    )
    assert int(await load) > 10


async def test_pods_follow_a_burst_of_requests_and_return(
    cluster: Cluster, make_session: MakeSession, notebook: Callable[..., RunIn]
) -> None:
    name = make_session(replicas=0)
    await ready(cluster, name)
    run = notebook(name)
    await eventually(lambda: pods_ready(cluster) == 1, 180, what="one pod while nobody asks")
    load = asyncio.create_task(asyncio.to_thread(run, LOAD.format(seconds=80, at_once=24), 180))
    await eventually(lambda: pods_ready(cluster) == 2, 90, what="a second pod under load")
    assert int(await load) > 100
    await eventually(lambda: pods_ready(cluster) == 1, 180, what="one pod again")


async def test_a_broken_model_is_named_and_leaves_the_others_in_use(
    cluster: Cluster,
    make_session: MakeSession,
    notebook: Callable[..., RunIn],
    changed: Callable[[Values], None],
) -> None:
    name = make_session(replicas=0)
    await ready(cluster, name)
    files = {"broken/config.pbtxt": "dimuon--config.pbtxt"}  # whose name is another model's
    changed({"triton": {"servers": {"default": {"repository": {"configMap": {"files": files}}}}}})
    rollout = ("rollout", "status", f"deployment/{SERVER}", "--timeout=120s")
    kubectl.run("-n", services.INFERENCE, *rollout)
    assert int(notebook(name)(LOAD.format(seconds=1, at_once=1))) > 0
    metric = 'casita_triton_model_ready{model="broken"} == 0'
    await eventually(lambda: of_the_cluster().query(metric), 60, what="Prometheus knows of it")


async def test_a_gpu_where_there_is_none_is_told_to_sessions_that_want_it(
    cluster: Cluster, make_session: MakeSession, changed: Callable[[Values], None]
) -> None:
    server = {
        "image": image_values(image_references()["triton"]),
        "repository": {"configMap": {"name": "models", "files": {"a/config.pbtxt": "a"}}},
        "extendedResources": {"nvidia.com/gpu": 1},
    }
    profile = {"inference": "gpu", "image": image_values(image_references()["notebook"])}
    changed(
        {
            "global": {"triton": {"servers": {"gpu": {"port": 8002}}}},
            "triton": {"servers": {"gpu": server}},
            "operator": {"profiles": {"gpu": profile}},
        }
    )
    kubectl.run("-n", "casita-system", "rollout", "status", "deployment/casita-operator")
    wanting, other = make_session("alice", 0, profile="gpu"), make_session("bob", 0)

    def told(name: str, status: str) -> dict[str, str]:
        session = cluster.get(*SESSION, name, NAMESPACE)
        assert condition(session, "Ready")["status"] == "True", session["status"]
        found = condition(session, "ServicesReady")
        assert found["status"] == status, found
        return found

    found = await eventually(lambda: told(wanting, "False"), 120, what="the session says so")
    assert found["reason"] == "InferenceUnreachable"
    assert "Insufficient nvidia.com/gpu" in found["message"], found
    await eventually(lambda: told(other, "True"), 60, what="others are not concerned")
