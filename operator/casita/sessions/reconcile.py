"""One pass over one session: look, plan, act, tell. Level-triggered; the only writer of status."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from casita.api.conditions import ConditionStatus, ConditionType, Reason
from casita.api.names import AUTHORITY_ANNOTATION, BATCH_FINALIZER
from casita.api.session import SessionSpec
from casita.clients.checking.request import CheckAnswer
from casita.clients.kubernetes import KubernetesClient
from casita.config import RouteApi, Site
from casita.credentials.errors import SigningKeyError
from casita.manifests.common import Owner
from casita.manifests.pods import scheduler_name
from casita.manifests.resources import POD, ROUTES, SECRET
from casita.manifests.route import external_host
from casita.manifests.secrets import AUTHORITY, secret_name
from casita.sessions.batch_effects import BatchEffects
from casita.sessions.cache import Cache, SessionKey, SessionRecord
from casita.sessions.conditions import invalid_status, status_of
from casita.sessions.desired import before_of, wish_of
from casita.sessions.effects import Effects, Outcome
from casita.sessions.events import SCALE_IGNORED, ScaleWatch
from casita.sessions.findings import Findings
from casita.sessions.observed import authority_certificate
from casita.sessions.plan import Plan, make_plan, run_of, wanted_of
from casita.sessions.probing import Prober, Target
from casita.sessions.queue import RetryLaterError
from casita.sessions.reports import Reports
from casita.sessions.scaling import Failures
from casita.sessions.shares import Shares
from casita.sessions.telling import Teller
from casita.sessions.token_keys import Material, TokenKeys
from casita.sessions.view import View

_ROUNDS: Final = 3
"""What is in doubt first; then the authority and its leaves; then, with these known, the pods."""

_SELF_STOPPED: Final = (Reason.IDLE_STOPPED, Reason.LIFETIME_EXCEEDED)


class Reconciler:
    """Brings one session at a time to what its specification asks for."""

    def __init__(
        self,
        client: KubernetesClient,
        cache: Cache,
        site: Site,
        effects: Effects,
        batch: BatchEffects,
        prober: Prober,
        reports: Reports,
        shares: Shares,
        clock: Callable[[], datetime],
        token_keys: TokenKeys,
        answers: Callable[[], Mapping[str, CheckAnswer]] = dict,
    ) -> None:
        """Use what is wired together elsewhere; `answers` tells what the site's parts answered."""
        self._teller = Teller(client, cache, clock)
        self._cache = cache
        self._site = site
        self._effects = effects
        self._batch = batch
        self._prober = prober
        self._reports = reports
        self._shares = shares
        self._clock = clock
        self._answers = answers
        self._token_keys = token_keys
        self._failures: dict[SessionKey, Failures] = {}
        self._scale = ScaleWatch()

    async def __call__(self, key: SessionKey) -> float | None:
        """Do one pass; return the seconds until the next is due, if one is.

        Raises:
            RetryLaterError: something could not be done; the status tells what.
        """
        record = self._cache.sessions.get(key)
        if record is not None and record.deleting and BATCH_FINALIZER in record.finalizers:
            self._forget(key)  # but not its share: jobs have their machines until they end
            return await self._batch.end(key, record)
        if record is None or record.deleting:
            # Children go by their owner references; one that vanishes now is not made again.
            self._forget(key)
            self._shares.forget(key)
            self._batch.forget(key)
            return None
        owner = Owner(key[0], key[1], record.uid)
        try:
            spec = SessionSpec.model_validate(record.spec)
        except ValidationError as error:
            status = invalid_status(record.generation, error, record.status, self._clock())
            await self._teller.tell(key, owner, record, status)
            self._shares.forget(key)
            return None
        ignored = self._scale.ignored(key, spec)
        if ignored:
            await self._teller.post(owner, "Normal", SCALE_IGNORED, ignored, "Reconcile")
        record, planned, plan, outcome = await self._act(key, owner, spec, record)
        view = self._view(key, owner, spec, record)
        later = self._prove(key, view, plan, record)
        if not (outcome.complete and self._prober.is_about_to_tell(key)):
            findings = Findings(
                problems=outcome.problems,
                probe=self._prober.result(key, record.uid),
                unreachable=self._unreachable(key, view),
                answers=self._answers(),
                mismatches=self._reports.mismatches(key, self._run(key, owner)),
            )
            if not outcome.terminating:
                status = status_of(view, plan, findings, record.generation, record.status)
                await self._teller.tell(key, owner, record, status)
        jobs_due = await self._batch.carry_out(key, owner, spec, plan.batch, planned.queue)
        if not outcome.complete:
            text = "; ".join(f"{c}: {v.message}" for c, v in outcome.problems.items())
            raise RetryLaterError(text, outcome.retry_after)
        return min((due for due in (later, jobs_due) if due is not None), default=None)

    async def _act(
        self, key: SessionKey, owner: Owner, spec: SessionSpec, record: SessionRecord
    ) -> tuple[SessionRecord, View, Plan, Outcome]:
        """Plan and act; return the session, what the last plan was made of, and what came of it."""
        wanted = wanted_of(owner, self._site)
        for left in reversed(range(_ROUNDS)):
            self._count_failures(key)
            view = self._view(key, owner, spec, record)
            plan = make_plan(view, wanted)
            if plan.stopped in _SELF_STOPPED and view.stopped is None:
                # Told before anything is withdrawn: the status is where the stop is remembered.
                status = status_of(view, plan, Findings({}), record.generation, record.status)
                record = await self._teller.tell(key, owner, record, status)
            outcome = await self._effects.carry_out(key, view, plan)
            if not (outcome.again and outcome.complete and left):
                return record, view, plan, outcome
        raise AssertionError("unreachable: the last round returns")

    def _view(
        self, key: SessionKey, owner: Owner, spec: SessionSpec, record: SessionRecord
    ) -> View:
        material, trouble = self._material()
        run = self._run(key, owner)
        demand, registered = self._reports.demand(key, run), self._reports.registered(key, run)
        same_run = run_of(record.status.get("runId")) == run_of(spec.run_id)
        entries = (record.status.get("workers") or ()) if same_run else ()
        view = View(
            owner=owner,
            spec=spec,
            site=self._site,
            children=dict(self._cache.children(key)),
            now=self._clock(),
            stopped=stopped_by_itself(spec, record.status),
            failures=self._failures[key].by_pool if key in self._failures else {},
            material=material,
            key_trouble=trouble,
            demand=demand,
            before=before_of(spec, record.status),
            registered=registered,
            reported=demand is not None or bool(registered),
            idle_since=self._reports.idle_since(key, run),
            queue=self._batch.view(key, record),
            bound=BATCH_FINALIZER in record.finalizers,
            told={entry["pool"]: entry for entry in entries},
        )
        if not self._shares.limited:
            return view
        allowed = self._shares.allowance(key, spec.user, wish_of(view))
        return replace(view, allowed_cores=allowed)

    def _run(self, key: SessionKey, owner: Owner) -> str:
        """Return the fingerprint of the session's authority; empty if it has none."""
        authority = self._cache.children(key).get((SECRET.kind, secret_name(owner, AUTHORITY)))
        if authority is None or authority.owner_uid != owner.uid:
            return ""
        return authority.facts.get(AUTHORITY_ANNOTATION, "")

    def _material(self) -> tuple[Material | None, str]:
        try:
            return self._token_keys.read(), ""
        except SigningKeyError as error:
            return None, str(error)

    def _count_failures(self, key: SessionKey) -> None:
        pods = [c for c in self._cache.children(key).values() if c.resource is POD]
        if any(p.pod and p.pod.ended for p in pods) or key in self._failures:
            self._failures.setdefault(key, Failures()).count(pods)

    def _prove(
        self, key: SessionKey, view: View, plan: Plan, record: SessionRecord
    ) -> float | None:
        """See to it that the route is proven while there is a scheduler; return when to look."""
        due = [(plan.due - view.now).total_seconds()] if plan.due else []
        target = self._target(view)
        if target is None or plan.refusal or plan.stopped:
            self._prober.forget(key)
        else:
            proven = _is_true(record.status, ConditionType.ROUTE_READY)
            due.append(self._prober.ensure(key, record.uid, target, proven=proven))
        return max(0.0, min(due)) if due else None

    def _target(self, view: View) -> Target | None:
        api = view.site.gateway.route_api
        if api is RouteApi.NONE:
            return None
        scheduler = view.children.get((POD.kind, scheduler_name(view.owner)))
        route = view.children.get((ROUTES[api].kind, view.owner.slug))
        ready = scheduler is not None and scheduler.pod is not None and scheduler.pod.ready
        accepted = route is not None and route.route is not None and route.route.accepted
        authority = view.children.get((SECRET.kind, secret_name(view.owner, AUTHORITY)))
        if not ready or not accepted or authority is None:
            return None
        host, der = external_host(view.owner, view.site), authority_certificate(authority)
        if host is None or der is None:
            return None
        gateway = view.site.gateway
        return Target(gateway.probe_address, gateway.port, host, der)

    def _unreachable(self, key: SessionKey, view: View) -> dict[str, str]:
        names = {c.name for c in view.children.values() if c.resource is POD and not c.deleting}
        names |= {job.worker for job in (view.queue.last if view.queue else None) or ()}
        found = self._reports.unreachable(key, self._run(key, view.owner))
        return {name: error for name, error in found.items() if name in names}

    def _forget(self, key: SessionKey) -> None:
        self._prober.forget(key)
        self._reports.forget(key)
        self._failures.pop(key, None)
        self._scale.forget(key)


def stopped_by_itself(spec: SessionSpec, status: Mapping[str, Any]) -> Reason | None:
    """Return why the session stopped by itself, unless ``spec.runId`` has changed since."""
    ready = _condition(status, ConditionType.READY)
    if ready is None or ready["reason"] not in _SELF_STOPPED:
        return None
    same_run = run_of(status.get("runId")) == run_of(spec.run_id)
    return Reason(ready["reason"]) if same_run else None


def _condition(status: Mapping[str, Any], kind: ConditionType) -> Mapping[str, Any] | None:
    found: list[Mapping[str, Any]] = [
        c for c in status.get("conditions") or () if c["type"] == kind.value
    ]
    return found[0] if found else None


def _is_true(status: Mapping[str, Any], kind: ConditionType) -> bool:
    condition = _condition(status, kind)
    return condition is not None and condition["status"] == ConditionStatus.TRUE
