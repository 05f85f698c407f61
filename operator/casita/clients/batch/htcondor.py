"""The HTCondor back end: each operation in a fresh process, as the session's user.

A schedd that hangs costs each operation its time limit, and this process nothing: HTCondor's
bindings hold the interpreter, but not this one. It does keep all places of `AT_ONCE` busy, and
nobody is the worse for it: a site has one schedd, so whoever waits for a place would hang as well.
Whoever gets no place in time is told so, and nothing was done for them.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from casita.clients.batch.jobs import Account, BatchError, Job, WorkerJob
from casita.clients.batch.request import (
    Answer,
    Operation,
    Query,
    Remove,
    Submit,
    decode_answer,
    encode,
)
from casita.clients.batch.template import shape_key
from casita.clients.process import Outcome, Program, clean, run_program

logger = logging.getLogger(__name__)

AT_ONCE: Final = 4

PROGRAM: Final = Program(
    ("-m", "casita.clients.batch"),
    "casita-batch-",
    # Some 250 bytes of each job of one session.
    max_file=2**24,
)

_MAX_MESSAGE: Final = 900

_TEMPLATES: Final = 64
"""Texts that are kept, of the shapes used last: pools of the profiles, and users' own."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long things may take, in seconds; the time of waiting for a place comes before."""

    submit: float = 60
    query: float = 30
    remove: float = 30
    place: float = 30


class HTCondor:
    """See `casita.clients.batch.jobs.BackEnd`."""

    def __init__(self, limits: Limits | None = None, program: Program = PROGRAM) -> None:
        """Run `program` for each operation."""
        self._limits = limits or Limits()
        self._program = program
        self._places = asyncio.Semaphore(AT_ONCE)
        self._templates: dict[str, str] = {}

    async def submit(
        self, account: Account, job: WorkerJob, count: int, files: Mapping[str, bytes]
    ) -> None:
        """See `BackEnd`. After an outage some, all or none of the jobs may be there."""
        if count < 1:
            raise BatchError(f"{count} jobs cannot be submitted", outage=False)
        key = shape_key(job)
        template = self._templates.pop(key, "")
        if template:
            self._templates[key] = template
        operation = Submit(account, job, count, files, template)
        answer = await self._do(operation, self._limits.submit)
        self._templates[key] = answer.template
        while len(self._templates) > _TEMPLATES:
            del self._templates[next(iter(self._templates))]

    async def query(self, account: Account, session: str) -> tuple[Job, ...]:
        """See `BackEnd`."""
        return (await self._do(Query(account, session), self._limits.query)).jobs

    async def remove(self, account: Account, session: str, ids: tuple[str, ...] | None) -> None:
        """See `BackEnd`."""
        await self._do(Remove(account, session, ids), self._limits.remove)

    async def _do(self, operation: Operation, seconds: float) -> Answer:
        await self._take_place(operation)
        secrets = _secrets(operation)
        try:
            outcome = await run_program(self._program, encode(operation, seconds), seconds, secrets)
            return _answer(operation, outcome, seconds)
        except OSError as error:
            raise BatchError(f"no process for the batch system: {error}", outage=True) from error
        except BatchError as error:
            message = clean(str(error), secrets)[:_MAX_MESSAGE]
            raise BatchError(message, outage=error.outage) from None
        finally:
            self._places.release()

    async def _take_place(self, operation: Operation) -> None:
        try:
            async with asyncio.timeout(self._limits.place):
                await self._places.acquire()
        except TimeoutError:
            message = (
                f"the schedd {operation.account.schedd} is busy with {AT_ONCE} other operations "
                f"since {self._limits.place:g} s; nothing was asked of it"
            )
            raise BatchError(message, outage=True) from None


def _answer(operation: Operation, outcome: Outcome, seconds: float) -> Answer:
    if outcome.timed_out:
        doing = outcome.step or f"begin to ask the schedd {operation.account.schedd}"
        raise BatchError(f"no answer within {seconds:g} s: {doing}", outage=True)
    try:
        return decode_answer(outcome.answer)
    except ValueError:
        what = type(operation).__name__.lower()
        said = f"the process to {what} jobs ended without an answer, by {outcome.end}"
        logger.warning("%s: %s", said, outcome.log)
        # Nothing is known of what it did.
        raise BatchError(f"{said}; the operator's log has its last words", outage=True) from None


def _secrets(operation: Operation) -> tuple[str, ...]:
    key = operation.files.get("tls.key", b"") if isinstance(operation, Submit) else b""
    return (operation.account.token, key.decode(errors="replace"))
