"""The part of a plan that is about pods: one scheduler, and the workers of every pool."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from casita.api.names import AUTHORITY_ANNOTATION
from casita.api.session import Backend
from casita.manifests.common import Owner, planned_hash, with_hash
from casita.manifests.pods import Template, scheduler_name, scheduler_pod, worker_pod
from casita.manifests.resources import POD, SECRET
from casita.manifests.secrets import AUTHORITY, WORKER, secret_name
from casita.sessions.batch_plan import current_jobs
from casita.sessions.desired import desired_workers
from casita.sessions.observed import Child
from casita.sessions.refusal import pools_of
from casita.sessions.scaling import PoolPlan, cleared_at, plan_pool
from casita.sessions.view import View, Write, find

BUSY_PAUSE: Final = timedelta(seconds=5)
"""Between two looks at workers that go as soon as they are not busy."""


@dataclass(frozen=True, slots=True)
class PodsPlan:
    """What to do about scheduler and workers; the fields are those of a plan."""

    withdraw: tuple[Child, ...]
    write: tuple[Write, ...]
    blockers: tuple[Child, ...]
    update_pending: bool
    pools: tuple[PoolPlan, ...]
    dues: tuple[datetime, ...]


def plan_pods(view: View, mine: list[Child], fingerprint: str) -> PodsPlan:
    """Decide about the pods of a running session, whose authority has this fingerprint."""
    spec, site, owner = view.spec, view.site, view.owner
    profile = site.profile(spec.profile)
    assert profile is not None  # noqa: S101 - `refuse` came first
    template = Template(
        owner,
        site,
        spec.image or profile.image,
        fingerprint,
        profile.mounts,
        site.inference_server(profile),
    )
    scheduler = scheduler_pod(
        template,
        spec.scheduler,
        profile.scheduler_overrides,
        profile.instant_worker,
        profile.worker_overrides,
    )
    withdraw: list[Child] = []
    write: list[Write] = []
    blockers: list[Child] = []
    dues: list[datetime] = []
    pending = False
    present = find(mine, POD, scheduler_name(owner))
    if present is None:
        write.append((POD, with_hash(scheduler), None))
    elif present.deleting:
        blockers.append(present)
    elif present.pod and present.pod.ended:
        clear = cleared_at(present, view.failures.get("", 0), view.now)
        if clear <= view.now:
            withdraw.append(present)
        else:
            dues.append(clear)
    elif present.planned_hash != planned_hash(scheduler):
        pending = True
    pools = plan_pools(view, mine)
    dues += [step.cleared_at for step in pools if step.cleared_at]
    if any(step.held_back for step in pools):
        dues.append(view.now + BUSY_PAUSE)
    for step in pools:
        withdraw += [*step.draining, *step.ended]
        write += [
            (POD, with_hash(worker_pod(template, step.pool, index, profile.worker_overrides)), None)
            for index in step.starting
        ]
    withdraw += _of_no_pool(view, mine, {step.pool.pool for step in pools})
    return PodsPlan(tuple(withdraw), tuple(write), tuple(blockers), pending, pools, tuple(dues))


def plan_pools(view: View, mine: Iterable[Child]) -> tuple[PoolPlan, ...]:
    """Return each pool's step, in list order."""
    profile = view.site.profile(view.spec.profile)
    if profile is None:
        return ()
    pools = pools_of(view.spec, profile)
    desired = desired_workers(view, pools, profile.limits.workers)
    workers = [c for c in mine if c.component == WORKER and c.resource is POD]
    steps = [
        plan_pool(view, pool, desired, [w for w in workers if _belongs(view.owner, pool.pool, w)])
        for pool in pools
    ]
    authority = find(mine, SECRET, secret_name(view.owner, AUTHORITY))
    run = authority.facts.get(AUTHORITY_ANNOTATION, "") if authority else ""
    return tuple(
        replace(step, jobs=current_jobs(view, step.pool.pool, run))
        if step.pool.backend is Backend.HTCONDOR
        else step
        for step in steps
    )


def _belongs(owner: Owner, pool: str, worker: Child) -> bool:
    prefix = f"{owner.slug}-{pool}-"
    index = worker.name.removeprefix(prefix)
    return worker.name.startswith(prefix) and index.isdecimal() and len(index) <= 5


def _of_no_pool(view: View, mine: Iterable[Child], pools: set[str]) -> list[Child]:
    """Workers of a pool that is no longer in the specification drain like any other."""
    return [
        c
        for c in mine
        if c.resource is POD
        and c.component == WORKER
        and not c.deleting
        and not any(_belongs(view.owner, pool, c) for pool in pools)
    ]
