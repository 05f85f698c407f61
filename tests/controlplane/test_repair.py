"""Children that a person deletes or edits become again what was planned; nothing else is touched.

Whether the operator watches while it happens or finds it when it comes back.
"""

import base64
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime

import pytest

from casita.api.names import (
    AUTHORITY_ANNOTATION,
    CERTIFICATE_ANNOTATION,
    COMPONENT_LABEL,
    HASH_ANNOTATION,
    ISSUED_AT_ANNOTATION,
    SESSION_LABEL,
)
from casita.credentials.errors import CredentialError
from casita.credentials.verify import load_certificate, verify_leaf
from casita.credentials.x509 import Role, authority_fingerprint
from casita.manifests.secrets import SEALED_KEY
from tests.controlplane.conftest import Operate
from tests.support.bed import Bed
from tests.support.cluster import JSON_PATCH, MERGE, Json, eventually

MANAGED = "app.kubernetes.io/managed-by"
WATCHED = [
    ("Secret", "scheduler"),
    ("Secret", "worker"),
    ("Secret", "client"),
    ("Service", ""),
    ("NetworkPolicy", ""),
    ("TLSRoute", ""),
    ("Pod", "scheduler"),
]
ALL = [("Secret", "authority"), *WATCHED, ("Pod", "local-0")]

Meddle = Callable[[Bed], object]
Children = dict[tuple[str, str], Json]
Meddling = Callable[[Meddle], AbstractAsyncContextManager[Children]]


@pytest.fixture(params=["watched", "while-down"])
def meddling(request: pytest.FixtureRequest, bed: Bed, operate: Operate) -> Meddling:
    """Meddles with a session; gives its children as they were before, with an operator running."""

    async def make() -> None:
        bed.create(scaling={"mode": "Manual"}, replicas=2)
        await bed.until_issued()
        await eventually(lambda: len(bed.pods()) == 3 and len(bed.children()) == 10)

    @contextlib.asynccontextmanager
    async def watched(meddle: Meddle) -> AsyncIterator[Children]:
        with operate():
            await make()
            before = bed.children(name="alice")
            meddle(bed)
            yield before

    @contextlib.asynccontextmanager
    async def while_down(meddle: Meddle) -> AsyncIterator[Children]:
        with operate():
            await make()
        before = bed.children(name="alice")
        meddle(bed)
        with operate():
            yield before

    return watched if request.param == "watched" else while_down


def key(kind: str, suffix: str) -> tuple[str, str]:
    return kind, f"-{suffix}" if suffix else ""


def uids(children: Children) -> dict[tuple[str, str], str]:
    return {where: child["metadata"]["uid"] for where, child in children.items()}


def essence(child: Json) -> Json:
    """What must be as planned: specification, labels, owner, hash; not what the server adds."""
    metadata = child["metadata"]
    return {
        "spec": child.get("spec"),
        "labels": metadata.get("labels"),
        "owners": metadata.get("ownerReferences"),
        "hash": metadata.get("annotations", {}).get(HASH_ANNOTATION),
    }


def assert_keys_work(bed: Bed) -> None:
    """Every leaf is whole, in date, and of the session's authority."""
    now = datetime.now(UTC)
    authority_pem = bed.files("authority")["tls.crt"]
    fingerprint = authority_fingerprint(load_certificate(authority_pem))
    for role in ("scheduler", "worker", "client"):
        files = bed.files(role)
        both = files.get("usercert.pem", b"")
        certificate, secret = files.get("tls.crt", both), files.get("tls.key", both)
        verify_leaf(certificate, secret, authority_pem, now, role=Role(role))
        assert files["ca.pem"] == authority_pem
    assert bed.files("scheduler")["report-token"]
    pods = bed.children("Pod", name="alice").values()
    for child in (*bed.children("Secret", name="alice").values(), *pods):
        annotations = child["metadata"]["annotations"]
        assert annotations[AUTHORITY_ANNOTATION] == fingerprint


def keys_work(bed: Bed) -> bool:
    assert len(bed.children("Secret", name="alice")) == 4
    assert len(bed.pods()) == 3
    try:
        assert_keys_work(bed)
    except CredentialError as error:
        raise AssertionError("not yet") from error
    return True


@pytest.mark.parametrize(("kind", "suffix"), WATCHED)
async def test_a_child_deleted_by_hand_is_made_again(
    bed: Bed, meddling: Meddling, kind: str, suffix: str
) -> None:
    async with meddling(lambda bed: bed.delete_child(kind, suffix)) as before:
        old = uids(before)
        await eventually(lambda: bed.uid(kind, suffix) != old[key(kind, suffix)])
        after = uids(bed.children(name="alice"))
        assert {where for where in old if old[where] != after[where]} == {key(kind, suffix)}
        assert_keys_work(bed)


