"""A batch system in memory, behind the interface of a back end: it keeps jobs, and runs none.

A test plays the machines: it says which jobs start, are held, are evicted or end. Operations can be
told to fail before or after they have done what they were asked, to be refused, or to hang.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Final

from casita.clients.batch.jobs import Account, BatchError, Job, JobState, WorkerJob

OUT_OF_REACH: Final = "no answer of the schedd"
REFUSED: Final = "the schedd refused: no such accounting group"


class Fault(Enum):
    """What becomes of one operation."""

    NONE = auto()
    BEFORE = auto()
    """It fails, and nothing was done."""
    AFTER = auto()
    """It was done, and the answer was lost."""
    LATE = auto()
    """It fails, and is done when `catch_up` is called."""
    REFUSED = auto()
    HUNG = auto()
    """It ends when it is cancelled, or the system is released; nothing was done before that."""
    HUNG_AFTER = auto()
    """The same, but it was done at once."""


@dataclass(frozen=True)
class Call:
    """One operation as it came."""

    verb: str
    session: str
    identity: str
    ids: tuple[str, ...] = ()
    job: WorkerJob | None = None
    count: int = 0
    files: Mapping[str, bytes] = field(default_factory=dict)
    token: str = ""


class BatchSystem:
    """The batch system.

    Attributes:
        calls: every operation that came, in order.
        faults: of the next operations; without an entry, `down` or `hung` or none.
        faults_of: of the next operation of each kind, before those.
        jobs: by session and id.
        late_jobs: how many came into the queue after their submission had failed.
        on_submit: told the session and the number of jobs before they are queued in time.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.calls: list[Call] = []
        self.faults: deque[Fault] = deque()
        self.faults_of: dict[str, Fault] = {}
        self.down = False
        self.hung: set[str] = set()
        self.jobs: dict[str, dict[str, Job]] = {}
        self.on_submit: Callable[[str, int], None] = lambda _session, _count: None
        self.late_jobs = 0
        self._catching_up = False
        self._clock = clock
        self._late: list[tuple[Call, Callable[[], None]]] = []
        self._cluster = 0

    # -- the interface of a back end --------------------------------------------------------------

    async def submit(
        self, account: Account, job: WorkerJob, count: int, files: Mapping[str, bytes]
    ) -> None:
        """Queue equal jobs."""
        call = Call("submit", job.session, account.identity, (), job, count, files, account.token)

        def do() -> None:
            if not self._catching_up:
                self.on_submit(job.session, count)
            self._queue(job, count)

        await self._do(call, do)

    async def query(self, account: Account, session: str) -> tuple[Job, ...]:
        """Return the jobs of a session."""
        await self._do(Call("query", session, account.identity, token=account.token), lambda: None)
        return tuple(self.jobs.get(session, {}).values())

    async def remove(self, account: Account, session: str, ids: tuple[str, ...] | None) -> None:
        """Tell jobs to end; those that run are leaving until `end` is called."""
        chosen = tuple(self.jobs.get(session, {})) if ids is None else ids
        call = Call("remove", session, account.identity, chosen, token=account.token)
        await self._do(call, lambda: self._remove(session, chosen))

    # -- the machines' part -----------------------------------------------------------------------

    def of(self, session: str, *states: JobState) -> list[Job]:
        """Return a session's jobs, in some states or in all but leaving ones."""
        wanted = states or tuple(set(JobState) - {JobState.LEAVING})
        return [job for job in self.jobs.get(session, {}).values() if job.state in wanted]

    def start(self, session: str, identity: str) -> str:
        """Give a job a machine; return its worker's name."""
        job = self.jobs[session][identity]
        self._put(session, replace(job, state=JobState.RUNNING, starts=job.starts + 1))
        return job.worker

    def hold(self, session: str, identity: str, reason: str) -> None:
        """Hold a job."""
        self._put(
            session, replace(self.jobs[session][identity], state=JobState.HELD, reason=reason)
        )

    def evict(self, session: str, identity: str, reason: str) -> None:
        """Take a job's machine away."""
        job = self.jobs[session][identity]
        self._put(session, replace(job, state=JobState.IDLE, reason=reason))

    def end(self, session: str, *identities: str) -> None:
        """Let jobs leave the queue."""
        for identity in identities:
            self.jobs[session].pop(identity, None)

    def catch_up(self) -> None:
        """Do what was to be done late."""
        late, self._late = self._late, []
        self._catching_up = True
        for call, do in late:
            self.late_jobs += call.count
            do()
        self._catching_up = False

    # -- within -----------------------------------------------------------------------------------

    async def _do(self, call: Call, do: Callable[[], None]) -> None:
        self.calls.append(call)
        await asyncio.sleep(0)
        fault = self._fault(call)
        if fault in (Fault.HUNG, Fault.HUNG_AFTER):
            if fault is Fault.HUNG_AFTER:
                do()
            await asyncio.Event().wait()
        if fault is Fault.REFUSED:
            raise BatchError(REFUSED, outage=False)
        if fault is Fault.LATE:
            self._late.append((call, do))
        if fault in (Fault.NONE, Fault.AFTER):
            do()
        if fault is not Fault.NONE:
            raise BatchError(OUT_OF_REACH, outage=True)

    def _fault(self, call: Call) -> Fault:
        if call.verb in self.faults_of:
            return self.faults_of.pop(call.verb)
        if self.faults:
            return self.faults.popleft()
        if call.session in self.hung:
            return Fault.HUNG
        return Fault.BEFORE if self.down else Fault.NONE

    def _queue(self, job: WorkerJob, count: int) -> None:
        self._cluster += 1
        now = int(self._clock())
        for process in range(count):
            worker = f"{job.slug}-{job.pool}-{self._cluster}-{process}"
            identity = f"{self._cluster}.{process}"
            new = Job(identity, worker, job.pool, job.run, JobState.IDLE, now, now)
            self.jobs.setdefault(job.session, {})[identity] = new

    def _remove(self, session: str, ids: tuple[str, ...]) -> None:
        mine = self.jobs.get(session, {})
        for identity in ids:
            job = mine.get(identity)
            if job is not None and job.state is JobState.RUNNING:
                self._put(session, replace(job, state=JobState.LEAVING))
            elif job is not None and job.state is not JobState.LEAVING:
                del mine[identity]

    def _put(self, session: str, job: Job) -> None:
        self.jobs[session][job.id] = replace(job, since=int(self._clock()))
