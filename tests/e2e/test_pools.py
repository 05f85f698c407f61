"""Pools on Kubernetes and HTCondor: workers that come, go and are taken away, and lose no work."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from casita.api.names import slug
from tests.cluster.locations import REPOSITORY
from tests.e2e.conftest import NAMESPACE, MakeSession, RunIn, ready
from tests.facility import NAMESPACE as SYSTEM
from tests.support import kubectl
from tests.support.cluster import SESSION, Cluster, condition, eventually
from tests.support.pool import ACCESS_POINT

Notebook = Callable[..., RunIn]

LOCAL = {"pool": "local", "max": 1, "memoryMiB": 1024}
BATCH = {
    "pool": "batch",
    "backend": "HTCondor",
    "max": 3,
    "cores": 1,
    "memoryMiB": 768,
    "diskMiB": 128,
}

MIXED = """
import json, pathlib
from distributed import get_worker
# As if it were typed here: what is in a module of the notebook's, workers could not import.
program = pathlib.Path("/tmp/dimuon.py").read_text().partition("if __name__")[0]
exec(compile(program, "dimuon.py", "exec"))
data = "root://xcache//store/nanoaod"
client = Client()
client.wait_for_workers(1, timeout=120)

def work(index):
    import time
    get_worker().log_event("starts", (index, str(get_worker().name)))
    time.sleep(2)
    return index

futures = client.map(work, range(60), pure=False, priority=-1)  # beside the analysis
expected, _ = analyse(processor.IterativeExecutor(status=False), data, 20)
rounds, wrong = 0, []
while not pathlib.Path("/tmp/stop").exists():
    # coffea names tasks by their code, and Dask may still be forgetting those of the last round.
    Dimuon.round = rounds
    result, _ = on_workers(client, data, 20, Stopwatch())
    wrong += differences(result, expected)
    rounds += 1
    pathlib.Path("/tmp/rounds").write_text(str(rounds))
print(json.dumps({
    "results": sorted(client.gather(futures)),
    "starts": [start for _, start in client.get_events("starts")],
    "rounds": rounds,
    "wrong": wrong,
}))
"""

ADAPT = """
import json, time
from distributed import Client, get_worker
client = Client()

def work(index):
    import time
    time.sleep(3)
    return index, str(get_worker().name)

answer = client.gather(client.map(work, range({count}), pure=False))
workers = sorted({{worker for _, worker in answer}})
print(json.dumps({{"results": sorted(index for index, _ in answer), "workers": workers}}))
"""

BY_HAND = """
import json
from casita.dask import Cluster
from distributed import Client
with Cluster() as cluster:
    cluster.scale(batch=1)
    cluster.wait_for_workers(1, timeout=120)
    with Client(cluster) as client:
        total = client.submit(sum, range(100)).result(timeout=60)
    print(json.dumps({"total": total, "text": repr(cluster)}))
"""


def jobs(session: str) -> list[dict[str, Any]]:
    """Return the jobs of a session as the schedd's own tools tell them."""
    uid = kubectl.run("-n", NAMESPACE, "get", "asess", session, "-o", "jsonpath={.metadata.uid}")
    return jobs_of(uid.decode())


def jobs_of(uid: str) -> list[dict[str, Any]]:
    """Return the jobs of the session with this uid."""
    constraint = f'CasitaSession == "{uid}"'
    command = ("condor_q", "-allusers", "-constraint", constraint, "-json")
    return list(json.loads(kubectl.execute(SYSTEM, ACCESS_POINT, *command) or "[]"))


def states(session: str) -> list[int]:
    """Return HTCondor's JobStatus of each of a session's jobs: 1 idle, 2 running, 5 held."""
    return [job["JobStatus"] for job in jobs(session)]


def pool(cluster: Cluster, session: str, name: str) -> dict[str, int]:
    """Return the counts of one of a session's pools."""
    found = cluster.get(*SESSION, session, NAMESPACE)["status"]["workers"]
    return next(entry for entry in found if entry["pool"] == name)


def scale(session: str, replicas: int) -> None:
    kubectl.run("-n", NAMESPACE, "scale", "asess", session, f"--replicas={replicas}")


