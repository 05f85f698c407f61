"""What the API server itself refuses, fills in and prints of an AnalysisSession."""

import json
from typing import Any

import kubernetes
import pytest

from casita.api.names import RESERVED_USERS
from tests.cluster.control_plane import ControlPlane
from tests.support.bed import Bed
from tests.support.cluster import SESSION, Json

POOL = {"pool": "local", "max": 1}
BATCH = {**POOL, "backend": "HTCondor"}

BAD_USERS = [
    *RESERVED_USERS,
    "",
    "Alice",
    "../alice",
    "a/b",
    "a" * 33,
    "a" * 300,
    "al\u00ef",
    "a\nb",
    "alice\n",
    "alice@example.org",
    "-alice",
    "1alice",
    "a b",
    "a$(id)",
    5,
    None,
]


def refused(bed: Bed, spec: Json) -> str:
    """Return the server's words on a session that it refuses."""
    manifest = {**bed.manifest(), "spec": spec}
    with pytest.raises(kubernetes.client.ApiException) as caught:
        bed.cluster.create(manifest)
    assert caught.value.status in (400, 422), caught.value
    return str(json.loads(caught.value.body)["message"])


@pytest.mark.parametrize("user", BAD_USERS, ids=lambda user: repr(user)[:20])
def test_malformed_and_reserved_users_are_refused(bed: Bed, user: object) -> None:
    assert "spec.user" in refused(bed, {"user": user})


def test_a_session_without_a_user_is_refused(bed: Bed) -> None:
    assert "spec.user" in refused(bed, {})


def pools(**fields: Any) -> Json:
    return {"workers": [{**POOL, **fields}]}


BAD_SPECS: dict[str, tuple[Json, str]] = {
    "max below min": (pools(min=2, max=1), "min must not be greater than max"),
    "negative min": (pools(min=-1), "min"),
    "negative cores": (pools(cores=-1), "cores"),
    "no cores": (pools(cores=0), "cores"),
    "huge cores": (pools(cores=10**6), "cores"),
    "huge memory": (pools(memoryMiB=2**40), "memoryMiB"),
    "memory as a quantity": (pools(memoryMiB="2Gi"), "memoryMiB"),
    "fractional cores": (pools(cores=1.5), "cores"),
    "too many workers": (pools(max=10_001), "max"),
    "huge scheduler": ({"scheduler": {"memoryMiB": 2**31}}, "memoryMiB"),
    "negative replicas": ({"replicas": -1}, "replicas"),
    "huge replicas": ({"replicas": 10**9}, "replicas"),
    "duplicate pools": ({"workers": [POOL, POOL]}, "Duplicate value"),
    "seventeen pools": ({"workers": [{"pool": f"p{n}", "max": 1} for n in range(17)]}, "workers"),
    "pool's name in capitals": (pools(pool="Local"), "pool"),
    "pool's name too long": (pools(pool="a" * 17), "pool"),
    "unknown back end": (pools(backend="Slurm"), "backend"),
    "newline in requirements": (
        {"workers": [{**BATCH, "requirements": "true\nqueue 1000"}]},
        "requirements",
    ),
    "dollar in requirements": (
        {"workers": [{**BATCH, "requirements": "$ENV(HOME)"}]},
        "requirements",
    ),
    "requirements on Kubernetes": (pools(requirements="true"), "are for pools on HTCondor"),
    "accounting group with a space": (
        {"workers": [{**BATCH, "accountingGroup": "a b"}]},
        "accountingGroup",
    ),
    "parent in path": ({"dataAccess": {"pathPrefix": "/store/../etc"}}, "pathPrefix"),
    "hidden in path": ({"dataAccess": {"pathPrefix": "/store/.x"}}, "pathPrefix"),
    "relative path": ({"dataAccess": {"pathPrefix": "store"}}, "pathPrefix"),
    "space in path": ({"dataAccess": {"pathPrefix": "/a b"}}, "pathPrefix"),
    "unknown profile's form": ({"profile": "../x"}, "profile"),
    "image with a newline": ({"image": "a\nb"}, "image"),
    "image with a dollar": ({"image": "a$b"}, "image"),
    "unknown lifecycle": ({"lifecycle": "Paused"}, "lifecycle"),
    "unknown scaling": ({"scaling": {"mode": "Magic"}}, "mode"),
    "life too short": ({"maxLifetimeSeconds": 1}, "maxLifetimeSeconds"),
    "life too long": ({"maxLifetimeSeconds": 2_592_001}, "maxLifetimeSeconds"),
    "idle too short": ({"idleTimeoutSeconds": 1}, "idleTimeoutSeconds"),
    "run id with a slash": ({"runId": "a/b"}, "runId"),
}


@pytest.mark.parametrize(("spec", "words"), BAD_SPECS.values(), ids=BAD_SPECS)
def test_bad_values_are_refused_in_words_that_name_them(bed: Bed, spec: Json, words: str) -> None:
    assert words in refused(bed, {"user": "alice", **spec})


def test_unknown_fields_are_refused_by_kubectl(bed: Bed, plane: ControlPlane) -> None:
    text = json.dumps(bed.manifest(podOverrides={"hostNetwork": True}))
    with pytest.raises(Exception, match=r"unknown field \\?\"spec.podOverrides"):
        plane.kubectl("create", "-f", "-", stdin=text)


