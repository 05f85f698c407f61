"""What is known of one session's jobs, and what follows of each answer and each failure.

No clock and no batch system: the time is passed in.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from casita.api.conditions import Reason
from casita.clients.batch.jobs import BatchError, Job, JobState
from casita.clients.errors import ApiError
from casita.credentials.errors import CredentialError, SigningKeyError
from casita.sessions.batch_plan import REMOVAL
from casita.sessions.view import Pause, QueueView

FIRST_SECONDS: Final = 3.0
"""Between two questions while jobs come or go, or wait; it grows by half each time."""

LONGEST_SECONDS: Final = 60.0
STEADY_SECONDS: Final = 300.0
"""Between two questions when all is as it should be: the scheduler tells sooner if a worker goes.
Where there are no jobs at all, the pause doubles each time."""

EMPTY_SECONDS: Final = 3600.0

FIRST_PAUSE_SECONDS: Final = 5.0
LONGEST_PAUSE_SECONDS: Final = 300.0
"""After a failure; the pause doubles."""

LOST_SECONDS: Final = 120.0
"""A worker that has left its scheduler ends by itself, and its job with it, unless its machine is
gone: then HTCondor takes the job to run until its lease ends, by default for 40 minutes."""

NEVER_CAME_SECONDS: Final = 900.0
"""Of a job that runs whose worker was never seen: on a cold machine Python may take minutes to
start; one that meets no scheduler ends by itself."""

Failure = BatchError | CredentialError | ApiError

_EPOCH: Final = datetime.fromtimestamp(0, tz=UTC)


@dataclass(slots=True)
class Known:
    """What is known of one session's jobs; the first attributes are those of a `QueueView`."""

    uid: str
    jobs: tuple[Job, ...] | None = None
    last: tuple[Job, ...] | None = None
    trouble: str = ""
    outage: bool = False
    reason: Reason = Reason.SCHEDD_REFUSED
    pauses: dict[str, Pause] = field(default_factory=dict)
    _failures: int = 0
    _pace: float = FIRST_SECONDS
    _quiet: float = STEADY_SECONDS / 2
    _asked_at: datetime = _EPOCH
    _retry_at: datetime = _EPOCH
    _base: frozenset[str] = frozenset()
    _came_up: set[str] = field(default_factory=set)
    _told_to_go: set[str] = field(default_factory=set)
    _lost_at: dict[str, datetime] = field(default_factory=dict)

    def view(self, *, busy: bool) -> QueueView:
        """Return what a plan may know."""
        return QueueView(
            jobs=self.jobs,
            busy=busy,
            trouble=self.trouble,
            outage=self.outage,
            reason=self.reason,
            last=self.last,
            pauses=dict(self.pauses),
            lost_at=dict(self._lost_at),
        )

    def note_workers(self, registered: frozenset[str], now: datetime, *, reported: bool) -> None:
        """Note which jobs became workers: their pools work; and which have none.

        Args:
            registered: workers that the scheduler has.
            now: the time.
            reported: the scheduler of this run has told of its workers.
        """
        absent = [
            job
            for job in self.last or ()
            if reported and job.state is JobState.RUNNING and job.worker not in registered
        ]
        self._lost_at = {
            job.id: self._lost_at.get(job.id) or now + self._patience(job) for job in absent
        }
        for job in self.last or ():
            if job.worker in registered and job.worker not in self._came_up:
                self._came_up.add(job.worker)
                pause = self.pauses.get(job.pool)
                if pause is not None and pause.reason is Reason.FAILED:
                    del self.pauses[job.pool]

    def _patience(self, job: Job) -> timedelta:
        came = job.worker in self._came_up
        return timedelta(seconds=LOST_SECONDS if came else NEVER_CAME_SECONDS)

    def asking(self, registered: frozenset[str]) -> None:
        """Note that the batch system is about to be asked, and who was a worker then."""
        self._base = registered

    def changing(self, removed: Iterable[str]) -> None:
        """Note that the queue is about to be changed: it is not known from now on."""
        self.jobs = None
        self._pace = FIRST_SECONDS
        self._quiet = STEADY_SECONDS / 2
        self._told_to_go.update(removed)

    def due(self, registered: frozenset[str], *, steady: bool) -> datetime:
        """Return when to ask what is in the queue."""
        if self.jobs is None:
            return self._retry_at
        pace = self._quiet if steady or not self.jobs else self._pace
        if self._is_news(registered):
            pace = min(pace, FIRST_SECONDS)
        return self._asked_at + timedelta(seconds=pace)

    def learn(self, jobs: Iterable[Job], now: datetime) -> None:
        """Take in an answer."""
        found = tuple(sorted(jobs, key=lambda job: (job.queued_at, job.id)))
        self._count_lost({job.id for job in found}, now)
        if self.jobs is not None:
            self._pace = min(LONGEST_SECONDS, 1.5 * self._pace)
        self._quiet = STEADY_SECONDS if found else min(EMPTY_SECONDS, 2 * self._quiet)
        self.jobs = self.last = found
        self._asked_at = now
        self.trouble, self.outage, self._failures = "", False, 0
        self._told_to_go &= {job.id for job in found}
        self._came_up &= {job.worker for job in found}

    def fail(self, error: Failure, now: datetime) -> None:
        """Note that nothing was learnt: what is in the queue may be another by now."""
        self.jobs = None
        self._retry_at = now + timedelta(seconds=_pause_seconds(self._failures))
        self._failures += 1
        self._tell_trouble(error)

    def refuse(self, pool: str, error: Failure, now: datetime) -> bool:
        """Hold a pool back after a failed attempt; return whether to ask for the queue right now.

        A batch system that did not answer may do late what it was told: it is asked after the
        pause, and so just before the next attempt.
        """
        outage = isinstance(error, BatchError) and error.outage
        reason = _reason(error)
        if reason is Reason.SCHEDD_REFUSED and pool != REMOVAL:
            reason = Reason.SUBMIT_REFUSED
        until = self._hold_back(pool, reason, str(error), now)
        if outage:
            self._retry_at = until
            self._tell_trouble(error)
        return not outage

    def succeed(self, pool: str) -> None:
        """Note that an attempt for a pool was accepted; whether it comes to a worker is open."""
        pause = self.pauses.get(pool)
        if pause is not None and pause.reason is not Reason.FAILED:
            del self.pauses[pool]

    def _tell_trouble(self, error: Failure) -> None:
        self.trouble, self.reason = str(error), _reason(error)
        self.outage = isinstance(error, BatchError) and error.outage

    def _is_news(self, registered: frozenset[str]) -> bool:
        """Say whether workers came or went that what is known of jobs does not explain."""
        staying = {job.worker for job in self.jobs or () if job.state is not JobState.LEAVING}
        leaving = {job.worker for job in self.jobs or ()} - staying
        came, went = registered - self._base, self._base - registered
        return bool(came - staying) or bool(went - leaving)

    def _count_lost(self, present: set[str], now: datetime) -> None:
        """Jobs that end by themselves and never were a worker would be asked for for ever."""
        lost: dict[str, list[str]] = {}
        for job in self.last or ():
            leaves = job.state is JobState.LEAVING or job.id in self._told_to_go
            if job.id not in present and not leaves and job.worker not in self._came_up:
                lost.setdefault(job.pool, []).append(job.id)
        for pool, ids in lost.items():
            text = (
                f"{len(ids)} jobs, first {ids[0]}, ended before their worker had reached the "
                "scheduler; condor_history and the gateway's log may tell why"
            )
            self._hold_back(pool, Reason.FAILED, text, now)

    def _hold_back(self, pool: str, reason: Reason, message: str, now: datetime) -> datetime:
        before = self.pauses.get(pool)
        count = before.count if before is not None and before.reason is reason else 0
        until = now + timedelta(seconds=_pause_seconds(count))
        self.pauses[pool] = Pause(until, count + 1, reason, message)
        return until


def _reason(error: Failure) -> Reason:
    if isinstance(error, BatchError):
        return Reason.SCHEDD_UNREACHABLE if error.outage else Reason.SCHEDD_REFUSED
    if isinstance(error, SigningKeyError):
        return Reason.SIGNING_KEY_UNUSABLE
    return Reason.API_ERROR


def _pause_seconds(failures: int) -> float:
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(failures, 10))
