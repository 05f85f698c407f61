"""The plan: what is missing, stale or too much, from what was asked for and what is there.

`make_plan` is pure and can be read as the specification of the operator. Carrying a plan out and
planning again gives an empty plan; from any state, in any order of events, the same end is reached.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from casita.api.conditions import Reason
from casita.api.names import AUTHORITY_ANNOTATION, HASH_ANNOTATION, RUN_ANNOTATION
from casita.api.session import Lifecycle, SessionSpec
from casita.config import Site
from casita.manifests.common import Manifest, Owner, labels, with_hash
from casita.manifests.network_policy import network_policy
from casita.manifests.pods import scheduler_name
from casita.manifests.resources import POD, SECRET, Resource, children
from casita.manifests.route import route
from casita.manifests.secrets import (
    AUTHORITY,
    LEAVES,
    SCHEDULER,
    TOKENS,
    WORKER,
    leaf_hash,
    secret_name,
)
from casita.manifests.service import service
from casita.sessions.batch_plan import BatchPlan, plan_batch, plan_withdrawal
from casita.sessions.observed import Child, ChildKey, authority_certificate, deviates
from casita.sessions.pods import plan_pods
from casita.sessions.refusal import Refusal, refuse
from casita.sessions.renewal import end_of_life, renewal_time
from casita.sessions.scaling import PoolPlan
from casita.sessions.token_plan import TokenPlan, plan_tokens
from casita.sessions.view import View, Write, find


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do, in the order of the fields, and what was found.

    Attributes:
        seek_authority: it is not seen although what it signed is there: nothing else is done if
            it turns out to be there too, say without its labels.
        withdraw: objects to delete.
        new_authority: make the session's authority.
        leaves: roles whose leaf is to be made: missing, stale or due for renewal.
        verify: Secrets that somebody else may have changed: read, and replace if damaged.
        write: objects to create, or to apply over the one with the given uid.
        repair: objects as they should be, for those with the given uid that somebody edited.
        tokens: what is to be done about the session's tokens.
        relabel: Secrets and pods whose labels somebody changed, with those they should have.
        settled: objects that were compared and are as planned.
        blockers: objects in the way, of a deleted session of this name or still going.
        update_pending: the scheduler runs from an older template.
        batch: what is to be done about jobs.
        due: when to plan again, if nothing happens before.
    """

    refusal: Refusal | None = None
    stopped: Reason | None = None
    seek_authority: bool = False
    withdraw: tuple[Child, ...] = ()
    new_authority: bool = False
    leaves: tuple[str, ...] = ()
    verify: tuple[Child, ...] = ()
    tokens: TokenPlan = field(default_factory=TokenPlan)
    write: tuple[Write, ...] = ()
    repair: tuple[tuple[Resource, Manifest, str], ...] = ()
    relabel: tuple[tuple[Child, Mapping[str, str]], ...] = ()
    settled: tuple[ChildKey, ...] = ()
    blockers: tuple[Child, ...] = ()
    update_pending: bool = False
    pools: tuple[PoolPlan, ...] = ()
    batch: BatchPlan = field(default_factory=BatchPlan)
    due: datetime | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What every running session has, whatever is there now: it follows from owner and site alone.

    Attributes:
        static: Service, policy and route, with their hashes.
        leaf_hashes: by role.
    """

    static: tuple[tuple[Resource, Manifest], ...]
    leaf_hashes: Mapping[str, str]


def wanted_of(owner: Owner, site: Site) -> Wanted:
    """Return what a session of this owner has on this site."""
    kinds = {resource.kind: resource for resource in children(site.gateway.route_api)}
    planned = (service(owner), route(owner, site), network_policy(owner, site))
    return Wanted(
        static=tuple((kinds[m["kind"]], with_hash(m)) for m in planned if m is not None),
        leaf_hashes={role: leaf_hash(owner, site, role) for role in LEAVES},
    )


def make_plan(view: View, wanted: Wanted | None = None) -> Plan:
    """Decide what is to be done for one session.

    `wanted` is that of the view's owner and site, if it is at hand from an earlier plan.
    """
    mine = [c for c in view.children.values() if c.owner_uid == view.owner.uid]
    authority = find(mine, SECRET, secret_name(view.owner, AUTHORITY))
    doubt = authority is not None and _in_doubt(view, authority)
    stopped = _stop_reason(view, None if doubt else authority)
    if stopped:
        batch = plan_withdrawal(view, ends=True)
        return Plan(stopped=stopped, withdraw=_not_deleting(mine), batch=batch)
    refusal = refuse(view.spec, view.site)
    if refusal:
        return Plan(refusal=refusal, batch=plan_withdrawal(view, ends=True))
    strangers = tuple(c for c in view.children.values() if c.owner_uid != view.owner.uid)
    if strangers:
        return Plan(blockers=strangers)
    if doubt and authority is not None:
        return Plan(verify=(authority,))  # nothing is concluded from what others may have written
    return _run(view, wanted or wanted_of(view.owner, view.site), mine, authority)


def run_of(run_id: str | None) -> str:
    """Return the annotation that ties an authority to the ``spec.runId`` it was made for."""
    return hashlib.sha256((run_id or "").encode()).hexdigest()[:16]


def _stop_reason(view: View, authority: Child | None) -> Reason | None:
    if view.spec.lifecycle is Lifecycle.STOPPED:
        return Reason.STOPPED
    if view.stopped:
        return view.stopped
    if authority is None or not _of_this_run(authority, view.spec):
        return None
    if view.now >= end_of_life(authority, view.spec.max_lifetime_seconds):
        return Reason.LIFETIME_EXCEEDED
    end = _idle_end(view)
    return Reason.IDLE_STOPPED if end and view.now >= end else None


def _idle_end(view: View) -> datetime | None:
    """Return when a session that is not in use stops, if it stays so."""
    if view.idle_since is None or view.spec.idle_timeout_seconds is None:
        return None
    return view.idle_since + timedelta(seconds=view.spec.idle_timeout_seconds)


def _run(view: View, wanted: Wanted, mine: list[Child], authority: Child | None) -> Plan:
    keyed = [c for c in mine if c.resource in (SECRET, POD)]
    if authority is None or authority.deleting or not _of_this_run(authority, view.spec):
        # Nothing of an older run, or of an authority that is lost, can be used any more. The new
        # authority comes once all of it is gone.
        if keyed:
            return Plan(
                seek_authority=authority is None,
                withdraw=_not_deleting(keyed),
                blockers=tuple(keyed),
                batch=BatchPlan() if authority is None else plan_withdrawal(view, ends=False),
            )
        return _complete(view, wanted, mine, None)
    fingerprint = authority.facts.get(AUTHORITY_ANNOTATION, "")
    stale = [c for c in keyed if c.facts.get(AUTHORITY_ANNOTATION) != fingerprint]
    if stale:
        return Plan(withdraw=_not_deleting(stale), blockers=tuple(stale))
    return _complete(view, wanted, mine, authority)


def _complete(view: View, wanted: Wanted, mine: list[Child], authority: Child | None) -> Plan:
    """Plan the whole of a running session, whose authority is there or is to be made first.

    Pods name the authority they belong to, so they follow in the plan after it exists.
    """
    leaves, verify, dues = _plan_secrets(view, wanted, mine)
    static = _plan_static(wanted, mine)
    if authority is None:
        return replace(static, new_authority=True, leaves=leaves, verify=verify)
    dues.append(end_of_life(authority, view.spec.max_lifetime_seconds))
    fingerprint = authority.facts.get(AUTHORITY_ANNOTATION, "")
    pods = plan_pods(view, mine, fingerprint)
    batch = plan_batch(view, pods.pools, fingerprint)
    dues += pods.dues
    dues += [due for due in (batch.due, _idle_end(view)) if due]
    secret = find(mine, SECRET, secret_name(view.owner, TOKENS))
    tokens = plan_tokens(secret, view.owner.uid, view.spec, view.site, view.material, view.now)
    if tokens.due:
        dues.append(tokens.due)
    return replace(
        static,
        withdraw=pods.withdraw + ((secret,) if secret and tokens.withdraw else ()),
        leaves=leaves,
        verify=verify,
        tokens=tokens,
        write=static.write + pods.write,
        relabel=_plan_labels(view, mine),
        blockers=pods.blockers,
        update_pending=pods.update_pending,
        pools=pods.pools,
        batch=batch,
        due=min(dues),
    )


def _plan_secrets(
    view: View, wanted: Wanted, mine: list[Child]
) -> tuple[tuple[str, ...], tuple[Child, ...], list[datetime]]:
    leaves, verify, dues = [], [], []
    for role in LEAVES:
        secret = find(mine, SECRET, secret_name(view.owner, role))
        if secret is not None and secret.deleting:
            continue  # made again when its going is seen
        if secret is None or secret.planned_hash != wanted.leaf_hashes[role]:
            leaves.append(role)
            continue
        due = renewal_time(secret, view.owner.uid)
        if due <= view.now:
            leaves.append(role)
            continue
        if secret.suspect:
            verify.append(secret)
        dues.append(due)
    return tuple(leaves), tuple(verify), dues


def _plan_static(wanted: Wanted, mine: list[Child]) -> Plan:
    """Service, route and policy: written if absent or planned differently now; edits are undone."""
    write: list[Write] = []
    repair: list[tuple[Resource, Manifest, str]] = []
    settled: list[ChildKey] = []
    for resource, manifest in wanted.static:
        metadata = manifest["metadata"]
        child = find(mine, resource, metadata["name"])
        if child is None:
            write.append((resource, manifest, None))
        elif child.deleting:
            continue  # made again when its going is seen
        elif child.planned_hash != metadata["annotations"][HASH_ANNOTATION]:
            write.append((resource, manifest, child.uid))
        elif _edited(manifest, child):
            repair.append((resource, manifest, child.uid))
        elif child.unchecked is not None:
            settled.append(child.key)
    return Plan(write=tuple(write), repair=tuple(repair), settled=tuple(settled))


def _edited(manifest: Manifest, child: Child) -> bool:
    if deviates(manifest["metadata"]["labels"], child.labels):
        return True
    return child.unchecked is not None and deviates(manifest["spec"], json.loads(child.unchecked))


def _plan_labels(view: View, mine: Iterable[Child]) -> tuple[tuple[Child, Mapping[str, str]], ...]:
    """Labels of Secrets and pods; of those that have lost the session's own nothing is seen."""
    planned = {(SECRET.kind, secret_name(view.owner, role)): role for role in (*LEAVES, TOKENS)}
    planned[POD.kind, scheduler_name(view.owner)] = SCHEDULER
    found = []
    for child in mine:
        role = planned.get(child.key, WORKER if child.component == WORKER else None)
        if role is None or child.deleting or child.resource not in (SECRET, POD):
            continue
        wanted = labels(view.owner, role)
        if deviates(wanted, child.labels):
            found.append((child, wanted))
    return tuple(found)


def _in_doubt(view: View, authority: Child) -> bool:
    """Say whether an authority must be read before anything is concluded from its metadata."""
    if authority.deleting:
        return False
    if authority.suspect or deviates(labels(view.owner, AUTHORITY), authority.labels):
        return True
    return authority_certificate(authority) is None


def _of_this_run(authority: Child, spec: SessionSpec) -> bool:
    return authority.facts.get(RUN_ANNOTATION) == run_of(spec.run_id)


def _not_deleting(found: Iterable[Child]) -> tuple[Child, ...]:
    return tuple(c for c in found if not c.deleting)
