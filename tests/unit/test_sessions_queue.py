"""The queue: once for any number of calls, one pass a session at a time, pauses that grow.

Time is virtual: whenever every task waits, the clock jumps to what is due next.
"""

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest

from casita.sessions.cache import SessionKey
from casita.sessions.queue import LONGEST_PAUSE_SECONDS, Queue, RetryLaterError

ALICE: SessionKey = ("casita", "alice")
BOB: SessionKey = ("casita", "bob")


class _Jumping(selectors.DefaultSelector):
    """Never waits: what the loop wanted to wait is added to its clock."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise AssertionError("nothing is due and nothing is ready: this would wait for ever")
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in which a minute takes no time."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(work)


def now() -> float:
    return asyncio.get_running_loop().time()


async def served(queue: Queue, seconds: float, workers: int = 2) -> None:
    """Let workers serve the queue for a while."""
    tasks = [asyncio.create_task(queue.work()) for _ in range(workers)]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class Passes:
    """Notes when each session had its pass; `then` says what the pass does."""

    def __init__(self, then: Callable[[SessionKey, int], Awaitable[float | None]]) -> None:
        self._then = then
        self.times: dict[SessionKey, list[float]] = {}
        self.running: set[SessionKey] = set()

    async def __call__(self, key: SessionKey) -> float | None:
        assert key not in self.running, "two passes of one session at a time"
        self.running.add(key)
        times = self.times.setdefault(key, [])
        times.append(now())
        try:
            return await self._then(key, len(times))
        finally:
            self.running.discard(key)


async def nothing_to_do(_key: SessionKey, _count: int) -> None:
    return None


async def takes_a_second(_key: SessionKey, _count: int) -> None:
    await asyncio.sleep(1)


def test_many_events_before_a_pass_are_one_pass() -> None:
    async def check() -> None:
        passes = Passes(nothing_to_do)
        queue = Queue(passes)
        for _ in range(100):
            queue.add(ALICE)
        assert len(queue) == 1
        await served(queue, 1)
        assert len(passes.times[ALICE]) == 1
        assert len(queue) == 0

    run(check())


def test_many_events_during_a_pass_are_one_more_pass_after_it() -> None:
    async def check() -> None:
        passes = Passes(takes_a_second)
        queue = Queue(passes)
        queue.add(ALICE)
        for at in (0.2, 0.4, 0.6):
            asyncio.get_running_loop().call_later(at, queue.add, ALICE)
        await served(queue, 10)
        assert passes.times[ALICE] == pytest.approx([0, 1])

    run(check())


def test_a_long_pass_delays_no_other_session() -> None:
    async def check() -> None:
        passes = Passes(takes_a_second)
        queue = Queue(passes)
        queue.add(ALICE)
        queue.add(BOB)
        await served(queue, 0.5)
        assert passes.times == {ALICE: [0], BOB: [0]}

    run(check())


@pytest.mark.parametrize("trouble", [RetryLaterError("not yet"), RuntimeError("a defect")])
def test_a_failing_session_is_tried_again_after_pauses_that_grow_to_their_bound(
    trouble: Exception,
) -> None:
    async def fails_or_not(key: SessionKey, _count: int) -> None:
        if key == ALICE:
            raise trouble

    async def check() -> None:
        passes = Passes(fails_or_not)
        queue = Queue(passes)
        queue.add(ALICE)
        asyncio.get_running_loop().call_later(30, queue.add, BOB)
        await served(queue, 600)
        times = passes.times[ALICE]
        pauses = [later - earlier for earlier, later in pairwise(times)]
        for count, pause in enumerate(pauses):
            usual = min(LONGEST_PAUSE_SECONDS, 0.2 * 2**count)
            assert 0.7 * usual <= pause <= 1.3 * usual + 1e-6
        assert max(pauses) > 0.7 * LONGEST_PAUSE_SECONDS - 1e-6
        assert passes.times[BOB] == pytest.approx([30])

    run(check())


def test_the_pause_that_a_server_asks_for_is_kept() -> None:
    async def busy(_key: SessionKey, count: int) -> None:
        if count == 1:
            raise RetryLaterError("too many requests", after=17.0)

    async def check() -> None:
        passes = Passes(busy)
        queue = Queue(passes)
        queue.add(ALICE)
        await served(queue, 100)
        assert passes.times[ALICE] == pytest.approx([0, 17])

    run(check())


def test_a_success_ends_the_pauses_growth() -> None:
    async def fails_but_once(_key: SessionKey, count: int) -> float | None:
        if count == 6:
            return 100.0
        raise RetryLaterError("not yet")

    async def check() -> None:
        passes = Passes(fails_but_once)
        queue = Queue(passes)
        queue.add(ALICE)
        await served(queue, 150)
        times = passes.times[ALICE]
        assert times[6] - times[5] == pytest.approx(100)
        assert times[7] - times[6] <= 0.2 * 1.3 + 1e-6

    run(check())


def test_a_session_is_looked_at_when_its_pass_asked_for_it() -> None:
    async def each_minute(_key: SessionKey, _count: int) -> float:
        return 60.0

    async def check() -> None:
        passes = Passes(each_minute)
        queue = Queue(passes)
        queue.add(ALICE)
        await served(queue, 150)
        assert passes.times[ALICE] == pytest.approx([0, 60, 120])

    run(check())


def test_what_a_later_pass_asks_for_takes_the_place_of_what_was_agreed() -> None:
    async def check() -> None:
        wishes = iter([10.0, 100.0, None])

        async def wish(_key: SessionKey, _count: int) -> float | None:
            return next(wishes)

        passes = Passes(wish)
        queue = Queue(passes)
        queue.add(ALICE)
        asyncio.get_running_loop().call_later(5, queue.add, ALICE)
        await served(queue, 500)
        assert passes.times[ALICE] == pytest.approx([0, 5, 105])

    run(check())


def test_times_of_many_sessions_are_kept_in_their_order() -> None:
    async def check() -> None:
        passes = Passes(nothing_to_do)
        queue = Queue(passes)
        keys = [("casita", f"s{index}") for index in range(1, 51)]
        for index, key in enumerate(keys, 1):
            queue.add_after(key, float(index * 7 % 50 + 1))  # some before what is first so far
        await served(queue, 60)
        assert {key: times for key, (times,) in passes.times.items()} == pytest.approx(
            {key: index * 7 % 50 + 1 for index, key in enumerate(keys, 1)}
        )

    run(check())


def test_a_session_that_is_often_looked_at_is_remembered_once() -> None:
    async def check() -> None:
        queue = Queue(Passes(nothing_to_do))
        queue.add_after(BOB, 1.0)
        for count in range(10_000):
            queue.add_after(ALICE, 86_400.0 + count)
        assert len(queue._heap) < 100

    run(check())
