"""Carrying out what a plan says of jobs: the finalizer first, then the batch system."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from casita.api.names import BATCH_FINALIZER
from casita.api.session import SessionSpec
from casita.clients.errors import ApiError
from casita.clients.kubernetes import KubernetesClient
from casita.config import Site
from casita.manifests.common import Owner
from casita.manifests.resources import POD
from casita.sessions.batch_plan import BatchPlan, plan_end
from casita.sessions.batch_queue import BatchQueue, Errand
from casita.sessions.batch_submission import worker_job
from casita.sessions.cache import STATUS, Cache, SessionKey, SessionRecord
from casita.sessions.effects import STOP_GRACE_SECONDS
from casita.sessions.objects import Objects
from casita.sessions.observed import parse_time
from casita.sessions.queue import RetryLaterError
from casita.sessions.telling import Teller
from casita.sessions.view import QueueView

logger = logging.getLogger(__name__)

DELETION_WAITS: Final = "DeletionWaits"
"""Reason of the event that tells why a deletion waits for its jobs; never one of a condition."""

JOBS_LEFT: Final = "JobsLeft"
"""Reason of the event that tells what a deletion has given up; never one of a condition."""

_AFTER_DRAIN: Final = 60
"""Seconds; the batch system clears away what has ended."""


class BatchEffects:
    """Sessions' jobs, and the finalizers that wait for their end."""

    def __init__(
        self,
        client: KubernetesClient,
        cache: Cache,
        site: Site,
        queue: BatchQueue,
        clock: Callable[[], datetime],
        left_behind: Callable[[], None] = lambda: None,
    ) -> None:
        """Use what is wired together elsewhere; `left_behind` counts what is given up."""
        self._client = client
        self._cache = cache
        self._objects = Objects(client, cache)
        self._teller = Teller(client, cache, clock)
        self._site = site
        self._queue = queue
        self._clock = clock
        self._left_behind = left_behind
        self._waits_told: dict[SessionKey, str] = {}

    def view(self, key: SessionKey, record: SessionRecord) -> QueueView | None:
        """Return what is known of a session's jobs; `None` on a site without a batch system."""
        return self._queue.view(key, record.uid) if self._site.batch else None

    async def carry_out(
        self,
        key: SessionKey,
        owner: Owner,
        spec: SessionSpec,
        plan: BatchPlan,
        seen: QueueView | None,
    ) -> float | None:
        """Begin what a plan says; return the seconds until there is something to ask.

        It returns at once: whatever the batch system does, its answer enters by the queue.

        Raises:
            RetryLaterError: the finalizer could not be written.
        """
        if plan.release:
            await self._write_finalizer(key, owner.uid, present=False)
        if plan.release or not plan.watch or seen is None:
            self._queue.forget(key)
            return None
        if (plan.submit or seen.jobs) and not await self._write_finalizer(
            key, owner.uid, present=True
        ):
            return None
        submit = tuple(
            (worker_job(owner, spec, self._site, order.pool, plan.run), order.count)
            for order in plan.submit
        )
        errand = Errand(
            *(owner, spec.user, plan.remove, submit, plan.registered),
            steady=plan.steady,
            reported=plan.reported,
        )
        return self._queue.ensure(key, errand, seen)

    async def end(self, key: SessionKey, record: SessionRecord) -> float | None:
        """Do one step of a deletion that waits for jobs; return the seconds until the next.

        Its pods are withdrawn, so that workers find no scheduler any more and end at once.

        Raises:
            RetryLaterError: the API server refused; or the finalizer could not be taken away.
        """
        now, owner = self._clock(), Owner(*key, record.uid)
        seen, deleted_at = self.view(key, record), parse_time(record.deleted_at)
        drain = self._site.workers.drain_seconds + _AFTER_DRAIN
        plan = plan_end(seen, deleted_at, now, drain)
        if plan.left:
            await self._give_up(owner, plan.left)
        if plan.release:
            await self._write_finalizer(key, record.uid, present=False)
            self.forget(key)
            return None
        await self._tell_trouble(key, owner, seen)
        await self._withdraw_pods(key, record.uid)
        errand = Errand(owner, str(record.spec.get("user", "")), plan.remove)
        later = self._queue.ensure(key, errand, seen or QueueView())
        due = ((plan.due or now + timedelta(hours=1)) - now).total_seconds()
        return max(0.0, min(due, later) if later is not None else due)

    def forget(self, key: SessionKey) -> None:
        """Drop what is known of a session that is gone."""
        self._queue.forget(key)
        self._waits_told.pop(key, None)

    async def _withdraw_pods(self, key: SessionKey, uid: str) -> None:
        for child in list(self._cache.children(key).values()):
            if child.resource is POD and child.owner_uid == uid and not child.deleting:
                try:
                    await self._objects.withdraw(key, child, STOP_GRACE_SECONDS)
                except ApiError as error:
                    raise RetryLaterError(str(error), error.retry_after) from error

    async def _tell_trouble(self, key: SessionKey, owner: Owner, seen: QueueView | None) -> None:
        """Say once why a deletion takes long: its status is not looked at any more."""
        trouble = seen.trouble if seen else ""
        if trouble and self._waits_told.get(key) != trouble:
            self._waits_told[key] = trouble
            text = f"the session's jobs are to be removed first: {trouble}"
            await self._teller.post(owner, "Warning", DELETION_WAITS, text, "Delete")

    async def _give_up(self, owner: Owner, what: str) -> None:
        text = f"the session's deletion does not wait any longer for {what}"
        logger.error("session %s/%s: %s", owner.namespace, owner.name, text)
        self._left_behind()
        await self._teller.post(owner, "Warning", JOBS_LEFT, text, "Delete")

    async def _write_finalizer(self, key: SessionKey, uid: str, *, present: bool) -> bool:
        """See to it that the finalizer is there, or is not; return false if the session is gone."""
        record = self._cache.sessions.get(key)
        if record is None or record.uid != uid:
            return False
        if (BATCH_FINALIZER in record.finalizers) == present:
            return True
        others = tuple(name for name in record.finalizers if name != BATCH_FINALIZER)
        wanted = (*others, BATCH_FINALIZER) if present else others
        if present and record.deleting:
            return False  # the API server takes no new one; nothing is begun any more
        try:
            with self._cache.writing(key, STATUS):
                answer = await self._client.write_finalizers(*key, uid, record.version, wanted)
                self._cache.finalizers_written(key, answer["metadata"])
        except ApiError as error:
            if error.status == 404:
                return False
            raise RetryLaterError(str(error), error.retry_after) from error
        return True
