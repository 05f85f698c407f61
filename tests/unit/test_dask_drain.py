"""A worker that is told to end finishes what it began, hands over what it holds, and goes."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from distributed import Client, wait

from casita.dask.connect import client_security
from tests.unit.dask_session import DaskProcess, Session, wait_for
from tests.unit.dask_tasks import counted, gated, open_gate, runs

TASKS = 6
PROMPT_SECONDS = 10.0
"""Far below a drain of 300 s and distributed's own wait of 30 s for running tasks."""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    made = Session(tmp_path_factory.mktemp("session"), {"CASITA_DRAIN_SECONDS": "300"})
    scheduler = made.scheduler("--no-dashboard")
    try:
        wait_for(scheduler.healthy, "scheduler")
        yield made
    finally:
        made.stop()


@pytest.fixture
def client(session: Session) -> Iterator[Client]:
    with Client(session.address, security=client_security(session.client_mount.directory)) as made:
        yield made
        # Nothing that this test left unfinished may run in the next one.
        made.cancel(list(made.futures))


@pytest.fixture
def start_worker(session: Session) -> Iterator[Callable[..., DaskProcess]]:
    started: list[DaskProcess] = []

    def start(name: str, **environment: str) -> DaskProcess:
        started.append(session.worker(name, **environment))
        return started[-1]

    yield start
    for process in started:
        process.stop()


def status(client: Client, name: str) -> str | None:
    """Return a worker's state at the scheduler."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return next((worker["status"] for worker in workers if worker["name"] == name), None)


def test_each_task_runs_once_and_no_result_is_lost(
    client: Client, start_worker: Callable[..., DaskProcess], tmp_path: Path
) -> None:
    leaving, staying = start_worker("leaving"), start_worker("staying")
    client.wait_for_workers(2)
    kept = [
        client.submit(counted, str(tmp_path), f"kept{n}", n, key=f"kept{n}", workers=["leaving"])
        for n in range(TASKS)
    ]
    wait(kept, timeout=PROMPT_SECONDS)
    futures = [
        client.submit(gated, str(tmp_path), f"task{n}", n, key=f"task{n}") for n in range(TASKS)
    ]
    wait_for(lambda: sum(runs(tmp_path, f"task{n}") for n in range(TASKS)) == 2, "both busy")

    leaving.send(signal.SIGTERM)
    wait_for(lambda: status(client, "leaving") == "closing_gracefully", "the drain's begin")
    wait_for(
        lambda: len(next(iter(client.processing(workers=["leaving"]).values()))) == 1,
        "what was not begun to be given back",
    )
    assert leaving.health() == 200, "still at work"
    open_gate(tmp_path)

    assert client.gather(futures) == list(range(TASKS))
    assert leaving.exit_code(PROMPT_SECONDS) == 0
    assert client.gather(kept) == list(range(TASKS))
    started = {
        f"{kind}{n}": runs(tmp_path, f"{kind}{n}")
        for kind in ("kept", "task")
        for n in range(TASKS)
    }
    assert set(started.values()) == {1}, started
    assert staying.healthy()


def test_data_waits_for_a_worker_that_can_take_it(
    client: Client, start_worker: Callable[..., DaskProcess], tmp_path: Path
) -> None:
    last = start_worker("last")
    client.wait_for_workers(1)
    kept = client.submit(counted, str(tmp_path), "kept", 7, key="kept")
    wait(kept, timeout=PROMPT_SECONDS)
    last.send(signal.SIGTERM)
    wait_for(last.logged("no other worker can take over"), "the worker to wait")
    start_worker("successor")
    assert last.exit_code() == 0
    assert kept.result(timeout=PROMPT_SECONDS) == 7
    assert runs(tmp_path, "kept") == 1


def test_the_deadline_ends_a_drain(
    client: Client, start_worker: Callable[..., DaskProcess], tmp_path: Path
) -> None:
    slow = start_worker("slow", CASITA_DRAIN_SECONDS="0.5")
    client.wait_for_workers(1)
    future = client.submit(gated, str(tmp_path), "endless", key="endless")
    wait_for(lambda: runs(tmp_path, "endless"), "the task's begin")
    slow.send(signal.SIGTERM)
    assert slow.exit_code(PROMPT_SECONDS) == 0
    assert "not drained within 0.5 s (1 tasks running)" in slow.output()
    assert future.status == "pending", "the task is run again by the next worker"


def test_a_second_signal_ends_a_worker_at_once(
    client: Client, start_worker: Callable[..., DaskProcess], tmp_path: Path
) -> None:
    stubborn = start_worker("stubborn")
    client.wait_for_workers(1)
    future = client.submit(gated, str(tmp_path), "endless", key="endless2")
    wait_for(lambda: runs(tmp_path, "endless"), "the task's begin")
    stubborn.send(signal.SIGTERM)
    wait_for(lambda: status(client, "stubborn") == "closing_gracefully", "the drain's begin")
    stubborn.send(signal.SIGTERM)
    assert stubborn.exit_code(PROMPT_SECONDS) == 0
    assert future.status == "pending"


def test_a_task_that_nobody_wants_any_more_is_not_waited_for(
    client: Client, start_worker: Callable[..., DaskProcess], tmp_path: Path
) -> None:
    idle = start_worker("idle")
    client.wait_for_workers(1)
    future = client.submit(gated, str(tmp_path), "cancelled", key="cancelled")
    wait_for(lambda: runs(tmp_path, "cancelled"), "the task's begin")
    future.cancel()
    wait_for(lambda: not any(client.processing().values()), "the task to be cancelled")
    idle.send(signal.SIGTERM)
    assert idle.exit_code(PROMPT_SECONDS) == 0


def test_a_worker_that_never_met_a_scheduler_ends_at_once(tmp_path: Path) -> None:
    session = Session(tmp_path)
    try:
        worker = session.worker("lonely")
        wait_for(lambda: worker.health() == 503, "the health endpoint")
        worker.send(signal.SIGTERM)
        assert worker.exit_code(PROMPT_SECONDS) == 0
    finally:
        session.stop()


@pytest.mark.parametrize(
    "order",
    [
        ("worker SIGTERM", "closing_gracefully", "scheduler SIGKILL"),
        ("scheduler SIGTERM", "Stopping worker", "worker SIGTERM"),
    ],
)
def test_when_its_scheduler_goes_a_busy_worker_ends_at_once(
    tmp_path: Path, order: tuple[str, str, str]
) -> None:
    session = Session(tmp_path)
    try:
        scheduler, worker = session.scheduler("--no-dashboard"), session.worker("worker")
        wait_for(worker.healthy, "worker")
        security = client_security(session.client_mount.directory)
        with Client(session.address, security=security, timeout=5) as client:
            future = client.submit(gated, str(tmp_path), "endless", key="endless")
            wait_for(lambda: runs(tmp_path, "endless"), "the task's begin")
            first, seen, then = order
            send(first, scheduler, worker)
            wait_for(
                lambda: seen in worker.output() or status(client, "worker") == seen,
                f"{seen} after {first}",
            )
            send(then, scheduler, worker)
            assert worker.exit_code(PROMPT_SECONDS) == 0
            assert future.key == "endless"
    finally:
        session.stop()


def send(what: str, scheduler: DaskProcess, worker: DaskProcess) -> None:
    """Send a signal, as in ``worker SIGTERM``."""
    process, signum = what.split()
    (worker if process == "worker" else scheduler).send(signal.Signals[signum])
