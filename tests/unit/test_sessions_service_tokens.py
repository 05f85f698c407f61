"""Tokens for tracking and columns: who gets them, what is in their files, what is noticed."""

import base64
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from casita.api.names import HASH_ANNOTATION
from casita.api.session import SessionSpec
from casita.config import Site
from casita.credentials import mlflow, servicex
from casita.credentials.errors import CredentialError
from casita.credentials.token import SigningKey, Token
from casita.manifests.common import Manifest
from casita.manifests.resources import SECRET
from casita.sessions.observed import Child, child_of
from casita.sessions.service_tokens import holder
from casita.sessions.token_keys import Material, TokenKeys
from casita.sessions.token_plan import TokenPlan, noted_tokens, plan_tokens, tokens_renewal_time
from casita.sessions.tokens import make_tokens, token_names, tokens_damage, tokens_hash
from tests.golden import Golden
from tests.unit.sessions_site import OWNER, with_site

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ALICE = SessionSpec(user="alice")
ROOT = bytes(range(32))
MATERIAL = Material(mlflow=mlflow.derive_key(ROOT), servicex=servicex.derive_key(ROOT))
TRACKING = {"url": "http://mlflow:5000/services/mlflow", "namespace": "m", "secret": "mlflow"}
COLUMNS = {"url": "http://servicex:5000", "namespace": "s", "secret": "servicex"}


def site(**sections: Any) -> Site:
    return with_site(**{"tracking": TRACKING, "columns": COLUMNS, **sections})


SITE = site()


def make(
    spec: SessionSpec = ALICE, where: Site = SITE, now: datetime = NOW, seed: int = 1
) -> tuple[dict[str, Token], Manifest]:
    numbers = random.Random(seed)  # noqa: S311 - the same for each run of a test
    material = TokenKeys(where, ROOT).read()
    return make_tokens(OWNER, spec, where, material, "authority", now, numbers.randbytes)


def files(secret: Manifest) -> dict[str, bytes]:
    return {name: base64.b64decode(text) for name, text in secret["data"].items()}


def child(secret: Manifest) -> Child:
    metadata = {**secret["metadata"], "uid": "u", "resourceVersion": "1"}
    found = child_of(SECRET, {"metadata": metadata})
    assert found is not None
    return found


def damage(secret: Manifest, spec: SessionSpec = ALICE, now: datetime = NOW) -> str | None:
    return tokens_damage(secret, OWNER, spec, SITE, MATERIAL, now)


def test_the_secret_is_as_agreed(golden: Golden) -> None:
    golden.check("manifests/service-tokens.yaml", make()[1])


def test_the_tracking_token_is_the_users() -> None:
    tokens, secret = make()
    text = files(secret)["mlflow_token"].decode().strip()
    assert MATERIAL.mlflow is not None
    assert mlflow.verify(MATERIAL.mlflow, text, "af.test", "alice") == tokens["mlflow"]
    assert tokens["mlflow"].not_after - NOW == timedelta(hours=12)


def test_the_columns_file_has_the_way_to_the_service_and_the_sessions_token() -> None:
    tokens, secret = make()
    said = yaml.safe_load(files(secret)["servicex.yaml"])
    (endpoint,) = said["api_endpoints"]
    assert endpoint["name"] == said["default_endpoint"]
    assert endpoint["endpoint"] == "http://servicex:5000"
    assert MATERIAL.servicex is not None
    read = servicex.verify(MATERIAL.servicex, endpoint["token"], holder(OWNER, ALICE, SITE))
    assert read == tokens["servicex"]
    assert holder(OWNER, ALICE, SITE).session == "casita/alice/uid-of-alice"


SOMEBODY_ELSES = {"url": "https://service.example.org"}


