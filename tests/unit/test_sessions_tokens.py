"""Which tokens a session gets, when they are renewed, and what is noticed of damage."""

import base64
import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casita.api.names import AUTHORITY_ANNOTATION, HASH_ANNOTATION, TOKENS_ANNOTATION
from casita.api.session import SessionSpec
from casita.config import Site
from casita.credentials import idtoken, macaroon
from casita.credentials.errors import SigningKeyError
from casita.credentials.system import new_idtoken_key, new_macaroon_key, new_system_authority
from casita.credentials.token import SigningKey, Token
from casita.manifests.common import Manifest, Owner
from casita.manifests.resources import SECRET
from casita.manifests.secrets import TOKEN_FILES
from casita.sessions.observed import Child, child_of
from casita.sessions.token_keys import Material, TokenKeys
from casita.sessions.token_plan import (
    TokenPlan,
    noted_tokens,
    plan_tokens,
    tokens_renewal_time,
)
from casita.sessions.tokens import data_prefix, make_tokens, token_names, tokens_damage, tokens_hash
from tests.golden import Golden

OWNER = Owner("casita", "alice", "uid-of-alice")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ALICE = SessionSpec(user="alice")
MATERIAL = Material(
    SigningKey(idtoken.derive_key(bytes(range(64)), "casita"), "0" * 16),
    SigningKey(macaroon.derive_key(bytes(range(64))), "1" * 16),
    b"the authority's certificate\n",
)
BATCH = {
    "collector": "cm.af.test:9618",
    "schedd": "casita@casita.pool",
    "trustDomain": "casita.pool",
    "uidDomain": "casita.users",
}
PROFILES = [
    {"name": "default", "image": "example.org/notebook:1"},
    {"name": "cms", "image": "example.org/notebook:1", "dataPathPrefix": "/store/cms/"},
    {"name": "none", "image": "example.org/notebook:1", "dataPathPrefix": "None"},
]


def site(**sections: Any) -> Site:
    both = {"batch": BATCH, "cache": {"host": "xcache.af.test"}}
    return Site.model_validate({"domain": "af.test", "profiles": PROFILES, **both, **sections})


SITE = site()


def make(
    spec: SessionSpec = ALICE, where: Site = SITE, now: datetime = NOW, seed: int = 1
) -> tuple[dict[str, Token], Manifest]:
    numbers = random.Random(seed)  # noqa: S311 - the same for each run of a test
    return make_tokens(OWNER, spec, where, MATERIAL, "authority", now, numbers.randbytes)


def files(secret: Manifest) -> dict[str, bytes]:
    return {name: base64.b64decode(text) for name, text in secret["data"].items()}


def child(secret: Manifest) -> Child:
    """The Secret as a watch of metadata tells of it."""
    metadata = {**secret["metadata"], "uid": "u", "resourceVersion": "1"}
    found = child_of(SECRET, {"metadata": metadata})
    assert found is not None
    return found


def damage(secret: Manifest, now: datetime = NOW, **changes: Any) -> str | None:
    how: dict[str, Any] = {"spec": ALICE, "site": SITE, "material": MATERIAL, **changes}
    return tokens_damage(secret, OWNER, how["spec"], how["site"], how["material"], now)


def test_the_secret_is_as_agreed(golden: Golden) -> None:
    golden.check("manifests/tokens.yaml", make()[1])


def test_an_idtoken_names_the_user_and_lives_for_twelve_hours() -> None:
    tokens, secret = make()
    assert MATERIAL.idtoken is not None
    said = idtoken.claims(MATERIAL.idtoken, files(secret)["condor_token"].decode())
    assert said["sub"] == "alice@casita.users"
    assert said["exp"] - said["iat"] == 12 * 3600
    assert said["jti"] == tokens["idtoken"].id


@pytest.mark.parametrize(("duration", "life"), [(86_400, 85_800), (2400, 1800), (600, 450)])
def test_a_macaroon_ends_well_before_the_cache_would_refuse_it(duration: int, life: int) -> None:
    where = site(cache={"host": "x", "maxDurationSeconds": duration})
    token = make(where=where)[0]["macaroon"]
    assert token.not_after - token.issued_at == timedelta(seconds=life)


@pytest.mark.parametrize(
    ("spec", "prefix"),
    [
        ({}, "/store/"),
        ({"profile": "cms"}, "/store/cms/"),
        ({"profile": "none"}, None),
        ({"profile": "cms", "dataAccess": {"pathPrefix": "/store/cms/alice"}}, "/store/cms/alice/"),
        ({"profile": "none", "dataAccess": {"pathPrefix": "/store/"}}, None),
        ({"profile": "unknown"}, None),
    ],
)
def test_the_data_that_a_session_reads_is_its_own_wish_or_its_profiles_grant(
    spec: dict[str, Any], prefix: str | None
) -> None:
    asked = SessionSpec.model_validate({"user": "alice", **spec})
    assert data_prefix(asked, SITE) == prefix
    found = make(asked)[1]["data"]
    assert ("xcache_token" in found) == (prefix is not None)
    if prefix:
        assert MATERIAL.macaroon is not None
        text = files(make(asked)[1])["xcache_token"].decode()
        assert f"path:{prefix}" in macaroon.read(MATERIAL.macaroon, "casita", text)


