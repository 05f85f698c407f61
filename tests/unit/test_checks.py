"""The site's parts are asked again and again, and sessions hear when a verdict changes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from itertools import chain, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casita.clients.checking.request import CacheCheck, CheckAnswer, CheckReason, CheckRequest
from casita.credentials.errors import CredentialError
from casita.sessions.checks import (
    FIRST_RETRY_SECONDS,
    REPEAT_SECONDS,
    Checks,
    is_verdict,
    pause_after,
)

FINE = CheckAnswer(CheckReason.ANSWERED, "fine", 0.2)
DOWN = CheckAnswer(CheckReason.UNREACHABLE, "no connection", 0.1)
REFUSED = CheckAnswer(CheckReason.TOKEN_REFUSED, "another key", 0.1)
SILENT = CheckAnswer(CheckReason.NO_ANSWER, "no answer within 35 s", 35.0)
REQUEST = CacheCheck("xcache", 1094, "a token", "a certificate", "/store/probe")


async def never(_request: CheckRequest) -> CheckAnswer:
    raise AssertionError("nothing is there to check")


class Site:
    """A part that answers as told, on a clock that only its pauses move."""

    def __init__(self, answers: Iterable[CheckAnswer]) -> None:
        self.answers = list(answers)
        self.pauses: list[float] = []
        self.told: list[CheckAnswer | None] = []
        self.done = asyncio.Event()
        self._rest = iter(self.answers)
        self.checks = Checks({"cache": self.prepare}, self.changed, self.check, self.sleep)

    def prepare(self) -> CheckRequest:
        return REQUEST

    def changed(self) -> None:
        self.told.append(self.checks.results().get("cache"))

    async def check(self, _request: CheckRequest) -> CheckAnswer:
        return next(self._rest)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if len(self.pauses) == len(self.answers):
            self.done.set()
            await asyncio.Event().wait()


@asynccontextmanager
async def running(checks: Checks) -> AsyncIterator[None]:
    task = asyncio.create_task(checks.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def played(*answers: CheckAnswer) -> Site:
    site = Site(answers)
    async with running(site.checks), asyncio.timeout(10):
        await site.done.wait()
    return site


async def test_what_works_is_asked_about_every_minute_and_told_once() -> None:
    site = await played(FINE, FINE, FINE)
    assert site.told == [FINE]
    assert all(0.8 * REPEAT_SECONDS <= pause <= REPEAT_SECONDS for pause in site.pauses)


async def test_what_fails_is_asked_again_soon_and_then_ever_more_seldom() -> None:
    site = await played(*repeat(DOWN, 8))
    limits = [2, 4, 8, 16, 32, 60, 60, 60]
    assert all(0.8 * b <= p <= b for p, b in zip(site.pauses, limits, strict=True))
    assert site.told == [DOWN]


async def test_one_slip_of_what_works_is_not_told() -> None:
    site = await played(FINE, DOWN, FINE)
    assert site.told == [FINE]
    assert site.pauses[1] <= FIRST_RETRY_SECONDS


async def test_two_failures_in_a_row_are_told_and_so_is_the_recovery() -> None:
    site = await played(FINE, DOWN, DOWN, FINE)
    assert site.told == [FINE, DOWN, FINE]


async def test_silence_is_told_at_once() -> None:
    assert (await played(FINE, SILENT)).told == [FINE, SILENT]


async def test_another_failure_than_before_is_told_at_once() -> None:
    assert (await played(DOWN, REFUSED)).told == [DOWN, REFUSED]


async def test_the_time_that_an_answer_took_is_no_news_but_is_kept() -> None:
    slower = CheckAnswer(FINE.reason, FINE.message, 3.0)
    site = await played(FINE, slower)
    assert site.told == [FINE]
    assert site.checks.results() == {"cache": slower}


async def test_a_key_that_cannot_be_used_is_a_verdict_and_its_repair_another() -> None:
    site = Site([FINE, FINE])
    damaged = iter([CredentialError("macaroon key /key: it is empty; make it again")])

    def prepare() -> CheckRequest:
        for error in damaged:
            raise error
        return REQUEST

    site.checks = Checks({"cache": prepare}, site.changed, site.check, site.sleep)
    async with running(site.checks), asyncio.timeout(10):
        await site.done.wait()
    assert [(a.reason, a.ok) for a in site.told if a] == [
        (CheckReason.KEY_UNUSABLE, False),
        (CheckReason.ANSWERED, True),
    ]
    assert site.told[0] is not None
    assert "/key" in site.told[0].message


async def test_a_part_that_hangs_delays_no_other() -> None:
    site = Site([FINE, FINE])

    async def check(request: CheckRequest) -> CheckAnswer:
        if isinstance(request, CacheCheck) and request.host == "hangs":
            await asyncio.Event().wait()
        return FINE

    hanging = CacheCheck("hangs", 1, "", "")
    parts: dict[str, Callable[[], CheckRequest]] = {
        "schedd": lambda: hanging,
        "cache": site.prepare,
    }
    site.checks = Checks(parts, site.changed, check, site.sleep)
    async with running(site.checks), asyncio.timeout(10):
        await site.done.wait()
        assert site.checks.results().get("schedd") is None
        assert site.checks.results().get("cache") == FINE


async def test_what_is_not_configured_has_no_verdict_and_ends_nothing() -> None:
    checks = Checks({}, lambda: pytest.fail("nothing can have changed"), never)
    async with running(checks):
        assert checks.results().get("cache") is None
        assert checks.results() == {}


async def test_an_error_of_casita_itself_ends_the_checks_visibly() -> None:
    def broken() -> CheckRequest:
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup, match="unhandled"):
        await Checks({"cache": broken}, lambda: None, never).run()


@given(st.integers(min_value=1, max_value=10_000))
def test_pauses_never_leave_their_bounds(failures: int) -> None:
    assert FIRST_RETRY_SECONDS <= pause_after(failures) <= REPEAT_SECONDS
    assert pause_after(failures) <= pause_after(failures + 1)


@given(st.sampled_from(CheckReason), st.integers(min_value=1, max_value=9))
def test_the_first_answer_of_all_is_always_believed(reason: CheckReason, failures: int) -> None:
    assert is_verdict(CheckAnswer(reason, ""), None, failures)


def test_every_reason_but_one_is_a_failure() -> None:
    fine = [reason for reason in CheckReason if CheckAnswer(reason, "").ok]
    assert list(chain(fine)) == [CheckReason.ANSWERED]
