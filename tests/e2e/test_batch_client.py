"""The batch client on the demo pool: workers that are jobs, from submission to the last drain.

It runs where the operator does, in the operator's image, and is asked from here by its own words.
"""

import asyncio
import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from uuid import uuid4

import pytest

from casita.api.names import slug
from casita.clients.batch.jobs import Account, BatchError, Job, JobState, WorkerJob
from casita.clients.batch.request import (
    Operation,
    Query,
    Remove,
    Submit,
    decode_answer,
    encode,
)
from tests.cluster.access import image_references
from tests.e2e.conftest import NAMESPACE, MakeSession, RunIn, ready
from tests.support import kubectl
from tests.support.cluster import Cluster, eventually
from tests.support.pool import COLLECTOR, SCHEDD, client_pod, signing_key, token

PROGRAM = """
import asyncio, sys, time
from casita.clients.batch.htcondor import HTCondor
from casita.clients.batch.jobs import BatchError
from casita.clients.batch.request import (
    Answer, Query, Submit, decode, encode_answer, encode_error,
)

async def do(operation):
    back_end, account = HTCondor(), operation.account
    if isinstance(operation, Query):
        return Answer(await back_end.query(account, operation.session))
    if isinstance(operation, Submit):
        await back_end.submit(account, operation.job, operation.count, operation.files)
    else:
        await back_end.remove(account, operation.session, operation.ids)
    return Answer()

operation, _ = decode(sys.stdin.buffer.read())
began = time.time()
try:
    answer = encode_answer(asyncio.run(do(operation)))
except BatchError as error:
    answer = encode_error(error)
print(began, time.time())
print(answer)
"""
"""What the operator does, in a pod of the test."""

ARRIVED = """
import json
from distributed import Client
with Client() as client:
    workers = client.scheduler_info(n_workers=-1)["workers"]
    came = {event["worker"]: when for when, event in client.get_events("all")
            if event.get("action") == "add-worker"}
    print(json.dumps({worker["name"]: came[address] for address, worker in workers.items()}))
"""

BUSY = """
import json, pathlib, time
from distributed import Client, Event, get_worker
with Client() as client:
    names = {worker["name"]: address
             for address, worker in client.scheduler_info(n_workers=-1)["workers"].items()}
    def work(index):
        get_worker().log_event("starts", [index, get_worker().name])
        Event("go").wait(timeout=100)
        return index
    futures = [client.submit(work, index, workers=[names[name]], allow_other_workers=True,
                             pure=False) for index, name in enumerate(sorted(names))]
    while not pathlib.Path("/tmp/go").exists():
        time.sleep(0.1)
    Event("go").set()
    results = client.gather(futures)
    print(json.dumps({"results": results, "starts": [s for _, s in client.get_events("starts")]}))
"""


@dataclass(frozen=True)
class Times:
    """When an operation began and ended, seconds since 1970."""

    began: float
    ended: float


@dataclass(frozen=True)
class BackEndPod:
    """HTCondor's back end in a pod."""

    pod: str

    def do(self, operation: Operation) -> tuple[tuple[Job, ...], Times]:
        """Do one operation there.

        Raises:
            BatchError: as of the back end.
        """
        target = ("-n", NAMESPACE, "exec", "-i", self.pod, "-c", "wheel", "--")
        command = ("python3", "-c", PROGRAM)
        said = kubectl.run(*target, *command, stdin=encode(operation, 120), timeout=120)
        times, answer = said.decode().splitlines()[-2:]
        return decode_answer(answer).jobs, Times(*(float(text) for text in times.split()))

    def query(self, account: Account, session: str) -> tuple[Job, ...]:
        """Ask for a session's jobs."""
        return self.do(Query(account, session))[0]

    def remove(self, account: Account, session: str, *ids: str) -> None:
        """Remove jobs; all of them where none is named."""
        self.do(Remove(account, session, ids or None))


@pytest.fixture(scope="module")
def key() -> bytes:
    return signing_key()


