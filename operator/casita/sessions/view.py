"""Everything that a plan depends on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from casita.api.conditions import Reason
from casita.api.session import SessionSpec
from casita.clients.batch.jobs import Job
from casita.config import Site
from casita.manifests.common import Manifest, Owner
from casita.manifests.resources import Resource
from casita.sessions.demand import Demand
from casita.sessions.observed import Child, ChildKey
from casita.sessions.token_keys import Material


@dataclass(frozen=True, slots=True)
class Pause:
    """Why nothing is asked of the batch system for one pool, and how long.

    Attributes:
        until: the time of the next attempt.
        count: attempts in a row that failed.
    """

    until: datetime
    count: int
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class QueueView:
    """What is known of a session's jobs.

    Attributes:
        jobs: those of all runs; `None` while it is not known: nothing is submitted then.
        busy: an operation is under way: no other is begun.
        trouble: why the last operation failed, if it did.
        outage: it failed because the batch system does not answer.
        reason: the word for `trouble`.
        last: those that were last known, to be told of; `None` before the first answer.
        pauses: by pool, kept until an attempt succeeds; of removals by "".
        lost_at: by id, when a job that runs counts as lost, for its worker is not at the scheduler.
    """

    jobs: tuple[Job, ...] | None = None
    busy: bool = False
    trouble: str = ""
    outage: bool = False
    reason: Reason = Reason.SCHEDD_REFUSED
    last: tuple[Job, ...] | None = None
    pauses: Mapping[str, Pause] = field(default_factory=dict)
    lost_at: Mapping[str, datetime] = field(default_factory=dict)


Write = tuple[Resource, Manifest, str | None]
"""An object to create, or to apply over the one with this uid."""


@dataclass(frozen=True, slots=True)
class View:
    """Everything that a plan depends on.

    Attributes:
        stopped: why the session stopped by itself, if it did and was not started anew since.
        failures: ended pods per pool since the last that became ready; of the scheduler by "".
        material: the site's keys for tokens; `None` if they cannot be used.
        key_trouble: why they cannot.
        demand: what the session's work asks for; `None` before its scheduler has told.
        before: workers wanted of each pool by the last status.
        allowed_cores: what quotas leave this session's workers; `None` is no limit.
        registered: workers that the scheduler has and can reach, by name.
        reported: the scheduler of this run has told of its workers.
        idle_since: since when there is neither a client nor a task; `None` while in use.
        queue: what is known of its jobs; `None` where the site has no batch system.
        bound: jobs may be in the queue: the session has the finalizer that waits for their end.
        told: each pool's entry of the last status.
    """

    owner: Owner
    spec: SessionSpec
    site: Site
    children: Mapping[ChildKey, Child]
    now: datetime
    stopped: Reason | None = None
    failures: Mapping[str, int] = field(default_factory=dict)
    material: Material | None = field(default_factory=Material)
    key_trouble: str = ""
    demand: Demand | None = None
    before: Mapping[str, int] = field(default_factory=dict)
    allowed_cores: int | None = None
    registered: frozenset[str] = frozenset()
    reported: bool = False
    idle_since: datetime | None = None
    queue: QueueView | None = None
    bound: bool = False
    told: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def find(mine: Iterable[Child], resource: Resource, name: str) -> Child | None:
    """Return the child of this kind and name, if it is there."""
    return next((c for c in mine if c.resource is resource and c.name == name), None)
