"""Transformers' token for the cache: what it allows, and when it is renewed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from casita.api.names import COLUMNS_USER, RESERVED_USERS
from casita.config import DataCache, Site
from casita.credentials import macaroon
from casita.credentials.errors import SigningKeyError
from casita.credentials.system import new_macaroon_key, new_system_authority
from casita.credentials.token import SigningKey
from casita.operator.site_tokens import DataToken, kept_tokens

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = SigningKey(macaroon.derive_key(bytes(range(64))), "1" * 16)
AUTHORITY = b"the authority's certificate\n"
CACHE = DataCache(host="xcache.af.test", max_duration_seconds=86_400)
LIFE = timedelta(seconds=85_800)


def wanted(**other: Any) -> DataToken:
    parts: dict[str, Any] = {"key": KEY, "authority": AUTHORITY, "cache": CACHE, "path": "/store/"}
    return DataToken(**{**parts, **other})


def test_it_reads_and_lists_below_the_prefix_and_ends_before_the_cache_refuses_it() -> None:
    token, files = wanted(path="/store/open/").make(NOW)
    assert files == {"token": token.text.encode(), "ca.pem": AUTHORITY}
    identifier, *said = macaroon.read(KEY, "casita", files["token"].decode())
    assert said == [
        "name:casita-columns",
        "activity:DOWNLOAD,LIST",
        "path:/store/open/",
        "before:2026-01-01T23:50:00Z",
    ]
    assert (identifier, token.not_after) == (token.id, NOW + LIFE)


def test_no_user_has_its_name() -> None:
    assert COLUMNS_USER in RESERVED_USERS


def test_it_is_renewed_at_half_its_life() -> None:
    _, files = wanted().make(NOW)
    half = NOW + LIFE / 2
    for now in (NOW, NOW + LIFE / 3, half, NOW + LIFE, NOW + 2 * LIFE):
        assert wanted().due(files, now) == half


@pytest.mark.parametrize(
    "other",
    [
        {"path": "/store/open/"},
        {"authority": b"another's certificate\n"},
        {"key": SigningKey(macaroon.derive_key(bytes(64)), "2" * 16)},
        {"cache": CACHE.model_copy(update={"site_name": "another"})},
        {"cache": CACHE.model_copy(update={"max_duration_seconds": 3600})},
    ],
    ids=lambda other: next(iter(other)),
)
def test_one_that_would_be_another_now_is_made_again_at_once(other: dict[str, Any]) -> None:
    _, files = wanted().make(NOW)
    now = NOW + timedelta(hours=1)
    assert wanted(**other).due(files, now) == now


def test_one_of_a_cache_that_takes_longer_ones_now_is_renewed_sooner() -> None:
    _, files = wanted(cache=CACHE.model_copy(update={"max_duration_seconds": 3600})).make(NOW)
    assert wanted().due(files, NOW) < NOW


@pytest.mark.parametrize(
    "damage",
    [{}, {"token": b""}, {"token": b"e30"}, {"token": b"\xff\xfe"}, {"ca.pem": b""}],
    ids=["gone", "empty", "other", "binary", "authority"],
)
def test_a_damaged_one_is_made_again(damage: dict[str, bytes]) -> None:
    _, files = wanted().make(NOW)
    assert wanted().due({**files, **damage} if damage else {}, NOW) == NOW


@pytest.mark.parametrize("user", ["alice", "casita-probe"])
def test_one_of_another_is_not_taken_for_it(user: str) -> None:
    token = macaroon.mint(KEY, "casita", user, "/store/", LIFE, NOW, UUID(int=1))
    assert wanted().due({"token": token.text.encode(), "ca.pem": AUTHORITY}, NOW) == NOW


def test_a_site_without_transformers_of_its_own_keeps_none(tmp_path: Path) -> None:
    site = with_data(tmp_path)
    assert [(kept.kind, kept.namespace, kept.secret) for kept in kept_tokens(site)] == [
        ("columns", "readers", "data")
    ]
    assert not list(kept_tokens(site.model_copy(update={"columns": None})))


def test_its_key_is_read_again_each_time_and_told_by_its_file_when_it_is_lost(
    tmp_path: Path,
) -> None:
    key, authority = tmp_path / "key", tmp_path / "ca.pem"
    (kept,) = kept_tokens(with_data(tmp_path))
    with pytest.raises(SigningKeyError, match=str(key)):
        kept.read()
    key.write_bytes(new_macaroon_key())
    authority.write_bytes(new_system_authority(NOW).certificate_pem)
    first = kept.read()
    _, files = first.make(NOW)
    key.unlink()
    key.write_bytes(new_macaroon_key())
    assert first.due(files, NOW) > NOW
    assert kept.read().due(files, NOW) == NOW


def with_data(folder: Path) -> Site:
    """A site whose transformers read through its cache."""
    return Site.model_validate(
        {
            "domain": "af.test",
            "profiles": [{"name": "default", "image": "example.org/notebook:1"}],
            "cache": {
                "host": "xcache.af.test",
                "keyFile": str(folder / "key"),
                "authorityFile": str(folder / "ca.pem"),
            },
            "columns": {
                "url": "http://columns.af.test:5000",
                "data": {"namespace": "readers", "secret": "data", "pathPrefix": "/store/"},
            },
        }
    )
