"""The operations by which sessions' jobs are known and changed, beside the reconciler.

For each session they run one after the other; a batch system that hangs delays no pass. Whatever
comes of an attempt to submit or remove, what is in the queue is not known after it until it was
asked. Results enter by the queue of sessions.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from casita.clients.batch.jobs import Account, BackEnd, BatchError, WorkerJob
from casita.clients.errors import ApiError
from casita.credentials.errors import CredentialError
from casita.manifests.common import Owner
from casita.sessions.batch_known import Failure, Known
from casita.sessions.batch_plan import REMOVAL
from casita.sessions.cache import SessionKey
from casita.sessions.view import QueueView

logger = logging.getLogger(__name__)

_AT_ONCE: Final = 4
"""Sessions; a token is made when its turn has come, so that it does not end while it waits."""


@dataclass(frozen=True, slots=True)
class Errand:
    """What is to be done for a session, and what its scheduler tells.

    Attributes:
        user: in whose name.
        remove: ids of jobs to tell to end.
        submit: jobs to ask for, and how many.
        registered: workers of batch pools that the scheduler has.
        steady: all is as it should be.
        reported: the scheduler of this run has told of its workers.
    """

    owner: Owner
    user: str
    remove: tuple[str, ...] = ()
    submit: tuple[tuple[WorkerJob, int], ...] = ()
    registered: frozenset[str] = frozenset()
    steady: bool = False
    reported: bool = False


class BatchQueue:
    """Jobs of every session that may have some.

    Args:
        back_end: the batch system; it bounds how long an operation takes.
        account_of: returns a user's account with a fresh token; may raise `CredentialError`.
        files_of: returns the files of a submission; may raise `CredentialError` or `ApiError`.
        changed: told the key of each session of which something new is known.
        clock: the time, with a time zone.
    """

    def __init__(
        self,
        back_end: BackEnd,
        account_of: Callable[[Owner, str], Account],
        files_of: Callable[[Owner, str, WorkerJob], Awaitable[Mapping[str, bytes]]],
        changed: Callable[[SessionKey], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._back_end = back_end
        self._account_of = account_of
        self._files_of = files_of
        self._changed = changed
        self._clock = clock
        self._known: dict[SessionKey, Known] = {}
        self._running: dict[SessionKey, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)

    def view(self, key: SessionKey, uid: str) -> QueueView:
        """Return what is known of a session's jobs."""
        known = self._known.get(key)
        busy = key in self._running
        return known.view(busy=busy) if known and known.uid == uid else QueueView(busy=busy)

    def ensure(self, key: SessionKey, errand: Errand, seen: QueueView) -> float | None:
        """Begin what is to be done, or to ask if that is due; return the seconds until it is.

        Args:
            key: the session.
            errand: what is to be done.
            seen: what was known when that was decided: nothing is done if it is not true any more.

        Returns:
            `None` while an operation is under way: its end is told.
        """
        if key in self._running:
            return None
        known = self._known.get(key)
        if known is None or known.uid != errand.owner.uid:
            known = self._known[key] = Known(errand.owner.uid)
        now = self._clock()
        known.note_workers(errand.registered, now, reported=errand.reported)
        if known.jobs is not None and seen.jobs == known.jobs and (errand.remove or errand.submit):
            known.changing(errand.remove)
        else:
            due = known.due(errand.registered, steady=errand.steady)
            if due > now:
                return (due - now).total_seconds()
            errand = replace(errand, remove=(), submit=())
        known.asking(errand.registered)
        task = asyncio.get_running_loop().create_task(self._run(key, known, errand))
        self._running[key] = task
        return None

    def forget(self, key: SessionKey) -> None:
        """Drop what is known of a session that has no jobs, or is gone."""
        self._known.pop(key, None)

    async def _run(self, key: SessionKey, known: Known, errand: Errand) -> None:
        try:
            async with self._slots:
                await self._carry_out(key, known, errand)
        except Exception:
            logger.exception("session %s/%s: batch operation failed", *key)
            fault = BatchError("a fault of the operator; its log has more", outage=True)
            known.fail(fault, self._clock())
        finally:
            del self._running[key]
            self._changed(key)

    async def _carry_out(self, key: SessionKey, known: Known, errand: Errand) -> None:
        try:
            account = self._account_of(errand.owner, errand.user)
            if await self._change(key, known, errand, account):
                found = await self._back_end.query(account, errand.owner.uid)
                known.learn(found, self._clock())
        except (BatchError, CredentialError) as error:
            known.fail(error, self._clock())
            logger.info("session %s/%s: batch system: %s", *key, error)

    async def _change(
        self, key: SessionKey, known: Known, errand: Errand, account: Account
    ) -> bool:
        """Do what changes the queue; return whether it is of use to ask right after."""
        if errand.remove:
            remove = self._back_end.remove(account, errand.owner.uid, errand.remove)
            error = await self._attempt(key, known, REMOVAL, remove)
            if error is not None:  # what was to replace the removed ones is not asked for
                return known.refuse(REMOVAL, error, self._clock())
        for job, count in errand.submit:
            submit = self._submit(errand, account, job, count)
            error = await self._attempt(key, known, job.pool, submit)
            if error is not None and not known.refuse(job.pool, error, self._clock()):
                return False
        return True

    async def _submit(self, errand: Errand, account: Account, job: WorkerJob, count: int) -> None:
        files = await self._files_of(errand.owner, errand.user, job)
        await self._back_end.submit(account, job, count, files)

    async def _attempt(
        self, key: SessionKey, known: Known, pool: str, step: Awaitable[None]
    ) -> Failure | None:
        try:
            await step
        except (BatchError, CredentialError, ApiError) as error:
            logger.info("session %s/%s: pool %s: %s", *key, pool or "(removal)", error)
            return error
        known.succeed(pool)
        return None
