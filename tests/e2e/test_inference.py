"""Sessions score events by models on the facility's inference server, and nobody else does."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests import services
from tests.cluster.locations import REPOSITORY
from tests.e2e.conftest import NAMESPACE, MakeSession, RunIn, ready
from tests.support import kubectl
from tests.support.cluster import Cluster
from tests.support.login import rollback, upgrade

EXAMPLE = REPOSITORY / "docs/examples/inference.py"
MODEL = REPOSITORY / "docs/examples/models/dimuon/1/model.py"
SERVER = "casita-triton-default"
RUN = """
import subprocess, sys
options = ["--model", "/tmp/model.py", "--output", "/tmp/inference", "--workers", "2"]
subprocess.run([sys.executable, "/tmp/inference.py", *options], check=True, stdout=sys.stderr)
print(open("/tmp/inference/inference.json").read())
"""
OTHERS = "others"
"""A profile without inference."""
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
def changed() -> Iterator[Callable[[dict[str, Any]], None]]:
    """Changes the facility's values, and takes the change back."""
    changes = 0

    def change(values: dict[str, Any]) -> None:
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
