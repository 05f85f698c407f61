"""What a batch system is asked and answers: the whole interface of a back end.

Standard library only: the program that does one operation starts anew each time and imports this.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

SESSION_ATTRIBUTE = "CasitaSession"
"""Uid of the session, in every job's ad."""
RUN_ATTRIBUTE = "CasitaRun"
"""Fingerprint of the session's authority that the job's certificate is of."""
POOL_ATTRIBUTE = "CasitaPool"


class JobState(StrEnum):
    """Where a job is in its life."""

    SPOOLING = "Spooling"
    """Its files are on their way to the schedd."""
    IDLE = "Idle"
    RUNNING = "Running"
    HELD = "Held"
    LEAVING = "Leaving"
    """Told to end, and draining; or ended, and not cleared away yet."""


@dataclass(frozen=True, slots=True)
class Job:
    """One job as the batch system tells it.

    Attributes:
        id: as the batch system names it, `12.0` in HTCondor.
        worker: the worker's name at its scheduler.
        pool: the session's pool.
        run: fingerprint of the authority that its certificate is of.
        since: when it came into its state, seconds since 1970.
        queued_at: when it was submitted, seconds since 1970.
        starts: how often it was started.
        reason: why it is held, or was last put back into the queue, in the batch system's words.
    """

    id: str
    worker: str
    pool: str
    run: str
    state: JobState
    since: int
    queued_at: int
    starts: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """In whose name an operation is done, and where.

    Attributes:
        collector: ``host:port``.
        schedd: the ``Name`` of its ad, in full.
        identity: ``user@uid-domain``, the owner of the jobs.
        token: the user's IDTOKEN.
    """

    collector: str
    schedd: str
    identity: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class WorkerJob:
    """What the jobs of one submission have in common; sizes in cores and MiB, times in seconds.

    Attributes:
        session: the session's uid.
        run: fingerprint of its authority.
        slug: of the session; workers are named ``<slug>-<pool>-<cluster>-<process>``.
        scheduler: ``tls://host:port`` as seen from the batch system's machines.
        python: interpreter of the worker, an absolute path on the machine or in the image.
        image: container image; empty for the vanilla universe.
        requirements: the site's and the user's, each an expression of its own.
        accounting_group: empty for none.
        queue_seconds: a job that waits longer is removed.
        wall_seconds: a worker that runs longer drains and ends.
        drain_seconds: how long a worker may take to finish its tasks when it is told to end.
        first_port, last_port: where workers listen.
        contact_address: what workers tell others to dial, or empty: ``{port}`` is where the worker
            listens, ``$$(Name)`` an attribute of its machine.
        environment: variables, beside those that every worker has.
        directives: further lines of the submit file, from the site's admin.
    """

    session: str
    run: str
    slug: str
    pool: str
    scheduler: str
    cores: int
    memory_mi_b: int
    disk_mi_b: int
    python: str
    image: str = ""
    requirements: tuple[str, ...] = ()
    accounting_group: str = ""
    queue_seconds: int = 86_400
    wall_seconds: int = 86_400
    drain_seconds: int = 300
    first_port: int = 40_000
    last_port: int = 40_099
    contact_address: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    directives: Mapping[str, str] = field(default_factory=dict)


class BatchError(Exception):
    """An operation failed; the message is for people and names no secret.

    Attributes:
        outage: the batch system does not answer: it may be tried again later, and nothing is known
            of what it did. Otherwise it answered and refused.
    """

    def __init__(self, message: str, *, outage: bool) -> None:
        super().__init__(message)
        self.outage = outage


class BackEnd(Protocol):
    """A batch system. Every call ends within its time limit, by an answer or a `BatchError`."""

    async def submit(
        self, account: Account, job: WorkerJob, count: int, files: Mapping[str, bytes]
    ) -> None:
        """Queue `count` equal jobs, all or none, with files beside each, encrypted on the way.

        The files are ``ca.pem``, ``tls.crt`` and ``tls.key``.
        """
        ...

    async def query(self, account: Account, session: str) -> tuple[Job, ...]:
        """Return the jobs of one session of the account's user: one question, whatever number."""
        ...

    async def remove(self, account: Account, session: str, ids: tuple[str, ...] | None) -> None:
        """Tell jobs of one session to end, or all of them; those that run may drain first."""
        ...
