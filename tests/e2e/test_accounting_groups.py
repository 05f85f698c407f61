"""Whose share a job runs on: groups that the site has, in one's own name, and no other.

The groups are those of tests/cluster/values.yaml.
"""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.cluster.access import image_references
from tests.e2e.conftest import NAMESPACE
from tests.support import kubectl
from tests.support.pool import (
    CondorError,
    User,
    at_access_point,
    client_pod,
    signing_key,
    token,
)

ATTRIBUTES = ("AccountingGroup", "AcctGroup", "JobStatus")


@pytest.fixture(scope="module")
def erin() -> Iterator[User]:
    """A user with a good token, in a pod of a session; what she leaves in the queue is removed."""
    pod = f"groups-{uuid4().hex[:8]}"
    references = image_references()
    images = {"tools": references["htcondor"], "wheel": references["operator"]}
    kubectl.run("apply", "-f", "-", stdin=json.dumps(client_pod(pod, NAMESPACE, images)))
    kubectl.run("-n", NAMESPACE, "wait", "--for=condition=Ready", f"pod/{pod}", "--timeout=60s")
    user = User(NAMESPACE, pod, "erin")
    user.give(token(signing_key(), user.name))
    yield user
    for action in ("Remove", "RemoveX"):
        user.do("act", action=action, constraint=f'Owner == "{user.name}"')
    kubectl.run("-n", NAMESPACE, "delete", "pod", pod, "--now", "--wait=false")


@pytest.mark.parametrize("group", ["cms", "cms.top"])
def test_a_job_is_accounted_to_its_group_and_owner(erin: User, group: str) -> None:
    job = erin.submit("exit 0", accounting_group=group, accounting_group_user=erin.name)
    found = erin.ad(job, *ATTRIBUTES)
    assert (found["AccountingGroup"], found["AcctGroup"]) == (f"{group}.{erin.name}", group)


def test_a_job_without_a_group_is_its_owners(erin: User) -> None:
    assert erin.ad(erin.submit("exit 0"), "Owner")["Owner"] == erin.name


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (
            {"accounting_group": "atlas", "accounting_group_user": "erin"},
            "accounting group atlas is none of this pool's: cms, cms.top",
        ),
        (
            {"accounting_group": "cms", "accounting_group_user": "frank"},
            "accounting_group_user must be your own name",
        ),
        ({"accounting_group_user": "frank"}, "is none of this pool's"),
        ({"nice_user": "true"}, "is none of this pool's"),
        ({"+AccountingGroup": '"cms.frank"'}, "is none of this pool's"),
    ],
    ids=["unknown", "another-user", "user-alone", "nice", "by-attribute"],
)
def test_what_would_escape_a_share_is_refused_with_the_reason(
    erin: User, lines: dict[str, Any], words: str
) -> None:
    with pytest.raises(CondorError) as refused:
        erin.submit("exit 0", **lines)
    assert words in str(refused.value)


@pytest.mark.parametrize("name", ["AccountingGroup", "AcctGroup", "AcctGroupUser"])
def test_a_jobs_group_cannot_be_changed_later(erin: User, name: str) -> None:
    job = erin.submit("sleep 600", accounting_group="cms", accounting_group_user=erin.name)
    before = erin.ad(job, name)
    with pytest.raises(CondorError):
        erin.do("edit", constraint=f"ClusterId == {job}", name=name, value='"frank"')
    assert erin.ad(job, name) == before


def test_the_negotiator_knows_the_shares() -> None:
    known = at_access_point("condor_config_val", "-negotiator", "GROUP_NAMES")
    assert known.strip() == "cms, cms.top"