@pytest.mark.parametrize(
    ("sections", "names"),
    [
        ({}, ("idtoken", "macaroon")),
        ({"cache": None}, ("idtoken",)),
        ({"batch": None}, ("macaroon",)),
        ({"batch": None, "cache": None}, ()),
    ],
)
def test_a_session_gets_what_the_site_has(sections: dict[str, Any], names: tuple[str]) -> None:
    where = site(**sections)
    tokens, secret = make(where=where)
    assert token_names(ALICE, where) == tuple(tokens) == names
    assert tuple(secret["data"]) == tuple(file for name in names for file in TOKEN_FILES[name])
    assert damage(secret, site=where) is None


def test_no_two_tokens_have_one_number() -> None:
    one, other = make(seed=1)[0], make(seed=2)[0]
    numbers = [token.id for tokens in (one, other) for token in tokens.values()]
    assert len(set(numbers)) == 4


def test_metadata_alone_tells_numbers_and_times_and_no_material() -> None:
    tokens, secret = make()
    noted = noted_tokens(child(secret))
    assert {name: token.id for name, token in noted.items()} == {
        name: token.id for name, token in tokens.items()
    }
    assert noted["macaroon"].not_after == tokens["macaroon"].not_after
    assert secret["metadata"]["annotations"][AUTHORITY_ANNOTATION] == "authority"
    text = json.dumps(secret["metadata"])
    assert not any(token.text in text for token in tokens.values())


CHANGES: dict[str, Any] = {
    "user": {"spec": SessionSpec(user="bob")},
    "profile": {"spec": SessionSpec(user="alice", profile="cms")},
    "trust domain": {"site": site(batch={**BATCH, "trustDomain": "other"})},
    "uid domain": {"site": site(batch={**BATCH, "uidDomain": "other"})},
    "key's name": {"site": site(batch={**BATCH, "keyId": "other"})},
    "life": {"site": site(credentials={"idtokenSeconds": 600})},
    "cache's name": {"site": site(cache={"host": "x", "siteName": "other"})},
    "cache's limit": {"site": site(cache={"host": "x", "maxDurationSeconds": 7200})},
    "no cache": {"site": site(cache=None)},
    "idtoken key": {
        "material": Material(
            SigningKey(bytes(32), "2" * 16), MATERIAL.macaroon, MATERIAL.cache_authority
        )
    },
    "macaroon key": {
        "material": Material(
            MATERIAL.idtoken, SigningKey(bytes(32), "2" * 16), MATERIAL.cache_authority
        )
    },
    "authority": {"material": Material(MATERIAL.idtoken, MATERIAL.macaroon, b"another")},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_changes_asks_for_new_tokens(change: dict[str, Any]) -> None:
    noted = make()[1]["metadata"]["annotations"][HASH_ANNOTATION]
    assert tokens_hash(ALICE, SITE, MATERIAL) == noted
    how = {"spec": ALICE, "site": SITE, "material": MATERIAL, **change}
    assert tokens_hash(how["spec"], how["site"], how["material"]) != noted


@given(st.integers(0, 2**16), st.sampled_from([300, 3600, 43_200]), st.text(min_size=1, max_size=9))
def test_tokens_are_renewed_when_the_first_has_lived_half_its_life(
    seed: int, seconds: int, uid: str
) -> None:
    where = site(credentials={"idtokenSeconds": seconds})
    tokens, secret = make(where=where, seed=seed)
    due = tokens_renewal_time(child(secret), uid)
    shortest = min(token.not_after - token.issued_at for token in tokens.values())
    assert NOW + shortest * 0.45 <= due <= NOW + shortest * 0.5
    assert due == tokens_renewal_time(child(secret), uid)


def test_renewals_of_many_sessions_are_spread() -> None:
    secret = child(make()[1])
    assert len({tokens_renewal_time(secret, f"uid-{number}") for number in range(50)}) > 45


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"idtoken": {}}', '{"idtoken": "x"}'])
def test_tokens_whose_times_cannot_be_read_are_due_at_once(text: str) -> None:
    secret = make()[1]
    secret["metadata"]["annotations"][TOKENS_ANNOTATION] = text
    assert tokens_renewal_time(child(secret), "uid") < NOW
    assert damage(secret) == "its annotations are not of its tokens"


