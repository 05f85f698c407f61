"""Macaroons are those that libmacaroons makes, hold all four caveats, and reach one directory.

The vector was made by pymacaroons 0.13.0.
"""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casita.api.names import USER_PATTERN
from casita.api.paths import PREFIX_PATTERN
from casita.credentials import macaroon
from casita.credentials.errors import CredentialError
from casita.credentials.token import SigningKey

KEY = SigningKey(macaroon.derive_key(bytes(range(64))), "")
NOW = datetime(2026, 1, 1, 0, 4, 5, 123_456, UTC)
DAY = timedelta(days=1)
IDENTIFIER = UUID("00000000-0000-4000-8000-000000000001")
VECTOR = (
    "MDAxNGxvY2F0aW9uIGNhc2l0YQowMDM0aWRlbnRpZmllciAwMDAwMDAwMC0wMDAwLTQwMDAtODAwMC0wMDAwMDAwMDAw"
    "MDEKMDAxM2NpZCBuYW1lOmFsaWNlCjAwMWZjaWQgYWN0aXZpdHk6RE9XTkxPQUQsTElTVAowMDIwY2lkIHBhdGg6L3N0"
    "b3JlL3VzZXIvYWxpY2UvCjAwMjRjaWQgYmVmb3JlOjIwMjYtMDEtMDJUMDA6MDQ6MDVaCjAwMmZzaWduYXR1cmUgL1xa"
    "cJH6rjhG12nXxbavNbP_k3qMMrpYVQmchHocZwYK"
)


def mint(
    user: str = "alice",
    path: str = "/store/user/alice/",
    life: timedelta = DAY,
    location: str = "casita",
    key: SigningKey = KEY,
    identifier: UUID = IDENTIFIER,
) -> str:
    return macaroon.mint(key, location, user, path, life, NOW, identifier).text


def test_it_is_the_one_that_another_implementation_makes() -> None:
    assert mint() == VECTOR


users = st.from_regex(USER_PATTERN, fullmatch=True)
paths = st.from_regex(PREFIX_PATTERN, fullmatch=True).filter(lambda path: len(path) <= 512)


@given(users, paths, st.integers(1, 86_400), st.uuids(version=4))
def test_all_four_limits_are_always_there_and_nothing_else(
    user: str, path: str, seconds: int, identifier: UUID
) -> None:
    token = macaroon.mint(KEY, "casita", user, path, timedelta(seconds=seconds), NOW, identifier)
    end = NOW.replace(microsecond=0) + timedelta(seconds=seconds)
    assert macaroon.read(KEY, "casita", token.text) == (
        str(identifier),
        f"name:{user}",
        "activity:DOWNLOAD,LIST",
        f"path:{path}",
        f"before:{end:%Y-%m-%dT%H:%M:%SZ}",
    )
    assert path.endswith("/")
    assert (token.id, token.not_after) == (str(identifier), end)


def test_the_longest_fits_into_what_clients_read() -> None:
    path = "/" + "a" * 510 + "/"
    assert len(mint("a" * 32, path, location="a" * 255)) < macaroon.MAX_TOKEN


def test_another_time_zone_changes_nothing() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    token = macaroon.mint(KEY, "casita", "alice", "/store/user/alice/", DAY, there, IDENTIFIER)
    assert token.text == VECTOR


@pytest.mark.parametrize(
    "path",
    [
        "",
        "store/",
        "/store",
        "/store//x/",
        "/store/../etc/",
        "/store/./x/",
        "/..store/",
        "/store/a b/",
        "/store/a\n/",
        "/store/\n",
        "/store/a,b/",
        "/store/a?authz=x/",
        "/store/ä/",
        "/" + "a" * 512 + "/",
    ],
)
def test_a_path_that_could_reach_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(CredentialError, match="no macaroon for path"):
        mint(path=path)


@pytest.mark.parametrize("user", ["", "Alice", "a b", "alice\n", "a,b"])
def test_a_malformed_user_is_refused(user: str) -> None:
    with pytest.raises(CredentialError, match="no macaroon for user"):
        mint(user)


@pytest.mark.parametrize("location", ["", "a b", "a\n", "a/b"])
def test_a_malformed_location_is_refused(location: str) -> None:
    with pytest.raises(CredentialError, match="location"):
        mint(location=location)


def test_a_macaroon_without_a_life_is_refused() -> None:
    with pytest.raises(CredentialError, match="lifetime"):
        mint(life=timedelta(0))


@given(st.data())
def test_a_changed_macaroon_and_one_of_another_key_are_told(data: st.DataObject) -> None:
    raw = bytearray(base64.urlsafe_b64decode(VECTOR))
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    for damaged in (bytes(raw), bytes(raw[:place])):
        with pytest.raises(CredentialError, match="damaged"):
            macaroon.read(KEY, "casita", base64.urlsafe_b64encode(damaged).decode())
    other = SigningKey(macaroon.derive_key(bytes(64)), "")
    with pytest.raises(CredentialError, match="another place"):
        macaroon.read(KEY, "elsewhere", VECTOR)
    with pytest.raises(CredentialError, match="another key"):
        macaroon.read(other, "casita", VECTOR)


def test_a_caveat_that_the_holder_takes_away_is_told() -> None:
    identifier, *caveats = macaroon.read(KEY, "casita", VECTOR)
    signature = hmac.digest(KEY.material, identifier.encode(), hashlib.sha256)
    fields = [("location", b"casita"), ("identifier", identifier.encode())]
    fields += [("cid", caveat.encode()) for caveat in caveats[:-1]]
    last = base64.urlsafe_b64decode(VECTOR + "=" * (-len(VECTOR) % 4))[-33:-1]
    assert last != signature
    packed = b"".join(
        b"%04x%s %s\n" % (len(name) + len(value) + 6, name.encode(), value)
        for name, value in [*fields, ("signature", last)]
    )
    with pytest.raises(CredentialError, match="another key"):
        macaroon.read(KEY, "casita", base64.urlsafe_b64encode(packed).decode())


@pytest.mark.parametrize(
    "said", [(), ("before:soon",), ("before:2026-01-01T00:00:00Z", "name:alice")]
)
def test_when_one_ends_is_read_from_its_last_caveat_alone(said: tuple[str, ...]) -> None:
    assert macaroon.end_of(said) is None
    assert macaroon.end_of(macaroon.caveats("alice", "/store/", NOW)) == NOW.replace(microsecond=0)
