"""A key that is replaced, or goes missing, is noticed while the operator runs."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress

from casita.credentials.errors import SigningKeyError
from casita.credentials.token import SigningKey
from casita.sessions.key_watch import KeyWatch
from casita.sessions.token_keys import Material

OLD = Material(idtoken=SigningKey(b"old", "a"))
NEW = Material(idtoken=SigningKey(b"new", "b"))
GONE = SigningKeyError("there is no such file")


async def looks(*found: Material | SigningKeyError) -> list[int]:
    """Return after how many looks a change was told."""
    told: list[int] = []
    seen = 0
    rest: Iterator[Material | SigningKeyError] = iter(found)
    over = asyncio.Event()

    def read() -> Material:
        nonlocal seen
        seen += 1
        answer = next(rest)
        if isinstance(answer, SigningKeyError):
            raise answer
        return answer

    async def sleep(_seconds: float) -> None:
        if seen == len(found):
            over.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(KeyWatch(read, lambda: told.append(seen), sleep).run())
    async with asyncio.timeout(5):
        await over.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return told


async def test_a_replaced_key_is_told_once() -> None:
    assert await looks(OLD, OLD, NEW, NEW, NEW) == [3]


async def test_a_key_that_goes_missing_is_told_and_so_is_its_return() -> None:
    assert await looks(OLD, GONE, GONE, OLD) == [2, 4]


async def test_keys_that_stay_are_not_told() -> None:
    assert await looks(OLD, OLD, OLD) == []
