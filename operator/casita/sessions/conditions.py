"""Status and conditions: what was seen, told in words."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from casita.api.conditions import ConditionStatus, ConditionType, Reason
from casita.api.names import (
    COMPONENT_LABEL,
    SESSION_LABEL,
    WORKER,
)
from casita.config import RouteApi
from casita.manifests.pods import scheduler_name
from casita.manifests.resources import POD, ROUTES, SECRET
from casita.manifests.secrets import (
    AUTHORITY,
    CLIENT,
    LEAVES,
    TOKENS,
    addresses,
    secret_name,
    timestamp,
)
from casita.sessions.check_reasons import CACHE_REASONS, told
from casita.sessions.checks import CACHE
from casita.sessions.credentials import credentials
from casita.sessions.findings import Findings, Verdict, told_before
from casita.sessions.observed import Child
from casita.sessions.plan import Plan
from casita.sessions.pods import plan_pools
from casita.sessions.scaling import PoolPlan
from casita.sessions.services_ready import services_ready
from casita.sessions.tokens import data_prefix, token_names
from casita.sessions.view import View, find
from casita.sessions.workers_ready import pool_status, workers_ready

MAX_MESSAGE: Final = 1024

_OF_THE_CACHE: Final = frozenset(CACHE_REASONS.values())


def status_of(
    view: View, plan: Plan, findings: Findings, generation: int, previous: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the whole status, as it is written: null is what the server is to take away.

    No list has a null in it.

    The message and reason of a condition may change at any time; its transition time only with its
    status.
    """
    mine = [c for c in view.children.values() if c.owner_uid == view.owner.uid]
    running = plan.refusal is None and plan.stopped is None
    # As it is now: what the plan counted may have come or gone while it was carried out.
    pools = plan_pools(view, mine) if running else ()
    verdicts = _verdicts(view, plan, findings, mine, pools, previous)
    where = addresses(view.owner, view.site)
    workers = [pool_status(view, step, findings) for step in pools]
    status: dict[str, Any] = {
        "observedGeneration": generation,
        "runId": view.spec.run_id,
        "conditions": _conditions(verdicts, generation, previous, view.now),
        "scheduler": None,
        "credentialsSecretName": None,
        "tokensSecretName": None,
        "credentials": credentials(view, mine),
        "workers": workers,
        "replicas": sum(pool["ready"] for pool in workers),
        "selector": f"{SESSION_LABEL}={view.owner.slug},{COMPONENT_LABEL}={WORKER}",
    }
    if running:
        status["credentialsSecretName"] = secret_name(view.owner, CLIENT)
        if token_names(view.spec, view.site):
            status["tokensSecretName"] = secret_name(view.owner, TOKENS)
        status["scheduler"] = {
            "address": where.internal,
            "externalAddress": where.external,
            "dashboardAddress": where.dashboard,
        }
    return status


