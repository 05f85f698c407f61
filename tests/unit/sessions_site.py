"""A site, a session and its workers for tests of decisions."""

from datetime import UTC, datetime
from typing import Any

from casita.api.conditions import Reason
from casita.api.names import POOL_LABEL, WORKER
from casita.clients.batch.jobs import Job, JobState
from casita.config import Site
from casita.manifests.common import Owner, labels
from casita.manifests.pods import worker_name
from casita.manifests.resources import POD
from casita.sessions.observed import Child, PodState

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OWNER = Owner("casita", "alice", "uid-of-alice")
VALUES: dict[str, Any] = {
    "domain": "af.test",
    "profiles": [
        {
            "name": "default",
            "image": "example.org/notebook:1",
            "pools": [{"pool": "local", "max": 8}],
        }
    ],
}
SITE = Site.model_validate(VALUES)
READY = PodState(ready=True, reason=Reason.READY)


def with_site(**sections: Any) -> Site:
    """Return the site with other values in some of its sections."""
    return Site.model_validate({**VALUES, **sections})


def worker(
    pool: str, index: int, state: PodState | None = READY, *, deleting: bool = False
) -> Child:
    """Return a worker's pod as it was seen."""
    name = worker_name(OWNER, pool, index)
    return Child(
        resource=POD,
        name=name,
        uid=f"uid of {name}",
        owner_uid=OWNER.uid,
        version=1,
        deleting=deleting,
        labels={**labels(OWNER, WORKER), POOL_LABEL: pool},
        facts={},
        pod=state,
    )


def job(pool: str, cluster: int, *, state: str = "Running", run: str = "0" * 16) -> Job:
    """Return a worker's job as the batch system tells it."""
    return Job(
        id=f"{cluster}.0",
        worker=f"{OWNER.slug}-{pool}-{cluster}-0",
        pool=pool,
        run=run,
        state=JobState(state),
        since=0,
        queued_at=0,
    )
