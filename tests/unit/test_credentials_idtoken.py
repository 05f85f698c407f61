"""IDTOKENs are HTCondor's own, name one user, end, and are made for nobody with rights of his own.

The vectors were made by ``generate_token`` of HTCondor 25.14.1's ``libcondor_utils`` (in the wheel
``htcondor``), with the key's bytes as the file of a named key.
"""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from casita.api.names import PROBE_USER, RESERVED_USERS, USER_PATTERN
from casita.credentials import idtoken
from casita.credentials.errors import CredentialError
from casita.credentials.token import SigningKey, Token

POOL = idtoken.Pool("casita.pool", "casita.users", "casita")
NOW = datetime(2026, 1, 1, 12, 0, 0, 999_999, UTC)
LIFE = timedelta(hours=12)
NUMBER = "0123456789abcdef" * 2
VECTORS = {
    "binary": (
        bytes(range(64)),
        (
            "eyJhbGciOiJIUzI1NiIsImtpZCI6ImNhc2l0YSJ9."
            "eyJleHAiOjE3OTUzNjMwNDQsImlhdCI6MTc5NTMxOTg0NCwiaXNzIjoiY2FzaXRhLnBvb2wiLCJqdGkiOiI1NTY4"
            "MDRmODk1ZDA4YzBlMWU2Yjg3YWE3ZjU3ZDVhZCIsInNjb3BlIjoiY29uZG9yOlwvUkVBRCBjb25kb3I6XC9XUklU"
            "RSIsInN1YiI6ImFsaWNlQGNhc2l0YS51c2VycyJ9.YhWvwKjsgKD6X1XbqgeSbk1GkfSsE1bs3FeJQka5-CI"
        ),
        "556804f895d08c0e1e6b87aa7f57d5ad",
    ),
    "newline at the end": (
        b"a key of text, with a newline at its end\n",
        (
            "eyJhbGciOiJIUzI1NiIsImtpZCI6InRleHQifQ."
            "eyJleHAiOjE3OTUzNjMwNDQsImlhdCI6MTc5NTMxOTg0NCwiaXNzIjoiY2FzaXRhLnBvb2wiLCJqdGkiOiJjMjBm"
            "MTQzMTczNjgzYjRhOWFjZDgyMmFkM2JjMzhjOCIsInNjb3BlIjoiY29uZG9yOlwvUkVBRCBjb25kb3I6XC9XUklU"
            "RSIsInN1YiI6ImFsaWNlQGNhc2l0YS51c2VycyJ9.5UitXjF6lnTyIz691QZ4J1ymJ63aoIpBHVEh6uBCWSo"
        ),
        "c20f143173683b4a9acd822ad3bc38c8",
    ),
}


def signing_key(content: bytes = bytes(range(64)), key_id: str = "casita") -> SigningKey:
    return SigningKey(idtoken.derive_key(content, key_id), "")


def part(token: Token, number: int) -> dict[str, Any]:
    text = token.text.split(".")[number]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return found


@pytest.mark.parametrize(("content", "theirs", "number"), VECTORS.values(), ids=VECTORS)
def test_a_token_that_htcondor_made_is_signed_and_worded_as_ours(
    content: bytes, theirs: str, number: str
) -> None:
    key = signing_key(content)
    said = idtoken.claims(key, theirs)
    begin = datetime.fromtimestamp(said["iat"], UTC)
    ours = idtoken.user_token(key, POOL, "alice", LIFE, begin, number)
    assert part(ours, 1) == said


def test_the_header_is_htcondors() -> None:
    token = idtoken.user_token(signing_key(), POOL, "alice", LIFE, NOW, NUMBER)
    theirs = VECTORS["binary"][1].split(".")[0]
    assert token.text.split(".")[0] == theirs
    assert part(token, 0) == {"alg": "HS256", "kid": "casita"}


@given(st.binary(min_size=1, max_size=200))
def test_the_key_is_that_of_the_standard(content: bytes) -> None:
    plain = bytes(byte ^ b"\xde\xad\xbe\xef"[place % 4] for place, byte in enumerate(content))
    standard = HKDF(SHA256(), 32, b"htcondor", b"master jwt").derive(plain)
    assert idtoken.derive_key(content, "casita") == standard