def test_unknown_fields_are_dropped_where_a_client_does_not_ask_for_strictness(bed: Bed) -> None:
    created = bed.create(podOverrides={"hostNetwork": True})
    assert "podOverrides" not in created["spec"]


def test_the_user_cannot_be_changed(bed: Bed) -> None:
    bed.create()
    with pytest.raises(kubernetes.client.ApiException) as caught:
        bed.edit(user="bob")
    assert caught.value.status == 422
    assert "user cannot be changed" in str(caught.value.body)


def test_a_changed_pool_is_checked_too(bed: Bed) -> None:
    bed.create(workers=[{"pool": "a", "min": 1, "max": 2}])
    with pytest.raises(kubernetes.client.ApiException, match="min must not be greater"):
        bed.edit(workers=[{"pool": "a", "min": 3, "max": 2}])


def test_defaults_are_filled_in(bed: Bed) -> None:
    spec = bed.create(workers=[POOL])["spec"]
    assert spec == {
        "user": "alice",
        "lifecycle": "Running",
        "maxLifetimeSeconds": 604_800,
        "replicas": 0,
        "scaling": {"mode": "Adaptive"},
        "scheduler": {"cores": 1, "memoryMiB": 2048},
        "workers": [
            {
                "pool": "local",
                "backend": "Kubernetes",
                "min": 0,
                "max": 1,
                "cores": 1,
                "memoryMiB": 2048,
                "diskMiB": 1024,
            }
        ],
    }


def test_names_of_253_characters_are_taken_and_longer_ones_refused(bed: Bed) -> None:
    bed.create("a" * 253)
    with pytest.raises(kubernetes.client.ApiException, match="253"):
        bed.create("a" * 254)


def test_sessions_can_be_selected_by_user(bed: Bed) -> None:
    for name, user in (("one", "alice"), ("two", "bob"), ("three", "bob")):
        bed.cluster.create({**bed.manifest(name), "spec": {"user": user}})
    found = bed.cluster.items(*SESSION, bed.namespace, field_selector="spec.user=bob")
    assert {item["metadata"]["name"] for item in found} == {"two", "three"}


def test_status_is_a_subresource_that_no_edit_of_the_object_touches(bed: Bed) -> None:
    manifest = {**bed.manifest(), "status": {"observedGeneration": 7}}
    assert "status" not in bed.cluster.create(manifest)


STATUS = {
    "observedGeneration": 1,
    "conditions": [
        {
            "type": "Ready",
            "status": "True",
            "reason": "Ready",
            "message": "clients can connect",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
            "observedGeneration": 1,
        }
    ],
    "replicas": 3,
    "selector": "casita.dev/session=x",
    "scheduler": {"address": "tls://x.y.svc:8786", "dashboardAddress": "https://x.y.svc:8787"},
    "credentials": [
        {
            "name": "authority",
            "id": "1",
            "issuedAt": "2026-01-01T00:00:00Z",
            "notAfter": "2026-02-01T00:00:00Z",
        }
    ],
}


@pytest.fixture
def told(bed: Bed) -> Bed:
    """A namespace with one session whose status is told."""
    bed.create()
    bed.cluster.patch(*SESSION, "alice", bed.namespace, {"status": STATUS}, subresource="status")
    return bed


def test_kubectl_get_prints_what_a_person_wants_to_see(told: Bed, plane: ControlPlane) -> None:
    heading, row = plane.kubectl("get", "asess", "-n", told.namespace).splitlines()
    assert heading.split() == ["NAME", "USER", "READY", "REASON", "WORKERS", "AGE"]
    assert row.split()[:5] == ["alice", "alice", "True", "Ready", "3"]
    wide = plane.kubectl("get", "asess", "-n", told.namespace, "-o", "wide")
    assert "tls://x.y.svc:8786" in wide
    assert "2026-02-01T00:00:00Z" in wide


def test_kubectl_get_casita_finds_sessions(told: Bed, plane: ControlPlane) -> None:
    assert "alice" in plane.kubectl("get", "casita", "-n", told.namespace)


def test_kubectl_wait_works(told: Bed, plane: ControlPlane) -> None:
    wait = ["wait", "-n", told.namespace, "asess/alice", "--timeout=10s"]
    assert "condition met" in plane.kubectl(*wait, "--for=condition=Ready")


def test_kubectl_scale_and_the_scale_subresource_work(told: Bed, plane: ControlPlane) -> None:
    plane.kubectl("scale", "-n", told.namespace, "asess/alice", "--replicas=4")
    assert told.session()["spec"]["replicas"] == 4
    path = f"/apis/casita.dev/v1alpha1/namespaces/{told.namespace}/analysissessions/alice/scale"
    scale = json.loads(plane.kubectl("get", "--raw", path))
    assert scale["spec"]["replicas"] == 4
    assert scale["status"] == {"replicas": 3, "selector": "casita.dev/session=x"}


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("asess", "private Dask cluster"),
        ("asess.spec.lifecycle", "Stopped"),
        ("asess.spec.workers.requirements", "HTCondor requirements expression"),
        ("asess.status.conditions.type", "a client can connect"),
        ("asess.status.conditions.reason", "LifetimeExceeded"),
    ],
)
def test_kubectl_explain_teaches(plane: ControlPlane, field: str, words: str) -> None:
    assert words in " ".join(plane.kubectl("explain", field).split())
