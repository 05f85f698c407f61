"""A site with a batch system, and sessions of it, for tests of decisions about jobs."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from casita.api.conditions import Reason
from casita.api.names import AUTHORITY_ANNOTATION, SCHEDULER
from casita.api.session import SessionSpec
from casita.clients.batch.jobs import Job, JobState
from casita.config import Site
from casita.manifests.common import Owner, labels
from casita.manifests.pods import scheduler_name
from casita.manifests.resources import POD, SECRET
from casita.manifests.secrets import AUTHORITY, secret_name
from casita.sessions.batch_plan import BatchPlan, plan_batch
from casita.sessions.issuing import Keys, make_authority
from casita.sessions.observed import Child, PodState
from casita.sessions.pods import plan_pools
from casita.sessions.view import QueueView, View

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
OWNER = Owner("casita", "alice", "uid-of-alice")
SITE = Site.model_validate(
    {
        "domain": "af.test",
        "profiles": [{"name": "default", "image": "example.org/notebook:1"}],
        "batch": {
            "collector": "cm.af.test:9618",
            "schedd": "casita@af.test",
            "trustDomain": "af.test",
            "uidDomain": "af.users",
            "workers": {"longIdleSeconds": 600, "requirements": "HasCvmfs"},
        },
    }
)
KEYS = Keys(b"k" * 32, b"-----BEGIN CERTIFICATE-----\n")
AUTHORITY_MADE, AUTHORITY_SECRET = make_authority(OWNER, SessionSpec(user="alice"), SITE, KEYS, NOW)
RUN = AUTHORITY_MADE.fingerprint
POOLS = ({"pool": "batch", "backend": "HTCondor", "max": 100, "memoryMiB": 4096},)


def spec_of(replicas: int = 0, pools: Iterable[dict[str, Any]] = POOLS) -> SessionSpec:
    return SessionSpec.model_validate(
        {
            "user": "alice",
            "scaling": {"mode": "Manual"},
            "replicas": replicas,
            "workers": list(pools),
        }
    )


def job(number: int, state: JobState = JobState.IDLE, **beside: Any) -> Job:
    known: dict[str, Any] = {
        "pool": "batch",
        "run": RUN,
        "since": SECONDS,
        "queued_at": SECONDS + number,
        **beside,
    }
    return Job(id=f"{number}.0", worker=name(number, known["pool"]), state=state, **known)


def name(number: int, pool: str = "batch") -> str:
    """Return the name of a job's worker."""
    return f"{OWNER.slug}-{pool}-{number}-0"


def child(resource: Any, called: str, component: str, **beside: Any) -> Child:
    return Child(
        resource,
        called,
        f"uid of {called}",
        OWNER.uid,
        1,
        False,
        labels(OWNER, component),
        **beside,
    )


def running_children(*, ready: bool = True) -> dict[tuple[str, str], Child]:
    noted = AUTHORITY_SECRET["metadata"]["annotations"]
    state = PodState(ready=ready, reason=Reason.READY)
    found = (
        child(SECRET, secret_name(OWNER, AUTHORITY), AUTHORITY, facts=noted),
        child(POD, scheduler_name(OWNER), SCHEDULER, facts={AUTHORITY_ANNOTATION: RUN}, pod=state),
    )
    return {one.key: one for one in found}


def view_of(
    jobs: Iterable[Job] | None = (), spec: SessionSpec | None = None, **beside: Any
) -> View:
    """Return what is seen of a session that runs and has these jobs."""
    found = None if jobs is None else tuple(jobs)
    known: dict[str, Any] = {
        "children": running_children(),
        "now": NOW,
        "queue": QueueView(jobs=found, last=found),
        "bound": True,
        "reported": True,
    }
    return View(OWNER, spec or spec_of(), **{"site": SITE, **known, **beside})


def plan_of(view: View) -> BatchPlan:
    """Return what is to be done about the jobs of a session that runs."""
    return plan_batch(view, plan_pools(view, list(view.children.values())), RUN)
