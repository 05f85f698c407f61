"""What is checked follows the site's configuration and its keys, as they are at that moment."""

import json
import os
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from casita.api.conditions import Reason
from casita.api.names import PROBE_USER
from casita.clients.checking.request import CacheCheck, CheckAnswer, CheckReason, ScheddCheck
from casita.config import Site
from casita.credentials import idtoken, keys, macaroon
from casita.credentials.errors import CredentialError
from casita.credentials.x509 import new_authority
from casita.sessions.check_reasons import CACHE_REASONS, SCHEDD_REASONS, told
from casita.sessions.site_checks import LIFE, site_checks

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
PROFILES = [{"name": "default", "image": "notebook"}]


def cache(folder: Path) -> dict[str, str]:
    secret, authority = folder / "macaroon", folder / "ca.pem"
    secret.write_bytes(b64encode(os.urandom(64)) + b"\n")
    made = new_authority("cache", NOW, timedelta(days=1))
    authority.write_bytes(made.certificate_pem)
    return {
        "host": "xcache.example",
        "probePath": "/store/sub/probe.root",
        "keyFile": str(secret),
        "authorityFile": str(authority),
    }


def batch(folder: Path) -> dict[str, str]:
    key = folder / "idtoken"
    key.write_bytes(os.urandom(64))
    return {
        "collector": "pool.example:9618",
        "schedd": "casita@casita.pool",
        "trustDomain": "casita.pool",
        "uidDomain": "casita.users",
        "keyFile": str(key),
    }


def site(**parts: dict[str, str]) -> Site:
    return Site.model_validate({"domain": "af.example", "profiles": PROFILES, **parts})


def test_a_site_without_cache_and_pool_checks_nothing() -> None:
    assert site_checks(site(), lambda: NOW, os.urandom) == {}


def test_a_cache_without_a_probe_path_is_not_checked(tmp_path: Path) -> None:
    without = {k: v for k, v in cache(tmp_path).items() if k != "probePath"}
    assert site_checks(site(cache=without), lambda: NOW, os.urandom) == {}


def test_the_cache_is_asked_with_a_macaroon_that_reads_and_soon_ends(tmp_path: Path) -> None:
    parts = cache(tmp_path)
    request = site_checks(site(cache=parts), lambda: NOW, os.urandom)["cache"]()
    assert isinstance(request, CacheCheck)
    assert (request.host, request.port) == ("xcache.example", 1094)
    assert request.path == "/store/sub/probe.root"
    assert request.origin_path is not None
    assert request.origin_path.startswith("/store/sub/")
    assert "BEGIN CERTIFICATE" in request.authority_pem
    packets = urlsafe_b64decode(request.token + "==")
    for caveat in macaroon.caveats(PROBE_USER, "/store/", NOW + LIFE):
        assert caveat.encode() in packets


def test_the_schedd_is_asked_with_an_idtoken_that_reads_and_soon_ends(tmp_path: Path) -> None:
    request = site_checks(site(batch=batch(tmp_path)), lambda: NOW, os.urandom)["schedd"]()
    assert isinstance(request, ScheddCheck)
    assert (request.collector, request.schedd) == ("pool.example:9618", "casita@casita.pool")
    assert request.levels == ("READ",)
    said = json.loads(urlsafe_b64decode(request.token.split(".")[1] + "=="))
    assert said["sub"] == f"{PROBE_USER}@casita.users"
    assert said["scope"] == "condor:/READ"
    assert said["exp"] - said["iat"] == LIFE.total_seconds()


def test_no_two_checks_have_the_same_token(tmp_path: Path) -> None:
    both = site_checks(site(cache=cache(tmp_path), batch=batch(tmp_path)), lambda: NOW, os.urandom)
    for request in both.values():
        assert request().token != request().token


def test_a_new_key_is_used_and_a_missing_one_named(tmp_path: Path) -> None:
    parts = batch(tmp_path)
    request = site_checks(site(batch=parts), lambda: NOW, os.urandom)["schedd"]
    key = Path(parts["keyFile"])
    key.unlink()
    with pytest.raises(CredentialError, match=r"idtoken.*no such file"):
        request()
    key.write_bytes(os.urandom(64))
    signed_with = keys.idtoken_key_file(key, "casita").read()
    assert idtoken.claims(signed_with, request().token)["iss"] == "casita.pool"


SCHEDD_ALONE = {CheckReason.NO_SUCH_SCHEDD}
CACHE_ALONE = {
    CheckReason.CERTIFICATE_REFUSED,
    CheckReason.NO_SUCH_FILE,
    CheckReason.ORIGIN_UNAVAILABLE,
}


def test_every_answer_of_a_check_has_its_reason_in_a_condition() -> None:
    assert set(CACHE_REASONS) == set(CheckReason) - SCHEDD_ALONE
    assert set(SCHEDD_REASONS) == set(CheckReason) - CACHE_ALONE


@pytest.mark.parametrize("reasons", [CACHE_REASONS, SCHEDD_REASONS])
def test_a_condition_is_true_only_of_what_was_seen_to_work(
    reasons: Mapping[CheckReason, Reason],
) -> None:
    status = {reason: told(CheckAnswer(reason, "words"), reasons)[0] for reason in reasons}
    assert [reason for reason, true in status.items() if true] == [CheckReason.ANSWERED]
    assert status[CheckReason.CHECK_FAILED] is None
    assert status[CheckReason.TOKEN_REFUSED] is False


def test_what_was_not_tried_yet_is_unknown() -> None:
    assert told(None, CACHE_REASONS)[:2] == (None, Reason.NOT_TRIED)