@pytest.mark.parametrize(
    ("sections", "names"),
    [
        ({}, ("mlflow", "servicex")),
        ({"tracking": None}, ("servicex",)),
        ({"columns": SOMEBODY_ELSES}, ("mlflow",)),
        ({"tracking": SOMEBODY_ELSES, "columns": None}, ()),
    ],
)
def test_there_are_tokens_for_the_charts_own_services_alone(
    sections: dict[str, Any], names: tuple[str, ...]
) -> None:
    where = site(**sections)
    tokens, secret = make(where=where)
    assert token_names(ALICE, where) == tuple(tokens) == names
    assert set(noted_tokens(child(secret))) == set(names)


def test_a_service_that_comes_or_goes_changes_what_is_planned() -> None:
    present = child(make(where=site(columns=None))[1])
    assert plan_tokens(present, OWNER.uid, ALICE, SITE, MATERIAL, NOW) == TokenPlan(make=True)
    present = child(make()[1])
    without = site(columns=None)
    keys = TokenKeys(without, ROOT).read()
    assert plan_tokens(present, OWNER.uid, ALICE, without, keys, NOW) == TokenPlan(withdraw=True)


OTHER_KEY = SigningKey(bytes(64), "2" * 16)
CHANGES: dict[str, tuple[Site, Material]] = {
    "life": (site(credentials={"serviceSeconds": 600}), MATERIAL),
    "domain": (site(domain="other.test"), MATERIAL),
    "address": (site(columns={**COLUMNS, "url": "http://other:5000"}), MATERIAL),
    "tracking key": (SITE, Material(mlflow=OTHER_KEY, servicex=MATERIAL.servicex)),
    "columns key": (SITE, Material(mlflow=MATERIAL.mlflow, servicex=OTHER_KEY)),
}


@pytest.mark.parametrize(("where", "material"), CHANGES.values(), ids=CHANGES)
def test_whatever_changes_asks_for_new_tokens(where: Site, material: Material) -> None:
    noted = make()[1]["metadata"]["annotations"][HASH_ANNOTATION]
    assert tokens_hash(ALICE, SITE, MATERIAL) == noted
    assert tokens_hash(ALICE, where, material) != noted


def test_they_are_renewed_at_half_their_life() -> None:
    secret = child(make(where=site(credentials={"serviceSeconds": 600}))[1])
    due = tokens_renewal_time(secret, OWNER.uid)
    assert NOW + timedelta(seconds=270) <= due <= NOW + timedelta(seconds=300)


def test_a_secret_as_it_was_made_is_whole_until_its_tokens_end() -> None:
    secret = make()[1]
    assert damage(secret) is None
    assert damage(secret, now=NOW + timedelta(hours=12)) == "mlflow, servicex expired"


@pytest.mark.parametrize("file", ["mlflow_token", "servicex.yaml"])
@pytest.mark.parametrize("content", [None, b"", b"\xff\x00", b"token: a.b.c\n"])
def test_a_file_that_somebody_changed_is_noticed(file: str, content: bytes | None) -> None:
    secret = make()[1]
    del secret["data"][file]
    if content is not None:
        secret["data"][file] = base64.b64encode(content).decode()
    assert damage(secret) is not None


def test_another_way_to_columns_beside_a_good_token_is_noticed() -> None:
    secret = make()[1]
    changed = files(secret)["servicex.yaml"].replace(b"http://servicex", b"http://elsewhere")
    secret["data"]["servicex.yaml"] = base64.b64encode(changed).decode()
    assert damage(secret) == "servicex.yaml is not as it was made"


@pytest.mark.parametrize("file", ["mlflow_token", "servicex.yaml"])
def test_a_good_token_of_another_user_is_noticed(file: str) -> None:
    secret = make()[1]
    secret["data"][file] = make(SessionSpec(user="bob"))[1]["data"][file]
    assert "another sub" in (damage(secret) or "")


def test_a_site_with_services_of_its_own_needs_its_root_key() -> None:
    with pytest.raises(CredentialError, match="root key is empty"):
        TokenKeys(SITE)