async def test_a_worker_deleted_by_hand_is_replaced(bed: Bed, meddling: Meddling) -> None:
    async with meddling(lambda bed: bed.delete_child("Pod", "local-0")) as before:
        kept = set(uids(before).values()) - {uids(before)["Pod", "-local-0"]}
        await eventually(lambda: len(bed.pods()) == 3)
        after = set(uids(bed.children(name="alice")).values())
        assert kept < after
        assert len(after) == len(kept) + 1


async def test_a_lost_authority_gives_new_keys_to_everything(bed: Bed, meddling: Meddling) -> None:
    async with meddling(lambda bed: bed.delete_child("Secret", "authority")) as before:
        old = uids(before)
        await eventually(lambda: bed.uid("Secret", "authority") != old["Secret", "-authority"], 30)
        await eventually(lambda: keys_work(bed))
        after = uids(bed.children(name="alice"))
        kept = {kind for kind, suffix in old if old[kind, suffix] == after[kind, suffix]}
        assert kept == {"Service", "NetworkPolicy", "TLSRoute"}


def spec(**fields: object) -> Json:
    return {"spec": fields}


ANYWHERE: Json = {"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}
ELSEWHERE: Json = {"backendRefs": [{"name": "elsewhere", "port": 8786}]}
EDITS: dict[str, tuple[str, str, str, object]] = {
    "selector-changed": ("Service", "", MERGE, spec(selector={SESSION_LABEL: "other"})),
    "selector-narrowed": ("Service", "", MERGE, spec(selector={"extra": "label"})),
    "selector-widened": ("Service", "", MERGE, spec(selector={COMPONENT_LABEL: None})),
    "port-removed": ("Service", "", MERGE, spec(ports=[{"name": "dask", "port": 8786}])),
    "port-added": (
        "Service",
        "",
        JSON_PATCH,
        [{"op": "add", "path": "/spec/ports/-", "value": {"name": "more", "port": 22}}],
    ),
    "rule-removed": (
        "NetworkPolicy",
        "",
        JSON_PATCH,
        [{"op": "remove", "path": "/spec/ingress/0"}],
    ),
    "rule-added": (
        "NetworkPolicy",
        "",
        JSON_PATCH,
        [{"op": "add", "path": "/spec/ingress/-", "value": ANYWHERE}],
    ),
    "peer-added": (
        "NetworkPolicy",
        "",
        JSON_PATCH,
        [{"op": "add", "path": "/spec/ingress/0/from/-", "value": ANYWHERE["from"][0]}],
    ),
    "policy-turned": (
        "NetworkPolicy",
        "",
        MERGE,
        spec(podSelector={"matchLabels": {"app": "nothing"}}),
    ),
    "policy-of-egress": ("NetworkPolicy", "", MERGE, spec(policyTypes=["Egress"])),
    "egress-opened": ("NetworkPolicy", "", MERGE, spec(policyTypes=["Ingress", "Egress"])),
    "host-changed": ("TLSRoute", "", MERGE, spec(hostnames=["evil.example.org"])),
    "host-added": (
        "TLSRoute",
        "",
        JSON_PATCH,
        [{"op": "add", "path": "/spec/hostnames/-", "value": "more.example.org"}],
    ),
    "backend-changed": ("TLSRoute", "", MERGE, spec(rules=[ELSEWHERE])),
    "hash-removed": (
        "TLSRoute",
        "",
        MERGE,
        {"metadata": {"annotations": {HASH_ANNOTATION: None}}},
    ),
}


@pytest.mark.parametrize(("kind", "suffix", "content_type", "body"), EDITS.values(), ids=EDITS)
async def test_a_child_edited_by_hand_is_repaired(
    bed: Bed, meddling: Meddling, kind: str, suffix: str, content_type: str, body: object
) -> None:
    def meddle(bed: Bed) -> None:
        bed.edit_child(kind, suffix, body, content_type)

    async with meddling(meddle) as before:
        expected = {where: essence(child) for where, child in before.items()}

        def restored() -> bool:
            assert essence(bed.child(kind, suffix)) == expected[key(kind, suffix)]
            return True

        await eventually(restored)
        after = {where: essence(child) for where, child in bed.children(name="alice").items()}
        assert after == expected


LABELS = [(kind, suffix, label) for kind, suffix in ALL for label in (SESSION_LABEL, MANAGED)]


@pytest.mark.parametrize(("kind", "suffix", "label"), LABELS)
async def test_a_label_removed_by_hand_comes_back_and_nothing_is_lost(
    bed: Bed, meddling: Meddling, kind: str, suffix: str, label: str
) -> None:
    def meddle(bed: Bed) -> None:
        bed.edit_child(kind, suffix, {"metadata": {"labels": {label: None}}})

    async with meddling(meddle) as before:
        labels = before[key(kind, suffix)]["metadata"]["labels"]
        await eventually(lambda: bed.child(kind, suffix)["metadata"]["labels"] == labels)
        assert uids(bed.children(name="alice")) == uids(before)
        assert_keys_work(bed)


def half(bed: Bed, role: str, file: str) -> str:
    content = bed.files(role)[file]
    return base64.b64encode(content[: len(content) // 2]).decode()


DAMAGE: list[tuple[str, str]] = [
    ("scheduler", "tls.key"),
    ("scheduler", "tls.crt"),
    ("scheduler", "ca.pem"),
    ("worker", "tls.key"),
    ("client", "usercert.pem"),
]


@pytest.mark.parametrize(("role", "file"), DAMAGE)
async def test_a_truncated_certificate_or_key_is_made_again(
    bed: Bed, meddling: Meddling, role: str, file: str
) -> None:
    def meddle(bed: Bed) -> None:
        bed.edit_child("Secret", role, {"data": {file: half(bed, role, file)}})

    async with meddling(meddle) as before:
        await eventually(lambda: keys_work(bed))
        assert uids(bed.children(name="alice")) == uids(before)


@pytest.mark.parametrize(
    ("role", "file"),
    [("scheduler", "tls.key"), ("scheduler", "report-token"), ("client", "ca.pem")],
)
async def test_a_file_that_is_taken_away_comes_back(
    bed: Bed, meddling: Meddling, role: str, file: str
) -> None:
    async with meddling(lambda bed: bed.edit_child("Secret", role, {"data": {file: None}})):
        await eventually(lambda: file in bed.files(role) and keys_work(bed))


async def test_another_report_token_is_replaced(bed: Bed, meddling: Meddling) -> None:
    def meddle(bed: Bed) -> None:
        bed.edit_child("Secret", "scheduler", {"stringData": {"report-token": "guessed"}})

    async with meddling(meddle) as before:
        token = base64.b64decode(before["Secret", "-scheduler"]["data"]["report-token"])
        await eventually(lambda: bed.files("scheduler")["report-token"] == token)


async def test_a_client_configuration_that_leads_elsewhere_is_replaced(
    bed: Bed, meddling: Meddling
) -> None:
    def meddle(bed: Bed) -> None:
        bed.edit_child("Secret", "client", {"stringData": {"dask.yaml": "scheduler-address: x"}})

    async with meddling(meddle) as before:
        text = base64.b64decode(before["Secret", "-client"]["data"]["dask.yaml"])
        await eventually(lambda: bed.files("client")["dask.yaml"] == text)


@pytest.mark.parametrize("file", [SEALED_KEY, "tls.crt"])
async def test_a_truncated_authority_gives_new_keys_to_everything(
    bed: Bed, meddling: Meddling, file: str
) -> None:
    def meddle(bed: Bed) -> None:
        bed.edit_child("Secret", "authority", {"data": {file: half(bed, "authority", file)}})

    async with meddling(meddle) as before:
        old = uids(before)
        await eventually(lambda: bed.uid("Secret", "authority") != old["Secret", "-authority"])
        await eventually(lambda: keys_work(bed))


FACTS: list[tuple[str, str, str | None]] = [
    ("authority", CERTIFICATE_ANNOTATION, None),
    ("authority", CERTIFICATE_ANNOTATION, "x"),
    ("authority", AUTHORITY_ANNOTATION, None),
    ("authority", ISSUED_AT_ANNOTATION, "yesterday"),
    ("scheduler", AUTHORITY_ANNOTATION, "0123456789abcdef"),
    ("scheduler", ISSUED_AT_ANNOTATION, "2026-01-01"),
    ("client", ISSUED_AT_ANNOTATION, None),
]


@pytest.mark.parametrize(("role", "annotation", "value"), FACTS)
async def test_what_the_operator_notes_on_a_secret_is_put_right_when_it_is_changed(
    bed: Bed, meddling: Meddling, role: str, annotation: str, value: str | None
) -> None:
    def meddle(bed: Bed) -> None:
        bed.edit_child("Secret", role, {"metadata": {"annotations": {annotation: value}}})

    async with meddling(meddle):

        def right() -> bool:
            found = bed.child("Secret", role)["metadata"]["annotations"].get(annotation)
            assert found not in (None, value)
            return keys_work(bed)

        await eventually(right)
