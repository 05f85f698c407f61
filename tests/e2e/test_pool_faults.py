"""What pools stand on breaks while they work: the right workers come back, and no job too many."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable

import pytest

from casita.api.names import slug
from tests.e2e.conftest import GATEWAY, NAMESPACE, MakeSession, RunIn, ready
from tests.e2e.test_pools import BATCH, LOCAL, jobs, jobs_of, scale, states
from tests.facility import NAMESPACE as SYSTEM
from tests.support import kubectl
from tests.support.cluster import SESSION, Cluster, condition, eventually
from tests.support.pool import ACCESS_POINT, POOL

Notebook = Callable[..., RunIn]

WORKERS = int(os.environ.get("CASITA_FAULT_WORKERS", "5"))
"""Attached to the scheduler that is killed; 20 need 6 GB."""
JOBS = min(2 + WORKERS // 5, 6)

RUNNING, REMOVED = 2, 3
"""HTCondor's JobStatus."""

COUNT = """
import json, time
from distributed import Client
client = Client()
client.wait_for_workers(1, timeout=120)

def work(index):
    time.sleep(0.5)
    return index

futures = client.map(work, range({count}), pure=False, retries=10)
print(json.dumps(sorted(client.gather(futures))))
"""


def uid_of(cluster: Cluster, session: str) -> str:
    return str(cluster.get(*SESSION, session, NAMESPACE)["metadata"]["uid"])


def ended_jobs(uid: str) -> int:
    """Return how many jobs of a session have left the queue."""
    constraint = f'CasitaSession == "{uid}"'
    command = ("condor_history", "-constraint", constraint, "-af", "ClusterId")
    return len(kubectl.execute(SYSTEM, ACCESS_POINT, *command).split())


async def served(cluster: Cluster, session: str, workers: int, count: int) -> None:
    """Wait until a session has all its workers, so many of them jobs, and says that it is well."""

    def look() -> bool:
        found = cluster.get(*SESSION, session, NAMESPACE)
        assert found["status"]["replicas"] == workers, found["status"]["workers"]
        told = condition(found, "WorkersReady")
        assert (told["status"], told["reason"]) == ("True", "Served"), told
        # HTCondor keeps what was removed until it gives up a machine that does not answer.
        assert [s for s in states(session) if s != REMOVED] == [RUNNING] * count, jobs(session)
        return True

    await eventually(look, 180, what=f"{workers} workers, {count} of them jobs", pause=1)


async def restart(namespace: str, label: str, *how: str) -> None:
    """Take a pod away, and wait until another one stands in its place."""

    def standing() -> set[str]:
        command = ("get", "pod", "-l", label, "-o", "json")
        pods = json.loads(kubectl.run("-n", namespace, *command))["items"]
        return {
            pod["metadata"]["uid"]
            for pod in pods
            if {"type": "Ready", "status": "True"}.items()
            <= {c["type"]: c for c in pod["status"].get("conditions", ())}.get("Ready", {}).items()
        }

    before = standing()
    kubectl.run("-n", namespace, "delete", "pod", "-l", label, *how)
    await eventually(lambda: standing() - before, 120, what=f"another {label}", pause=0.5)


def new_gateway() -> Awaitable[None]:
    return restart(GATEWAY, "app.kubernetes.io/name=traefik", "--now")


def new_machine() -> Awaitable[None]:
    label = "app.kubernetes.io/name=htcondor-ep"
    return restart(POOL, label, "--grace-period=0", "--force", "--wait=false")


@pytest.mark.timeout(480)
@pytest.mark.parametrize("fault", [new_gateway, new_machine])
async def test_work_goes_on_when_its_way_or_its_machine_is_lost(
    cluster: Cluster,
    make_session: MakeSession,
    notebook: Notebook,
    fault: Callable[[], Awaitable[None]],
) -> None:
    name = make_session(replicas=3, workers=[LOCAL, {**BATCH, "max": 2}])
    await ready(cluster, name, workers=3)
    work = asyncio.create_task(asyncio.to_thread(notebook(name), COUNT.format(count=150), 400))
    await asyncio.sleep(5)  # the fault is to meet work that runs
    assert not work.done(), work.result()
    await fault()
    assert json.loads(await work) == list(range(150))
    await served(cluster, name, workers=3, count=2)


@pytest.mark.timeout(480)
async def test_a_scheduler_that_is_killed_gets_all_its_workers_again(
    cluster: Cluster, make_session: MakeSession, notebook: Notebook
) -> None:
    pods = {**LOCAL, "max": WORKERS - JOBS, "memoryMiB": 512}
    name = make_session(replicas=WORKERS, workers=[pods, {**BATCH, "max": JOBS, "memoryMiB": 512}])
    await served(cluster, name, WORKERS, JOBS)
    before = {(job["ClusterId"], job["ProcId"]) for job in jobs(name)}
    scheduler = f"{slug(NAMESPACE, name)}-scheduler"
    kubectl.run("-n", NAMESPACE, "delete", "pod", scheduler, "--now")
    await ready(cluster, name)
    await served(cluster, name, WORKERS, JOBS)
    after = {(job["ClusterId"], job["ProcId"]) for job in jobs(name)}
    assert len(before | after) == JOBS + ended_jobs(uid_of(cluster, name)), "a job too many"
    assert json.loads(notebook(name)(COUNT.format(count=20))) == list(range(20))


async def test_an_operator_that_is_replaced_while_a_pool_grows_asks_for_no_job_twice(
    cluster: Cluster, make_session: MakeSession
) -> None:
    name = make_session(replicas=0, workers=[BATCH])
    await ready(cluster, name)
    uid = uid_of(cluster, name)
    scale(name, 3)
    await restart(SYSTEM, "app.kubernetes.io/name=casita-operator", "--now")
    await served(cluster, name, workers=3, count=3)
    assert ended_jobs(uid) == 0
    scale(name, 0)
    await eventually(lambda: not jobs_of(uid), 90, what="no job is left", pause=1)
    assert ended_jobs(uid) == 3
