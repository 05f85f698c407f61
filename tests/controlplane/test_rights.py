"""The rights that the chart gives the operator are enough, all used, and what lacks is told."""

import ssl
from collections.abc import Iterator
from copy import deepcopy
from functools import partial

import pytest

from casita.api.names import SESSION_LABEL
from casita.clients.kubernetes import Connection
from casita.config import Site
from tests.chart.helm import render
from tests.cluster.control_plane import ControlPlane
from tests.controlplane.conftest import Operate
from tests.support.bed import Bed
from tests.support.cluster import KINDS, Json, condition, eventually
from tests.support.gateway import Gateway

ACCOUNT = "casita-operator"
VALUES: Json = {"global": {"domain": "af.test"}}
RIGHTS_FOR_OTHERS = {
    # Asked for by the admission plug-in OwnerReferencesPermissionEnforcement, which is not on here.
    ("update", "analysissessions/finalizers"),
}


@pytest.fixture(scope="module")
def role() -> Json:
    """The operator's Role in a namespace of sessions, as the chart renders it."""
    return dict(render(VALUES).one("Role", ACCOUNT, "casita"))


@pytest.fixture
def account(plane: ControlPlane, bed: Bed, role: Json) -> Connection:
    """The operator's connection as a service account with that Role and nothing else."""
    where = {"namespace": bed.namespace}
    bed.cluster.create(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT, **where}}
    )
    bed.cluster.create({**deepcopy(role), "metadata": {"name": ACCOUNT, **where}})
    api_group = "rbac.authorization.k8s.io"
    bed.cluster.create(
        {
            "apiVersion": f"{api_group}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": ACCOUNT, **where},
            "roleRef": {"apiGroup": api_group, "kind": "Role", "name": ACCOUNT},
            "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, **where}],
        }
    )
    token = plane.kubectl("create", "token", ACCOUNT, "-n", bed.namespace).strip()
    context = ssl.create_default_context(cafile=str(plane.ca_file))
    return Connection(plane.url, context, {}, lambda: token)


def asked(plane: ControlPlane, bed: Bed) -> Iterator[Json]:
    """Yield what the service account asked in the namespace."""
    user = f"system:serviceaccount:{bed.namespace}:{ACCOUNT}"
    for event in plane.audit_events():
        if event["user"]["username"] == user:
            yield event


def without(role: Json, resource: str, *verbs: str) -> Json:
    """Return the rules of a Role, less these verbs on one resource."""
    rules = []
    for rule in role["rules"]:
        others = [name for name in rule["resources"] if name != resource]
        rules.append({**rule, "resources": others})
        if resource in rule["resources"]:
            kept = [verb for verb in rule["verbs"] if verb not in verbs]
            rules.append({**rule, "resources": [resource], "verbs": kept})
    return {"rules": [rule for rule in rules if rule["resources"] and rule["verbs"]]}


