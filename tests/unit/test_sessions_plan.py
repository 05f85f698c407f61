"""Plans: carrying one out and planning again gives an empty plan, from wherever one begins."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casita.api.conditions import Reason
from casita.api.names import (
    AUTHORITY_ANNOTATION,
    HASH_ANNOTATION,
    ISSUED_AT_ANNOTATION,
    NOT_AFTER_ANNOTATION,
)
from casita.api.session import SessionSpec
from casita.config import Site
from casita.credentials.token import SigningKey
from casita.manifests.common import Manifest, Owner
from casita.manifests.resources import POD, SECRET, Resource
from casita.manifests.secrets import secret_name
from casita.sessions.desired import desired_workers
from casita.sessions.issuing import Keys, make_authority, make_leaf
from casita.sessions.observed import Child, ChildKey, child_of
from casita.sessions.plan import Plan, make_plan
from casita.sessions.refusal import refuse
from casita.sessions.token_keys import Material
from casita.sessions.token_plan import noted_tokens
from casita.sessions.tokens import make_tokens
from casita.sessions.view import View

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OWNER = Owner("casita", "alice", "uid-of-alice")
SITE = Site.model_validate(
    {
        "domain": "af.test",
        "profiles": [{"name": "default", "image": "example.org/notebook:1"}],
        "batch": {
            "collector": "cm.af.test:9618",
            "schedd": "casita@af.test",
            "trustDomain": "af.test",
            "uidDomain": "af.test",
        },
        "cache": {"host": "xcache.af.test"},
    }
)
MATERIAL = Material(SigningKey(b"i" * 32, "0" * 16), SigningKey(b"m" * 32, "1" * 16), b"PEM")
TOKENS_KEY = SECRET.kind, secret_name(OWNER, "tokens")
KEYS = Keys(b"k" * 32, b"-----BEGIN CERTIFICATE-----\n")
AUTHORITY, SECRET_OF_AUTHORITY = make_authority(OWNER, SessionSpec(user="alice"), SITE, KEYS, NOW)

counts = st.integers(0, 6)
pools = st.lists(
    st.builds(
        lambda name, low, more: {"pool": name, "min": low, "max": low + more},
        st.sampled_from(["a", "b", "c"]),
        counts,
        counts,
    ),
    unique_by=lambda pool: str(pool["pool"]),
    max_size=3,
)
specs = st.builds(
    lambda found, mode, replicas: SessionSpec.model_validate(
        {"user": "alice", "workers": found, "scaling": {"mode": mode}, "replicas": replicas}
    ),
    pools,
    st.sampled_from(["Manual", "Adaptive"]),
    st.integers(0, 20),
)


def stored(resource: Resource, manifest: Manifest, uid: str, version: int) -> Child:
    """What a watch tells of an object that was written."""
    server = {"uid": uid, "resourceVersion": str(version)}
    metadata = {**manifest["metadata"], **server}
    if resource is SECRET:
        files: dict[str, Any] = {f"f:{name}": {} for name in manifest["data"]}
        metadata["managedFields"] = [{"manager": "casita", "fieldsV1": {"f:data": files}}]
    child = child_of(resource, {**manifest, "metadata": metadata})
    assert child is not None
    return child


def tokens_of(view: View, children: dict[ChildKey, Child]) -> Manifest:
    authority = children[SECRET.kind, secret_name(OWNER, "authority")]
    fingerprint = authority.facts[AUTHORITY_ANNOTATION]
    return make_tokens(OWNER, view.spec, view.site, MATERIAL, fingerprint, view.now, os.urandom)[1]


def apply(view: View, plan: Plan) -> View:  # noqa: C901 - one step for each field of a plan
    """The API server and nodes that do at once what they are told; the simplest that there are."""
    children: dict[ChildKey, Child] = dict(view.children)
    version = max((child.version for child in children.values()), default=0)

    def put(resource: Resource, manifest: Manifest) -> None:
        nonlocal version
        version += 1
        child = stored(resource, manifest, f"uid-{version}", version)
        children[child.key] = child

    for gone in plan.withdraw:
        children.pop(gone.key, None)
    if plan.new_authority:
        put(SECRET, SECRET_OF_AUTHORITY)
    for role in plan.leaves:
        put(SECRET, make_leaf(role, view.owner, view.site, AUTHORITY, KEYS, view.now)[1])
    if plan.tokens.make:
        put(SECRET, tokens_of(view, children))
    if plan.tokens.verify:
        plan = replace(plan, verify=(*plan.verify, children[TOKENS_KEY]))
    for resource, manifest, _ in (*plan.write, *plan.repair):
        put(resource, manifest)
    for child, labels in plan.relabel:
        children[child.key] = replace(child, labels={**child.labels, **labels})
    for verified in plan.verify:
        if verified.name == secret_name(view.owner, "authority"):
            put(SECRET, SECRET_OF_AUTHORITY)  # what is noted beside the key is put right
        else:
            children[verified.key] = replace(verified, suspect=False)
    for key in plan.settled:
        children[key] = replace(children[key], unchecked=None)
    return replace(view, children=children)


def settle(view: View) -> View:
    """Carry plans out until one has nothing to do."""
    for _ in range(8):
        plan = make_plan(view)
        if is_empty(plan):
            return view
        view = apply(view, plan)
    raise AssertionError(f"no end; the last plan: {plan}")


def is_empty(plan: Plan) -> bool:
    todo: tuple[Any, ...] = (
        plan.withdraw,
        plan.new_authority,
        plan.leaves,
        plan.verify,
        plan.write,
        plan.repair,
        plan.relabel,
        plan.settled,
        plan.blockers,
        plan.seek_authority,
        plan.tokens.make,
        plan.tokens.verify,
    )
    return not any(todo)


def view_of(spec: SessionSpec) -> View:
    return View(OWNER, spec, SITE, {}, NOW, material=MATERIAL)


@settings(max_examples=60, deadline=None)
@given(specs)
def test_from_nothing_everything_is_made_once_and_then_nothing_is_to_do(spec: SessionSpec) -> None:
    view = settle(view_of(spec))
    assert make_plan(view) == make_plan(view)
    pods = [child for child in view.children.values() if child.resource is POD]
    wanted = desired_workers(view, spec.workers or (), SITE.profiles[0].limits.workers).workers
    assert len(pods) == 1 + sum(wanted.values())
    assert sum(child.resource is SECRET for child in view.children.values()) == 5


@settings(max_examples=60, deadline=None)
@given(specs, specs, st.data())
def test_from_any_state_the_same_end_is_reached(
    first: SessionSpec, second: SessionSpec, data: st.DataObject
) -> None:
    view = settle(view_of(first))
    lost = data.draw(st.sets(st.sampled_from(sorted(view.children)), max_size=4))
    edited = data.draw(st.sets(st.sampled_from(sorted(view.children)), max_size=4))
    children: dict[ChildKey, Child] = {}
    for key, child in view.children.items():
        if key in lost:
            continue
        facts = dict(child.facts)
        if key in edited and key[0] != "Pod":
            facts.pop(HASH_ANNOTATION, None)
        labels = {} if key in edited else child.labels
        component = {k: v for k, v in child.labels.items() if k.endswith("component")}
        pool = {k: v for k, v in child.labels.items() if k.endswith("pool")}
        children[key] = replace(child, facts=facts, labels={**labels, **component, **pool})
    ended = settle(replace(view, spec=second, children=children))
    expected = settle(view_of(second))
    others = {key for key in ended.children if key[0] != "Pod"}
    assert others == {key for key in expected.children if key[0] != "Pod"}
    counted = [sum(key[0] == "Pod" for key in each.children) for each in (ended, expected)]
    assert counted[0] == counted[1]


def test_leaves_are_renewed_between_three_fifths_and_two_thirds_of_their_life() -> None:
    plain = Site.model_validate({**SITE.model_dump(), "batch": None, "cache": None})
    view = settle(replace(view_of(SessionSpec(user="alice")), site=plain))
    due = make_plan(view).due
    assert due is not None
    week = timedelta(days=7)
    assert NOW + week * 0.6 < due <= NOW + week * 2 / 3
    assert set(make_plan(replace(view, now=NOW + week * 0.6)).leaves) == set()
    later = make_plan(replace(view, now=NOW + week * 2 / 3 + timedelta(seconds=1)))
    assert set(later.leaves) == {"scheduler", "worker", "client"}
    assert not later.new_authority


def test_dates_that_cannot_be_read_make_a_leaf_due_at_once() -> None:
    view = settle(view_of(SessionSpec(user="alice")))
    key = SECRET.kind, secret_name(OWNER, "worker")
    for text in ("", "yesterday", "2026-01-01"):
        for annotation in (ISSUED_AT_ANNOTATION, NOT_AFTER_ANNOTATION):
            child = view.children[key]
            damaged = replace(child, facts={**child.facts, annotation: text})
            plan = make_plan(replace(view, children={**view.children, key: damaged}))
            assert plan.leaves == ("worker",)


def test_everything_of_another_authority_is_withdrawn_before_anything_is_made() -> None:
    view = settle(view_of(SessionSpec(user="alice")))
    key = SECRET.kind, secret_name(OWNER, "worker")
    stale = replace(
        view.children[key], facts={**view.children[key].facts, AUTHORITY_ANNOTATION: "0" * 16}
    )
    plan = make_plan(replace(view, children={**view.children, key: stale}))
    assert plan.withdraw == (stale,)
    assert not plan.write
    assert not plan.leaves


def test_tokens_are_renewed_by_half_their_life_and_nothing_else_with_them() -> None:
    view = settle(view_of(SessionSpec(user="alice")))
    due, half = make_plan(view).due, NOW + timedelta(hours=6)
    assert due is not None
    assert half - timedelta(hours=0.6) <= due <= half
    plan = make_plan(replace(view, now=half))
    assert plan.tokens.make
    assert (plan.leaves, plan.write, plan.withdraw) == ((), (), ())


def test_tokens_end_with_the_run_that_they_were_made_in() -> None:
    view = settle(view_of(SessionSpec(user="alice")))
    plan = make_plan(replace(view, spec=SessionSpec(user="alice", run_id="2")))
    assert secret_name(OWNER, "tokens") in {child.name for child in plan.withdraw}


def test_a_stopped_session_keeps_no_token() -> None:
    view = settle(view_of(SessionSpec(user="alice")))
    stopped = SessionSpec.model_validate({"user": "alice", "lifecycle": "Stopped"})
    names = {child.name for child in make_plan(replace(view, spec=stopped)).withdraw}
    assert secret_name(OWNER, "tokens") in names


def test_a_site_that_gives_up_its_cache_takes_the_tokens_back_and_gives_what_is_left() -> None:
    view = settle(view_of(SessionSpec(user="alice")))
    without = Site.model_validate({**SITE.model_dump(), "cache": None})
    plan = make_plan(replace(view, site=without))
    assert [child.name for child in plan.withdraw] == [secret_name(OWNER, "tokens")]
    ended = settle(replace(view, site=without))
    noted = noted_tokens(ended.children[SECRET.kind, secret_name(OWNER, "tokens")])
    assert set(noted) == {"idtoken"}


@pytest.mark.parametrize(
    ("asked", "grant", "refused"),
    [
        ("/store/cms/x", "/store/cms/", False),
        ("/store/cms", "/store/cms/", False),
        ("/store/cmsx/", "/store/cms/", True),
        ("/store/", "/store/cms/", True),
        ("/", "", True),
        ("/store/", "", False),
        ("/store/", "None", True),
    ],
)
def test_data_beyond_the_profiles_grant_is_refused(asked: str, grant: str, refused: bool) -> None:
    values = SITE.model_dump()
    values["profiles"] = [{"name": "default", "image": "x", "data_path_prefix": grant}]
    spec = SessionSpec.model_validate({"user": "a", "dataAccess": {"pathPrefix": asked}})
    refusal = refuse(spec, Site.model_validate(values))
    assert (refusal is not None) == refused
    if refusal:
        assert refusal.reason is Reason.EXCEEDS_PROFILE
        assert "data" in refusal.message