def invalid_status(
    generation: int, error: Exception, previous: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    """Return the status of a session whose specification this release cannot read."""
    refused = Verdict(None, Reason.SPEC_REFUSED, "see the condition Ready")
    verdicts = dict.fromkeys(ConditionType, refused)
    verdicts[ConditionType.READY] = Verdict(False, Reason.SPEC_INVALID, str(error))
    return {
        "observedGeneration": generation,
        "conditions": _conditions(verdicts, generation, previous, now),
    }


def _verdicts(
    view: View,
    plan: Plan,
    findings: Findings,
    mine: list[Child],
    pools: tuple[PoolPlan, ...],
    previous: Mapping[str, Any],
) -> dict[ConditionType, Verdict]:
    if plan.refusal:
        refused = Verdict(None, Reason.SPEC_REFUSED, "see the condition Ready")
        verdicts = dict.fromkeys(ConditionType, refused)
        verdicts[ConditionType.READY] = Verdict(False, plan.refusal.reason, plan.refusal.message)
        return verdicts
    if plan.stopped:
        return dict.fromkeys(ConditionType, _stopped(view, plan.stopped))
    scheduler = _scheduler_ready(view, plan, mine)
    verdicts = {
        ConditionType.CREDENTIALS_READY: _credentials_ready(view, plan, mine),
        ConditionType.SCHEDULER_READY: scheduler,
        ConditionType.ROUTE_READY: _route_ready(view, scheduler, findings, mine),
        ConditionType.WORKERS_READY: workers_ready(view, findings, pools, previous),
        ConditionType.DATA_READY: _data_ready(view, findings, previous),
        ConditionType.SERVICES_READY: services_ready(view, findings, previous),
    }
    verdicts.update(findings.problems)
    missing = next(
        (
            verdicts[part]
            for part in (
                ConditionType.CREDENTIALS_READY,
                ConditionType.SCHEDULER_READY,
                ConditionType.ROUTE_READY,
            )
            if not verdicts[part].status
        ),
        None,
    )
    ready = missing or Verdict(True, Reason.READY, "clients can connect")
    return {
        ConditionType.READY: Verdict(ready.status or False, ready.reason, ready.message),
        **verdicts,
    }


def _stopped(view: View, reason: Reason) -> Verdict:
    idle = view.spec.idle_timeout_seconds
    text = f" for {idle} s (spec.idleTimeoutSeconds)" if idle else ""
    messages = {
        Reason.STOPPED: "stopped as asked; set spec.lifecycle to Running to start anew",
        Reason.IDLE_STOPPED: f"stopped for having no client and no task{text}; set a new "
        "spec.runId to start anew",
        Reason.LIFETIME_EXCEEDED: "stopped at the end of its life; set a new spec.runId to start "
        "anew",
    }
    return Verdict(False, reason, messages[reason])


def _credentials_ready(view: View, plan: Plan, mine: list[Child]) -> Verdict:
    foreign = [c for c in plan.blockers if c.owner_uid != view.owner.uid]
    if foreign:
        return Verdict(
            False,
            Reason.WAITING_FOR_PREDECESSOR,
            f"{len(foreign)} objects of a deleted session of this name are still being removed, "
            f"first {foreign[0].resource.kind} {foreign[0].name}",
        )
    names = {c.name for c in mine if c.resource is SECRET and not c.deleting}
    roles = [AUTHORITY, *LEAVES, *([TOKENS] if token_names(view.spec, view.site) else [])]
    missing = [role for role in roles if secret_name(view.owner, role) not in names]
    if missing or any(c.resource is SECRET for c in plan.blockers):
        return Verdict(False, Reason.ISSUING, "certificates and tokens are being made")
    return Verdict(True, Reason.ISSUED, "all certificates and tokens are valid")


def _scheduler_ready(view: View, plan: Plan, mine: list[Child]) -> Verdict:
    pod = find(mine, POD, scheduler_name(view.owner))
    if pod is None or pod.pod is None or pod.deleting:
        return Verdict(False, Reason.STARTING, "the scheduler's pod is being made")
    if not pod.pod.ready:
        message = pod.pod.message or "the scheduler is starting"
        return Verdict(False, pod.pod.reason, message)
    if plan.update_pending:
        return Verdict(
            True,
            Reason.UPDATE_PENDING,
            "the scheduler answers; a newer template takes effect when spec.runId changes",
        )
    return Verdict(True, Reason.READY, "the scheduler answers")


def _route_ready(view: View, scheduler: Verdict, findings: Findings, mine: list[Child]) -> Verdict:
    api = view.site.gateway.route_api
    if api is RouteApi.NONE:
        return Verdict(True, Reason.NOT_CONFIGURED, "this site routes nothing from outside")
    route = next((c for c in mine if c.resource is ROUTES[api]), None)
    refused = route is not None and route.route is not None and route.route.accepted is False
    if not refused and not scheduler.status:
        return Verdict(False, Reason.AWAITING_SCHEDULER, "proven once the scheduler answers")
    if route is None or route.route is None or route.route.accepted is None:
        return Verdict(
            False,
            Reason.AWAITING_GATEWAY,
            f"gateway {view.site.gateway.namespace}/{view.site.gateway.name} has not answered",
        )
    if not route.route.accepted:
        return Verdict(False, Reason.ROUTE_REFUSED, route.route.message)
    if findings.probe is None:
        return Verdict(False, Reason.AWAITING_GATEWAY, "the gateway is being tried")
    return Verdict(findings.probe.reached, findings.probe.reason, findings.probe.message)


def _data_ready(view: View, findings: Findings, previous: Mapping[str, Any]) -> Verdict:
    cache = view.site.cache
    if cache is None:
        return Verdict(True, Reason.NOT_CONFIGURED, "this site has no data cache")
    if data_prefix(view.spec, view.site) is None:
        return Verdict(True, Reason.NOT_CONFIGURED, "the session's profile grants no data")
    if cache.probe_path is None:
        text = "nobody tries: the site names no file for it (global.cache.probePath)"
        return Verdict(None, Reason.NOT_TRIED, text)
    answer = findings.answers.get(CACHE)
    if answer is None and (
        before := told_before(previous, ConditionType.DATA_READY, _OF_THE_CACHE)
    ):
        return before
    return Verdict(*told(answer, CACHE_REASONS))


def _conditions(
    verdicts: Mapping[ConditionType, Verdict],
    generation: int,
    previous: Mapping[str, Any],
    now: datetime,
) -> list[dict[str, Any]]:
    before = {c["type"]: c for c in previous.get("conditions") or ()}
    found = []
    for kind in ConditionType:
        verdict = verdicts[kind]
        status = _STATUS[verdict.status]
        old = before.get(kind.value)
        changed_at = (
            old["lastTransitionTime"] if old and old["status"] == status else timestamp(now)
        )
        found.append(
            {
                "type": kind.value,
                "status": status.value,
                "reason": verdict.reason.value,
                "message": verdict.message[:MAX_MESSAGE],
                "lastTransitionTime": changed_at,
                "observedGeneration": generation,
            }
        )
    return found


_STATUS: Final = {
    True: ConditionStatus.TRUE,
    False: ConditionStatus.FALSE,
    None: ConditionStatus.UNKNOWN,
}