@pytest.fixture(scope="module")
def back_end() -> Iterator[BackEndPod]:
    name = f"batch-{uuid4().hex[:8]}"
    manifest = client_pod(name, NAMESPACE, {"wheel": image_references()["operator"]})
    kubectl.run("apply", "-f", "-", stdin=json.dumps(manifest))
    kubectl.run("-n", NAMESPACE, "wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
    yield BackEndPod(name)
    kubectl.run("-n", NAMESPACE, "delete", "pod", name, "--now", "--wait=false")


@pytest.fixture
def account_of(key: bytes) -> Callable[[str], Account]:
    def make(user: str) -> Account:
        return Account(COLLECTOR, SCHEDD, f"{user}@casita.users", token(key, user))

    return make


@pytest.fixture
def job(back_end: BackEndPod, account_of: Callable[[str], Account]) -> Iterator[WorkerJob]:
    """A job of nobody's scheduler; whatever was submitted of its session is removed."""
    session = str(uuid4())
    yield WorkerJob(
        session=session,
        run="0123456789abcdef",
        slug=f"test-{uuid4().hex[:10]}",
        pool="grid",
        scheduler="tls://nowhere.dask.af.test:8786",
        cores=1,
        memory_mi_b=700,
        disk_mi_b=100,
        python="/opt/casita/bin/python3",
        drain_seconds=50,
    )
    for user in ("alice", "bob"):
        back_end.remove(account_of(user), session)


def worker_files(prefix: str) -> Mapping[str, bytes]:
    """Return a worker's certificate and key, as its session's pods have them."""
    found = json.loads(kubectl.run("-n", NAMESPACE, "get", "secret", f"{prefix}-worker", "-o=json"))
    names = ("ca.pem", "tls.crt", "tls.key")
    return {name: base64.b64decode(found["data"][name]) for name in names}


FILES = {"ca.pem": b"", "tls.crt": b"", "tls.key": b""}


async def test_jobs_become_workers_and_drain_when_they_are_removed(
    cluster: Cluster,
    make_session: MakeSession,
    notebook: Callable[..., RunIn],
    back_end: BackEndPod,
    account_of: Callable[[str], Account],
    job: WorkerJob,
) -> None:
    name = make_session("alice", replicas=0)
    await ready(cluster, name)
    run = notebook(name)
    prefix = slug(NAMESPACE, name)
    job = replace(job, slug=prefix, scheduler=f"tls://{prefix}.dask.af.test:8786")
    alice, bob, session = account_of("alice"), account_of("bob"), job.session
    _, times = back_end.do(Submit(alice, job, 2, worker_files(prefix)))

    def running() -> tuple[Job, ...]:
        found = back_end.query(alice, session)
        assert [each.state for each in found] == [JobState.RUNNING] * 2, found
        return found

    jobs = await eventually(running, 120, what="both jobs run", pause=0.3)
    names = sorted(each.worker for each in jobs)
    assert names == sorted(f"{prefix}-grid-{each.id.replace('.', '-')}" for each in jobs)
    assert {(each.pool, each.run) for each in jobs} == {("grid", job.run)}

    def arrived() -> dict[str, float]:
        found: dict[str, float] = json.loads(run(ARRIVED))
        assert sorted(found) == names
        return found

    came = await eventually(arrived, 120, what="both workers are registered", pause=0.3)
    began, ended = times.began, times.ended
    print(f"submission: {ended - began:.1f} s; registered after {max(came.values()) - began:.1f} s")
    # A figure, no limit: tests/performance/batch.py compares it with dask-jobqueue's.

    # Nobody else sees or touches them, even by their names.
    assert back_end.query(bob, session) == ()
    back_end.remove(bob, session)
    back_end.remove(bob, session, *(each.id for each in jobs))
    assert len(running()) == 2

    # One is told to end while it works: it finishes, and its task is run once.
    work = asyncio.create_task(asyncio.to_thread(run, BUSY))
    leaving = jobs[0].id
    await eventually(lambda: executing(prefix) == 2, 60, what="both work", pause=0.2)
    back_end.remove(alice, session, leaving)
    states = {each.id: each.state for each in back_end.query(alice, session)}
    assert states == {leaving: JobState.LEAVING, jobs[1].id: JobState.RUNNING}
    run("open('/tmp/go', 'w').close()")
    answer = json.loads(await work)
    assert answer["results"] == [0, 1]
    assert sorted(index for index, _ in answer["starts"]) == [0, 1], "a task was started twice"
    assert {worker for _, worker in answer["starts"]} == set(names)
    await eventually(lambda: len(back_end.query(alice, session)) == 1, 30, what="it has left")
    back_end.remove(alice, session)
    await eventually(lambda: not back_end.query(alice, session), 30, what="nothing is left")
    assert json.loads(run(ARRIVED)) == {}
    back_end.remove(alice, session)


def executing(prefix: str) -> int:
    """Count the busy workers of a session, by asking its scheduler from its own pod."""
    code = (
        "import dask; dask.config.set({'distributed.comm.tls.client.cert':"
        "'/etc/casita/tls/tls.crt','distributed.comm.tls.client.key':'/etc/casita/tls/tls.key'});"
        "from distributed import Client; c = Client('tls://127.0.0.1:8786');"
        "print(c.run_on_scheduler(lambda dask_scheduler: sum(bool(w.processing) "
        "for w in dask_scheduler.workers.values())))"
    )
    said = kubectl.run(
        "-n",
        NAMESPACE,
        "exec",
        f"{prefix}-scheduler",
        "-c",
        "scheduler",
        "--",
        "python",
        "-c",
        code,
    )
    return int(said)


async def only(
    back_end: BackEndPod, account: Account, job: WorkerJob, state: JobState, words: str
) -> Job:
    """Wait until the one job of a session is in a state, for a reason."""

    def look() -> Job:
        (found,) = back_end.query(account, job.session)
        assert found.state is state, found
        assert words in found.reason, found
        return found

    return await eventually(look, 60, what=f"the job is {state}", pause=0.3)


async def test_a_job_that_cannot_be_started_is_held_and_says_why(
    back_end: BackEndPod, account_of: Callable[[str], Account], job: WorkerJob
) -> None:
    alice = account_of("alice")
    back_end.do(Submit(alice, replace(job, python="/nowhere/python3"), 1, FILES))
    held = await only(back_end, alice, job, JobState.HELD, "exit code 127")
    assert "/nowhere/python3" in held.reason
    assert held.starts == 1
    back_end.remove(alice, job.session, held.id)
    await eventually(lambda: not back_end.query(alice, job.session), 30, what="it is gone")


async def test_a_job_that_no_machine_can_run_waits_and_says_so(
    back_end: BackEndPod, account_of: Callable[[str], Account], job: WorkerJob
) -> None:
    alice = account_of("alice")
    wish = replace(job, requirements=('Machine == "nowhere"', "Cpus >= 1"))
    back_end.do(Submit(alice, wish, 1, FILES))
    waiting = await only(back_end, alice, job, JobState.IDLE, "no match found")
    assert waiting.starts == 0
    assert 0 < waiting.queued_at <= waiting.since


def failure(back_end: BackEndPod, operation: Operation) -> BatchError:
    with pytest.raises(BatchError) as caught:
        back_end.do(operation)
    return caught.value


def test_what_the_pool_does_not_allow_is_a_refusal_in_its_own_words(
    back_end: BackEndPod, account_of: Callable[[str], Account], job: WorkerJob, key: bytes
) -> None:
    alice = account_of("alice")
    error = failure(back_end, Submit(alice, replace(job, accounting_group="nosuch"), 1, FILES))
    assert not error.outage
    assert "accounting group" in str(error)
    reader = replace(alice, token=token(key, "alice", scope="condor:/READ"))
    error = failure(back_end, Submit(reader, job, 1, FILES))
    assert not error.outage
    assert "denies alice@casita.users" in str(error)
    other = replace(alice, token=token(bytes(64), "alice"))
    error = failure(back_end, Query(other, job.session))
    assert not error.outage
    assert "signing key" in str(error)
    assert back_end.query(alice, job.session) == ()


@pytest.mark.parametrize("collector", ["192.0.2.1:9618", "nosuch.invalid:9618"])
def test_a_pool_that_cannot_be_reached_is_an_outage(
    back_end: BackEndPod, account_of: Callable[[str], Account], job: WorkerJob, collector: str
) -> None:
    error = failure(back_end, Query(replace(account_of("alice"), collector=collector), job.session))
    assert error.outage
    assert collector in str(error)


def test_a_schedd_that_the_collector_does_not_know_is_an_outage(
    back_end: BackEndPod, account_of: Callable[[str], Account], job: WorkerJob
) -> None:
    account = replace(account_of("alice"), schedd="other@casita.pool")
    error = failure(back_end, Query(account, job.session))
    assert error.outage
    assert SCHEDD in str(error)