def test_a_secret_as_it_was_made_is_whole_until_the_first_token_ends() -> None:
    secret = make()[1]
    assert damage(secret) is None
    assert damage(secret, NOW + timedelta(hours=12, seconds=-1)) is None
    assert damage(secret, NOW + timedelta(hours=12)) == "idtoken expired"


@pytest.mark.parametrize("file", ["condor_token", "xcache_token", "xcache-ca.pem"])
@pytest.mark.parametrize("content", [None, b"", b"\xff\x00", b"e30.e30.x", b"MDAx"])
def test_a_file_that_somebody_changed_is_noticed(file: str, content: bytes | None) -> None:
    secret = make()[1]
    del secret["data"][file]
    if content is not None:
        secret["data"][file] = base64.b64encode(content).decode()
    assert damage(secret) is not None


@pytest.mark.parametrize("file", ["condor_token", "xcache_token"])
@pytest.mark.parametrize(
    "spec",
    [SessionSpec(user="bob"), SessionSpec(user="bob", profile="cms")],
    ids=["another's", "another's of another path"],
)
def test_a_good_token_of_another_session_is_noticed(file: str, spec: SessionSpec) -> None:
    secret = make()[1]
    secret["data"][file] = make(spec)[1]["data"][file]
    assert damage(secret) == f"{file} is not of this session"


def test_a_token_of_another_key_is_noticed() -> None:
    other = Material(SigningKey(bytes(32), ""), SigningKey(bytes(32), ""), b"")
    assert "another key" in (damage(make()[1], material=other) or "")


def test_an_older_token_put_back_is_noticed() -> None:
    secret, older = make()[1], make(now=NOW - timedelta(hours=1), seed=2)[1]
    secret["data"]["condor_token"] = older["data"]["condor_token"]
    assert damage(secret) == "its annotations are not of its tokens"


def plan(
    secret: Child | None,
    now: datetime = NOW,
    *,
    spec: SessionSpec = ALICE,
    site: Site = SITE,
    material: Material | None = MATERIAL,
) -> TokenPlan:
    return plan_tokens(secret, OWNER.uid, spec, site, material, now)


def test_tokens_are_made_once_and_then_nothing_is_to_do_until_they_are_due() -> None:
    assert plan(None) == TokenPlan(make=True)
    present = child(make()[1])
    due = tokens_renewal_time(present, OWNER.uid)
    assert plan(present) == TokenPlan(due=due)
    assert plan(present, due - timedelta(seconds=1)).make is False
    assert plan(present, due) == TokenPlan(make=True)


@pytest.mark.parametrize("change", [c for n, c in CHANGES.items() if n != "no cache"])
def test_what_is_stale_is_made_again(change: dict[str, Any]) -> None:
    assert plan(child(make()[1]), **change) == TokenPlan(make=True)


def test_a_token_that_is_not_given_any_more_is_taken_away() -> None:
    present = child(make()[1])
    assert plan(present, site=site(cache=None)) == TokenPlan(withdraw=True)
    assert plan(present, site=site(batch=None, cache=None)) == TokenPlan(withdraw=True)
    asks_none = SessionSpec(user="alice", profile="none")
    assert plan(present, spec=asks_none) == TokenPlan(withdraw=True)
    assert plan(None, site=site(batch=None, cache=None)) == TokenPlan()


def test_a_secret_that_goes_is_waited_for() -> None:
    assert plan(replace(child(make()[1]), deleting=True)) == TokenPlan()


def test_what_somebody_touched_is_verified() -> None:
    assert plan(replace(child(make()[1]), suspect=True)).verify is True


def test_without_usable_keys_what_is_there_is_kept_until_it_is_due() -> None:
    present = child(make()[1])
    due = tokens_renewal_time(present, OWNER.uid)
    for before in (present, replace(present, suspect=True)):
        assert plan(before, material=None) == TokenPlan(due=due)
    assert plan(present, due, material=None) == TokenPlan(make=True)
    assert plan(None, material=None) == TokenPlan(make=True)


def test_keys_are_read_from_the_sites_files_and_trouble_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "idtoken").write_bytes(new_idtoken_key())
    (tmp_path / "macaroon").write_bytes(new_macaroon_key())
    pem = new_system_authority(NOW).certificate_pem
    (tmp_path / "ca.pem").write_bytes(pem)
    cache = {
        "host": "x",
        "keyFile": str(tmp_path / "macaroon"),
        "authorityFile": str(tmp_path / "ca.pem"),
    }
    keys = TokenKeys(site(batch={**BATCH, "keyFile": str(tmp_path / "idtoken")}, cache=cache))
    material = keys.read()
    assert material.cache_authority == pem
    assert material.idtoken is not None
    assert material.macaroon is not None
    (tmp_path / "macaroon").unlink()
    with pytest.raises(SigningKeyError, match=str(tmp_path / "macaroon")):
        keys.read()
    assert TokenKeys(site(batch=None, cache=None)).read() == Material()