async def test_the_charts_role_is_enough_and_every_right_in_it_is_used(
    bed: Bed,
    operate: Operate,
    account: Connection,
    role: Json,
    routed: Site,
    gateway: Gateway,
    plane: ControlPlane,
) -> None:
    with operate(routed, account):
        bed.create(scaling={"mode": "Manual"}, replicas=2)
        await bed.until_issued()
        await eventually(lambda: len(bed.pods()) == 3)
        gateway.route(bed.host(), bed.files("scheduler"))
        bed.answer_route()
        bed.mark_ready("scheduler")
        await bed.until("Ready", "True")
        # Everything that a person may do to children, so that every way of repair is gone.
        for kind in ("Secret", "Service", "NetworkPolicy", "TLSRoute", "Pod"):
            suffix = {"Secret": "authority", "Pod": "scheduler"}.get(kind, "")
            labels: Json = {"metadata": {"labels": {SESSION_LABEL: None}}}
            bed.edit_child(kind, suffix, labels)
            await eventually(partial(has_label, bed, kind, suffix))
        bed.edit_child("Service", "", {"spec": {"ports": [{"port": 1}]}})
        bed.edit_child("NetworkPolicy", "", {"spec": {"ingress": []}})
        bed.edit_child("TLSRoute", "", {"spec": {"hostnames": ["else.example.org"]}})
        bed.edit_child("Secret", "worker", {"data": {"tls.key": ""}})
        await eventually(lambda: len(bed.child("Service")["spec"]["ports"]) == 2)
        await eventually(lambda: bed.child("NetworkPolicy")["spec"]["ingress"])
        await eventually(lambda: bed.child("TLSRoute")["spec"]["hostnames"] == [bed.host()])
        await eventually(lambda: bed.files("worker")["tls.key"])
        bed.edit(replicas=0, runId="2")
        await eventually(lambda: bed.pods() == {"scheduler"})
        await bed.until_issued()
        bed.edit(lifecycle="Stopped")
        await bed.until("Ready", "False", "Stopped")
        await eventually(lambda: not bed.children())
    events = list(asked(plane, bed))
    refused = [e["requestURI"] for e in events if e.get("responseStatus", {}).get("code") == 403]
    in_namespace = [uri for uri in refused if f"/namespaces/{bed.namespace}/" in uri]
    assert in_namespace == []
    granted = {
        (verb, resource)
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    used = {(e["verb"], _resource(e)) for e in events if "objectRef" in e}
    assert granted - used - RIGHTS_FOR_OTHERS == set()


def has_label(bed: Bed, kind: str, suffix: str) -> bool:
    return SESSION_LABEL in bed.child(kind, suffix)["metadata"]["labels"]


def _resource(event: Json) -> str:
    reference = event["objectRef"]
    sub = reference.get("subresource")
    return f"{reference.get('resource', '')}/{sub}" if sub else str(reference.get("resource", ""))


LACKING = [
    ("secrets", "CredentialsReady"),
    ("services", "SchedulerReady"),
    ("networkpolicies", "SchedulerReady"),
    ("pods", "SchedulerReady"),
    ("tlsroutes", "RouteReady"),
]


@pytest.mark.parametrize(("resource", "told_by"), LACKING)
async def test_a_right_that_lacks_is_told_in_the_servers_words_and_its_return_heals(
    bed: Bed, operate: Operate, account: Connection, role: Json, resource: str, told_by: str
) -> None:
    where = (*KINDS["Role"], ACCOUNT, bed.namespace)
    bed.cluster.patch(*where, without(role, resource, "create"))
    with operate(connection=account):
        bed.create()
        session = await bed.until(told_by, "False", "Forbidden")
        message = condition(session, told_by)["message"]
        assert "cannot create resource" in message
        assert resource in message
        assert condition(session, "Ready")["status"] == "False"
        bed.cluster.patch(*where, {"rules": role["rules"]})
        await bed.until_issued()
        await eventually(lambda: condition(bed.session(), told_by)["reason"] != "Forbidden")


async def test_without_the_right_to_tell_the_work_is_done_and_told_later(
    bed: Bed, operate: Operate, account: Connection, role: Json
) -> None:
    where = (*KINDS["Role"], ACCOUNT, bed.namespace)
    bed.cluster.patch(*where, without(role, "analysissessions/status", "patch"))
    with operate(connection=account):
        bed.create()
        await eventually(lambda: bed.pods() == {"scheduler"})
        assert bed.status() == {}
        bed.cluster.patch(*where, {"rules": role["rules"]})
        await bed.until_issued()


async def test_without_the_right_to_list_the_operator_is_not_ready_and_says_which_kind(
    bed: Bed, operate: Operate, account: Connection, role: Json
) -> None:
    where = (*KINDS["Role"], ACCOUNT, bed.namespace)
    bed.cluster.patch(*where, without(role, "services", "list"))
    bed.create()
    with operate(connection=account) as operator:
        waiting = "the first list of services is not in"
        await eventually(lambda: operator.process.starting() == waiting)
        assert bed.children() == {}
        bed.cluster.patch(*where, {"rules": role["rules"]})
        await bed.until_issued()
        assert operator.process.starting() is None