@pytest.mark.timeout(600)
async def test_an_analysis_on_a_mixed_pool_survives_whatever_happens_to_its_workers(
    cluster: Cluster, make_session: MakeSession, notebook: Notebook
) -> None:
    name = make_session(replicas=1, workers=[LOCAL, BATCH])
    prefix = await ready(cluster, name, workers=1)
    run = notebook(name)
    pod = run("import socket; print(socket.gethostname())").strip()
    example = (REPOSITORY / "docs/examples/dimuon.py").read_bytes()
    kubectl.write_file(NAMESPACE, pod, "/tmp/dimuon.py", example)
    work = asyncio.create_task(asyncio.to_thread(run, MIXED, 500))

    def rounds() -> int:
        assert not work.done(), work.result()
        listed = kubectl.execute(NAMESPACE, pod, "ls", "/tmp")
        return (
            int(kubectl.execute(NAMESPACE, pod, "cat", "/tmp/rounds")) if "rounds" in listed else 0
        )

    async def another_round() -> None:
        begun = rounds()
        await eventually(lambda: rounds() > begun, 120, what="the analysis goes on", pause=1)

    await another_round()
    scale(name, 3)  # arriving
    await ready(cluster, name, workers=3, seconds=60)
    assert states(name) == [2, 2]
    await another_round()
    evicted = jobs(name)[0]
    job = f"{evicted['ClusterId']}.{evicted['ProcId']}"
    kubectl.execute(SYSTEM, ACCESS_POINT, "condor_vacate_job", job)
    await eventually(
        lambda: any(j["NumShadowStarts"] > 1 and j["JobStatus"] == 2 for j in jobs(name)),
        120,
        what="the evicted worker is back",
        pause=1,
    )
    await another_round()
    scale(name, 2)  # retired
    await eventually(lambda: states(name) == [2], 90, what="one job retired", pause=1)
    await another_round()
    kubectl.execute(NAMESPACE, pod, "touch", "/tmp/stop")
    answer = json.loads((await work).splitlines()[-1])  # before it, coffea tells its progress
    assert answer["wrong"] == []
    assert answer["results"] == list(range(60))
    started = [index for index, _ in answer["starts"]]
    assert sorted(started) == list(range(60)), "a task was started twice"
    assert {w.removeprefix(f"{prefix}-").partition("-")[0] for _, w in answer["starts"]} == {
        "local",
        "batch",
    }
    scale(name, 0)
    await eventually(lambda: not jobs(name), 90, what="no job is left", pause=1)
    label = f"casita.dev/session={prefix},casita.dev/component=worker"
    await eventually(lambda: not cluster.items("v1", "Pod", NAMESPACE, label_selector=label), 90)


async def test_workers_follow_the_work_and_go_with_it(
    cluster: Cluster, make_session: MakeSession, notebook: Notebook
) -> None:
    name = make_session(scaling={"mode": "Adaptive"}, workers=[LOCAL, BATCH])
    await ready(cluster, name)
    run = notebook(name)
    assert pool(cluster, name, "local")["requested"] == 0
    answer = json.loads(await asyncio.to_thread(run, ADAPT.format(count=60), 240))
    assert answer["results"] == list(range(60))
    kinds = {
        worker.removeprefix(f"{slug(NAMESPACE, name)}-").partition("-")[0]
        for worker in answer["workers"]
    }
    assert kinds >= {"local", "batch"}, answer["workers"]

    def gone() -> bool:
        found = cluster.get(*SESSION, name, NAMESPACE)["status"]
        assert [entry["requested"] for entry in found["workers"]] == [0, 0], found["workers"]
        return not jobs(name)

    await eventually(gone, 180, what="the pools are empty again", pause=1)


async def test_a_user_scales_by_hand_from_the_notebook(
    cluster: Cluster, make_session: MakeSession, notebook: Notebook
) -> None:
    name = make_session(scaling={"mode": "Adaptive"}, workers=[LOCAL, BATCH])
    await ready(cluster, name)
    said = await asyncio.to_thread(notebook(name), BY_HAND, 180)
    answer = json.loads(said.splitlines()[-1])  # before it, how the workers came
    assert answer["total"] == sum(range(100))
    assert pool(cluster, name, "batch")["ready"] == 1, "closing the object changes nothing"
    assert len(jobs(name)) == 1


async def test_a_requirement_that_nothing_meets_is_told(
    cluster: Cluster, make_session: MakeSession
) -> None:
    never = {**BATCH, "requirements": 'TARGET.Machine == "nowhere"'}
    name = make_session(replicas=1, workers=[never])

    def told() -> bool:
        found = condition(cluster.get(*SESSION, name, NAMESPACE), "WorkersReady")
        assert (found["status"], found["reason"]) == ("False", "JobsWait"), found
        return "batch" in found["message"]

    await eventually(told, 120, what="the condition tells that no machine takes the job", pause=1)


async def test_a_deleted_session_leaves_no_job(cluster: Cluster, make_session: MakeSession) -> None:
    name = make_session(replicas=2, workers=[BATCH])
    await ready(cluster, name, workers=2)
    uid = cluster.get(*SESSION, name, NAMESPACE)["metadata"]["uid"]
    assert [job["JobStatus"] for job in jobs_of(uid)] == [2, 2]
    kubectl.run("-n", NAMESPACE, "delete", "asess", name, "--timeout=120s")
    await eventually(lambda: not jobs_of(uid), 60, what="no job is left", pause=1)
