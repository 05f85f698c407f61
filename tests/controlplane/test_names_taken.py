"""A child's name that a stranger's object has: told, the stranger untouched, healed afterwards."""

import pytest

from casita.api.names import COMPONENT_LABEL, SESSION_LABEL, slug
from tests.controlplane.conftest import Operate
from tests.support.bed import Bed
from tests.support.cluster import KINDS, Json, condition, eventually

CONTAINER = {"name": "any", "image": "example.org/any:1"}
RULES = [{"backendRefs": [{"name": "elsewhere", "port": 1}]}]
STRANGERS: dict[str, Json] = {
    "Secret": {"stringData": {"mine": "keep"}},
    "Service": {"spec": {"clusterIP": "None", "selector": {"app": "mine"}}},
    "NetworkPolicy": {"spec": {"podSelector": {"matchLabels": {"app": "mine"}}}},
    "TLSRoute": {"spec": {"hostnames": ["mine.example.org"], "rules": RULES}},
    "Pod": {"spec": {"containers": [CONTAINER]}},
}

TAKEN = [
    ("Secret", "authority", "CredentialsReady"),
    ("Secret", "scheduler", "CredentialsReady"),
    ("Secret", "client", "CredentialsReady"),
    ("Service", "", "SchedulerReady"),
    ("NetworkPolicy", "", "SchedulerReady"),
    ("TLSRoute", "", "RouteReady"),
    ("Pod", "scheduler", "SchedulerReady"),
    ("Pod", "local-0", "WorkersReady"),
]


@pytest.mark.parametrize("labelled", [False, True], ids=["bare", "with-our-labels"])
@pytest.mark.parametrize(("kind", "suffix", "told_by"), TAKEN)
async def test_a_strangers_object_is_told_and_left_and_its_removal_heals(
    bed: Bed, operate: Operate, kind: str, suffix: str, told_by: str, labelled: bool
) -> None:
    name = bed.child_name(suffix)
    api_version, _ = KINDS[kind]
    metadata: Json = {"name": name, "namespace": bed.namespace}
    if labelled:
        prefix = slug(bed.namespace, "alice")
        metadata["labels"] = {SESSION_LABEL: prefix, COMPONENT_LABEL: suffix or "scheduler"}
    body = {"apiVersion": api_version, "kind": kind, "metadata": metadata, **STRANGERS[kind]}
    stranger = bed.cluster.create(body)
    with operate():
        bed.create(scaling={"mode": "Manual"}, replicas=1)
        session = await bed.until(told_by, "False", "NameTaken")
        assert name in condition(session, told_by)["message"]
        if told_by != "WorkersReady":
            # Ready tells the first part that is missing, which may be one that depends on this.
            assert condition(session, "Ready")["status"] == "False"
        bed.create("bob")
        await bed.until_issued("bob")
        present = bed.cluster.get(*KINDS[kind], name, bed.namespace)
        for fact in ("uid", "resourceVersion"):
            assert present["metadata"][fact] == stranger["metadata"][fact]
        bed.cluster.delete(*KINDS[kind], name, bed.namespace)
        await eventually(lambda: bed.uid(kind, suffix) != stranger["metadata"]["uid"])
        session = await bed.until_issued()
        await eventually(lambda: condition(bed.session(), told_by)["reason"] != "NameTaken")


async def test_a_child_whose_owner_was_taken_away_is_a_strangers(
    bed: Bed, operate: Operate
) -> None:
    with operate():
        bed.create()
        await bed.until_issued()
        orphan = bed.uid("Service")
        bed.edit_child("Service", "", {"metadata": {"ownerReferences": None}})
        await bed.until("SchedulerReady", "False", "NameTaken")
        assert bed.uid("Service") == orphan
        bed.delete_child("Service")
        await eventually(lambda: bed.uid("Service") != orphan)
