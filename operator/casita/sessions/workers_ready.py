"""The condition WorkersReady and the counts of every pool."""

from collections.abc import Mapping
from typing import Any, Final

from casita.api.conditions import ConditionType, Reason
from casita.api.session import Backend, ScalingMode
from casita.sessions.batch_conditions import batch_counts, batch_verdict
from casita.sessions.desired import Desired, desired_workers
from casita.sessions.findings import Findings, Verdict
from casita.sessions.observed import Child
from casita.sessions.scaling import PoolPlan
from casita.sessions.view import View

_SCHEDULERS_WORD: Final = frozenset(
    {Reason.SERVED, Reason.SCALING, Reason.QUOTA_REACHED, Reason.VERSION_MISMATCH}
)
"""Reasons that rest on what the scheduler tells."""


def workers_ready(
    view: View,
    findings: Findings,
    pools: tuple[PoolPlan, ...],
    previous: Mapping[str, Any],
) -> Verdict:
    """Say whether every pool can be served, and if not, which one and what its back end says."""
    for step in pools:
        if step.pool.backend is not Backend.KUBERNETES:
            trouble = batch_verdict(view, step, findings)
            if trouble:
                return trouble
    trouble = _unreachable(findings) or _pod_trouble(pools) or _mismatch(findings)
    if trouble:
        return trouble
    counts = [pool_status(view, step, findings) for step in pools]
    before = _told_before(view, counts, previous)
    if before:
        return before
    profile = view.site.profile(view.spec.profile)
    limit = profile.limits.workers if profile else 0
    desired = desired_workers(view, [step.pool for step in pools], limit)
    text = _wanted(view, desired, pools) + _progress(counts)
    if sum(desired.workers.values()) < desired.asked:
        return Verdict(True, Reason.QUOTA_REACHED, f"{_limited(view, desired)}; {text}")
    if any(count["ready"] != count["desired"] for count in counts):
        return Verdict(True, Reason.SCALING, text)
    return Verdict(True, Reason.SERVED, text)


def _told_before(
    view: View, counts: list[dict[str, Any]], previous: Mapping[str, Any]
) -> Verdict | None:
    """Return what the last status told, if nothing has changed and the scheduler has not told.

    A restarted operator knows no more, and has nothing to write.
    """
    adaptive = view.spec.scaling.mode is ScalingMode.ADAPTIVE
    told = view.demand is not None
    if not adaptive or told or not view.before or previous.get("workers") != counts:
        return None
    for condition in previous.get("conditions") or ():
        found = condition["type"] == ConditionType.WORKERS_READY
        if found and condition["reason"] in _SCHEDULERS_WORD:
            status, reason = condition["status"] == "True", Reason(condition["reason"])
            return Verdict(status, reason, condition.get("message", ""))
    return None


def _wanted(view: View, desired: Desired, pools: tuple[PoolPlan, ...]) -> str:
    """Say how many workers are wanted, and why so many."""
    text = f"{_workers(sum(desired.workers.values()))} wanted"
    if view.spec.scaling.mode is ScalingMode.MANUAL:
        return text
    if all(step.desired == step.pool.min for step in pools):
        return f"{text}, the minimum of the pools"
    if view.demand is None:
        return f"{text}, as before: the scheduler has not told yet what its work needs"
    if view.demand.cores is None:
        return f"{text}, as the user asked of the scheduler"
    return f"{text} for the work at hand"


def _progress(counts: list[dict[str, Any]]) -> str:
    requested, ready, desired = (
        sum(count[name] for count in counts) for name in ("requested", "ready", "desired")
    )
    if requested > desired:
        return f", {requested - desired} more until their tasks are done"
    return f", {ready} ready" if ready != desired else ""


def _limited(view: View, desired: Desired) -> str:
    """Say how many workers are asked for and who allows no more."""
    wanted, cores = sum(desired.workers.values()), view.allowed_cores
    text = f"{_workers(desired.asked)} asked for, {wanted} allowed by"
    if cores is None or wanted == desired.within_profile:
        name = view.spec.profile or view.site.default_profile
        return f"{text} limits.workers of profile {name!r}"
    user, site = view.site.quotas.user_cores, view.site.quotas.site_cores
    quotas = [f"the user's quota of {user} cores"] if user is not None else []
    quotas += [f"the site's quota of {site} cores"] if site is not None else []
    share = "" if cores == user else f": {cores} for this session now"
    return f"{text} {' and '.join(quotas)}{share}"


def _workers(count: int) -> str:
    return f"{count} worker" if count == 1 else f"{count} workers"


def _mismatch(findings: Findings) -> Verdict | None:
    if not findings.mismatches:
        return None
    text = "; ".join(findings.mismatches)
    return Verdict(
        False,
        Reason.VERSION_MISMATCH,
        f"{text}; use the same image or the same versions everywhere, or tasks may fail",
    )


def _unreachable(findings: Findings) -> Verdict | None:
    unreachable = findings.unreachable or {}
    if not unreachable:
        return None
    name, error = min(unreachable.items())
    return Verdict(
        False,
        Reason.WORKERS_UNREACHABLE,
        f"the scheduler cannot reach {len(unreachable)} workers, first {name}: {error}",
    )


def _pod_trouble(pools: tuple[PoolPlan, ...]) -> Verdict | None:
    for step in pools:
        for worker in (*step.waiting, *step.live):
            if worker.pod and worker.pod.message:
                return Verdict(
                    False,
                    worker.pod.reason,
                    f"pool {step.pool.pool}, worker {worker.name}: {worker.pod.message}",
                )
    return None


def pool_status(view: View, step: PoolPlan, findings: Findings) -> dict[str, Any]:
    """Return one pool's entry of the status."""
    if step.pool.backend is Backend.KUBERNETES:
        requested, ready = len(step.live), len(_ready(step, findings))
    else:
        requested, ready = batch_counts(view, step)
    return {
        "pool": step.pool.pool,
        "desired": step.desired,
        "requested": requested,
        "ready": ready,
    }


def _ready(step: PoolPlan, findings: Findings) -> list[Child]:
    unreachable = findings.unreachable or {}
    return [w for w in step.live if w.pod and w.pod.ready and w.name not in unreachable]