def test_the_pools_own_key_is_refused_with_the_remedy() -> None:
    with pytest.raises(CredentialError, match=r"'POOL'.*global\.batch\.keyId"):
        idtoken.derive_key(bytes(64), "POOL")


@given(
    st.from_regex(USER_PATTERN, fullmatch=True).filter(lambda user: user not in RESERVED_USERS),
    st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=30)),
    st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)),
    st.binary(min_size=16, max_size=16),
)
def test_every_users_token_ends_is_bounded_and_names_that_user_alone(
    user: str, life: timedelta, moment: datetime, number: bytes
) -> None:
    now = moment.replace(tzinfo=UTC)
    token = idtoken.user_token(signing_key(), POOL, user, life, now, number.hex())
    said = idtoken.claims(signing_key(), token.text)
    assert set(said) == {"iss", "sub", "iat", "exp", "jti", "scope"}
    assert (said["iss"], said["sub"]) == ("casita.pool", f"{user}@casita.users")
    assert said["scope"] == "condor:/READ condor:/WRITE"
    assert {type(said["iat"]), type(said["exp"])} == {int}
    assert said["iat"] <= now.timestamp() < said["iat"] + 1
    assert said["exp"] - said["iat"] == int(life.total_seconds()) > 0
    assert said["jti"] == token.id == number.hex()
    assert (token.issued_at.timestamp(), token.not_after.timestamp()) == (said["iat"], said["exp"])
    assert "=" not in token.text


@pytest.mark.parametrize(
    "user", [*RESERVED_USERS, "", "Alice", "a b", "alice\n", "alice@other", "a" * 33, "1alice"]
)
def test_names_with_rights_of_their_own_and_malformed_ones_are_refused(user: str) -> None:
    with pytest.raises(CredentialError, match="no IDTOKEN for user"):
        idtoken.user_token(signing_key(), POOL, user, LIFE, NOW, NUMBER)


def test_machines_may_join_and_no_more() -> None:
    token = idtoken.execute_token(signing_key(), POOL, LIFE, NOW, NUMBER)
    said = idtoken.claims(signing_key(), token.text)
    assert said["sub"] == "condor@casita.users"
    rights = "condor:/READ condor:/ADVERTISE_MASTER condor:/ADVERTISE_STARTD"
    assert said["scope"] == rights


def test_who_looks_whether_the_pool_answers_may_only_look() -> None:
    token = idtoken.probe_token(signing_key(), POOL, LIFE, NOW, NUMBER)
    said = idtoken.claims(signing_key(), token.text)
    assert (said["sub"], said["scope"]) == ("casita-probe@casita.users", "condor:/READ")
    assert PROBE_USER in RESERVED_USERS


@pytest.mark.parametrize("life", [timedelta(0), timedelta(seconds=-1), timedelta(milliseconds=900)])
def test_a_token_without_a_life_is_refused(life: timedelta) -> None:
    with pytest.raises(CredentialError, match="lifetime"):
        idtoken.user_token(signing_key(), POOL, "alice", life, NOW, NUMBER)


@pytest.mark.parametrize("number", ["", "1", NUMBER.upper(), NUMBER + "0"])
def test_a_token_without_a_proper_number_is_refused(number: str) -> None:
    with pytest.raises(CredentialError, match="jti"):
        idtoken.user_token(signing_key(), POOL, "alice", LIFE, NOW, number)


@given(st.data())
def test_a_changed_token_and_one_of_another_key_are_told(data: st.DataObject) -> None:
    text = idtoken.user_token(signing_key(), POOL, "alice", LIFE, NOW, NUMBER).text
    place = data.draw(st.integers(0, len(text) - 2))  # the last digit has bits without meaning
    other = data.draw(st.characters(exclude_characters=text[place], codec="utf-8"))
    for damaged in (text[:place] + other + text[place + 1 :], text[:place]):
        with pytest.raises(CredentialError, match="damaged or signed with another key"):
            idtoken.claims(signing_key(), damaged)
    with pytest.raises(CredentialError, match="another key"):
        idtoken.claims(signing_key(bytes(64)), text)


def test_neither_key_nor_token_is_printed() -> None:
    key = signing_key()
    token = idtoken.user_token(key, POOL, "alice", LIFE, NOW, NUMBER)
    assert token.text not in repr(token)
    assert repr(key.material) not in repr(key)
