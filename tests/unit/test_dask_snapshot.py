"""What is read of a real scheduler's state: which tasks count, and which workers are held."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import Client, Future, LocalCluster, secede

from casita.dask.adaptive import Hints
from casita.dask.load import Load
from casita.dask.snapshot import Looker
from casita.dask.standing import Standing
from tests.unit.dask_session import DEADLINE_SECONDS, POLL_SECONDS
from tests.unit.dask_tasks import gated, open_gate

TARGET = 30.0


class Board:
    """A scheduler and two workers of one core in this process, and what is seen of them."""

    def __init__(self, client: Client, cluster: Any, gate: Path) -> None:
        self.client = client
        self.scheduler = cluster.scheduler
        self.gate = gate
        self.hints = Hints(self.scheduler)
        self.scheduler.add_plugin(self.hints)
        self.looker = Looker(self.scheduler, self.hints.seconds)

    @property
    def load(self) -> Load:
        return self.looker.look(TARGET)[0]

    @property
    def standings(self) -> dict[str, Standing]:
        return {worker.name: worker for worker in self.looker.look(TARGET)[1]}

    def at(self, name: str) -> list[str]:
        """Return where the worker of this name is."""
        return [w.address for w in self.scheduler.workers.values() if str(w.name) == name]

    def wait_at_gate(self, key: str, count: int = 1, **more: Any) -> list[Future]:
        futures: list[Future] = self.client.map(
            gated, [str(self.gate)] * count, [key] * count, range(count), key=key, **more
        )
        return futures

    async def until(self, condition: Callable[[], object], what: str) -> None:
        end = asyncio.get_running_loop().time() + DEADLINE_SECONDS
        while not condition():
            assert asyncio.get_running_loop().time() < end, what
            await asyncio.sleep(POLL_SECONDS)


@pytest.fixture
async def board(tmp_path: Path) -> AsyncIterator[Board]:
    with dask.config.set({"distributed.scheduler.work-stealing": False}):
        async with (
            LocalCluster(
                n_workers=2,
                threads_per_worker=1,
                processes=False,
                dashboard_address=None,
                asynchronous=True,
                silence_logs=logging.CRITICAL,
            ) as cluster,
            Client(cluster, asynchronous=True) as client,
        ):
            yield Board(client, cluster, tmp_path)
            open_gate(tmp_path)
            await client.cancel(list(client.futures))


async def test_what_can_run_counts_and_what_waits_for_it_does_not(board: Board) -> None:
    first = board.wait_at_gate("first", 7)
    after = board.client.submit(sum, first)
    await board.until(lambda: board.load.tasks == 7, "seven tasks")
    assert board.load.cores == 2
    assert {worker.tasks > 0 for worker in board.standings.values()} == {True}
    open_gate(board.gate)
    assert await after == sum(range(7))
    await board.until(lambda: board.load.tasks == 0, "the end")
    assert board.load.data_bytes > 0


async def test_a_task_of_unknown_length_holds_its_worker_and_a_short_one_does_not(
    board: Board,
) -> None:
    for number in range(4):
        await board.client.submit(gated_at_once, number, key=f"short-{number}")
    unknown = board.wait_at_gate("unknown", workers=board.at("0"))
    await board.until(lambda: board.standings["0"].tasks, "a task")
    assert board.standings["0"].engaged
    assert not board.standings["1"].engaged
    kinds = {kind.known is None: kind for kind in board.load.kinds}
    assert kinds[True].tasks == 1
    open_gate(board.gate)
    await board.client.gather(unknown)
    (board.gate / "gate").unlink()
    more = board.wait_at_gate("unknown-again", workers=board.at("1"))
    await board.until(lambda: board.standings["1"].tasks, "a task")
    open_gate(board.gate)
    await board.client.gather(more)


def gated_at_once(value: int) -> int:
    return value


async def test_a_hint_is_taken_until_tasks_have_ended(board: Board) -> None:
    with dask.annotate(expected_seconds=3600):
        futures = board.wait_at_gate("hinted", 5)
    await board.until(lambda: board.load.tasks == 5, "tasks")
    assert [kind.known for kind in board.load.kinds] == [3600.0]
    open_gate(board.gate)
    await board.client.gather(futures)
    with dask.annotate(expected_seconds="soon"):
        await board.client.submit(gated_at_once, 7, key="nonsense-1")
    assert "nonsense" not in board.hints.seconds
    assert board.load.tasks == 0
    assert board.looker._averages["hinted"] < 60


async def test_tasks_for_another_worker_bring_none_while_there_are_workers(board: Board) -> None:
    unserved = board.wait_at_gate("elsewhere", 3, workers=["nobody"])
    gpu = board.wait_at_gate("gpu", 3, resources={"GPU": 1})
    await board.until(lambda: len(board.scheduler.unrunnable) == 6, "the tasks")
    assert board.load.tasks == 0
    await board.client.cancel([*unserved, *gpu])


async def test_a_task_that_gave_its_core_back_holds_its_worker_but_wants_no_core(
    board: Board,
) -> None:
    future = board.client.submit(seceded, str(board.gate), key="seceded", workers=board.at("1"))
    await board.until(lambda: any(w.long_running for w in workers(board)), "the task to secede")
    assert board.load.tasks == 0
    assert board.standings["1"].engaged
    open_gate(board.gate)
    assert await future == 7


def seceded(gate: str) -> int:
    secede()
    return gated(gate, "seceded", 7)


def workers(board: Board) -> list[Any]:
    return list(board.scheduler.workers.values())


async def test_a_worker_with_an_actor_is_held(board: Board) -> None:
    actor = await board.client.submit(Counter, actor=True, workers=board.at("0"), key="actor")
    assert board.standings["0"].engaged
    assert not board.standings["1"].engaged
    assert await actor.up() == 1


class Counter:
    count = 0

    def up(self) -> int:
        self.count += 1
        return self.count


async def test_a_worker_that_leaves_counts_no_more(board: Board) -> None:
    board.scheduler.handle_worker_status_change(
        "closing_gracefully", workers(board)[0], stimulus_id="test"
    )
    assert board.load.cores == 1
    assert sum(worker.leaving for worker in board.standings.values()) == 1


async def test_a_look_at_many_tasks_is_quick(board: Board) -> None:
    """It runs on the scheduler's own loop every second."""
    futures = board.wait_at_gate("many", 2000)
    await board.until(lambda: board.load.tasks == 2000, "the tasks")
    clock = asyncio.get_running_loop().time
    took = []
    for _ in range(20):
        begin = clock()
        board.looker.look(TARGET)
        took.append(clock() - begin)
    assert min(took) < 0.002
    await board.client.cancel(futures)
