"""The operator's checks meet the site's real parts, and say what is wrong in plain words."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.facility import NAMESPACE
from tests.origin import NAME as ORIGIN
from tests.origin import NAMESPACE as ORIGIN_NAMESPACE
from tests.support import kubectl
from tests.support.cluster import eventually

RUN = """
import asyncio, json, os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4
from casita.clients.checking.process import run_check
from casita.config import load_site
from casita.credentials import idtoken, keys, macaroon
from casita.credentials.token import SigningKey
from casita.credentials.x509 import new_authority
from casita.sessions.site_checks import site_checks
from casita.sessions.tokens import pool_of

site = load_site(Path("/etc/casita/site.yaml"))
now = datetime.now(UTC)
another = SigningKey(os.urandom(32), "another")
stranger = new_authority("stranger", now - timedelta(hours=1), timedelta(days=1))
request = site_checks(site, lambda: now, os.urandom, os.urandom(32))["%(check)s"]()
request = %(request)s
answer = asyncio.run(run_check(request, %(seconds)g))
print(json.dumps([answer.reason, answer.message, answer.seconds]))
"""
"""A check in the operator's own pod, with the site's configuration and keys."""


def check(name: str, request: str = "request", seconds: float = 35) -> tuple[str, str, float]:
    """Run a check, or what `request` makes of it, and return reason, message and seconds."""
    code = RUN % {"check": name, "request": request, "seconds": seconds}
    target = "deploy/casita-operator"
    said = kubectl.run("-n", NAMESPACE, "exec", "-i", target, "--", "python3", "-", stdin=code)
    reason, message, took = json.loads(said)
    return reason, message, took


async def answered(reason: str) -> tuple[str, str, float]:
    """Check the cache until the answer has this reason, and return the answer."""

    def look() -> tuple[str, str, float]:
        found = check("cache")
        assert found[0] == reason, found
        return found

    return await eventually(look, 120, what=f"the cache's check says {reason}", pause=1)


def macaroon_of(key: str = "another", path: str = "/store/", hours: float = 0.1) -> str:
    made = (
        f"macaroon.mint({key}, site.cache.site_name, 'casita-probe', {path!r}, "
        f"timedelta(hours={hours}), now, uuid4()).text"
    )
    return f"replace(request, token={made})"


SITE_KEY = "keys.macaroon_key_file(site.cache.key_file).read()"


async def test_the_probe_file_is_read_through_the_cache() -> None:
    reason, message, took = await answered("Answered")
    assert reason == "Answered"
    assert "/store/nanoaod/nano_dy.root" in message
    assert took < 10


@pytest.mark.parametrize(
    ("request_", "expected", "words"),
    [
        (macaroon_of(), "TokenRefused", "another key"),
        (macaroon_of(SITE_KEY, hours=48), "TokenRefused", "maxduration"),
        (macaroon_of(SITE_KEY, "/store/elsewhere/"), "PermissionDenied", "/store/nanoaod"),
        ("replace(request, path='/private/file')", "PermissionDenied", "/private/file"),
        ("replace(request, path='/store/no/such.root')", "NoSuchFile", "/store/no/such.root"),
        ("replace(request, port=1)", "NoAnswer|Unreachable", ":1"),
        (
            "replace(request, authority_pem=stranger.certificate_pem.decode())",
            "CertificateRefused",
            "not accepted",
        ),
    ],
    ids=["key", "life", "path", "export", "file", "port", "authority"],
)
def test_a_refusal_of_the_cache_is_told_by_its_cause(
    request_: str, expected: str, words: str
) -> None:
    reason, message, _ = check("cache", request_)
    assert reason in expected.split("|"), message
    assert words in message
    assert "MDAx" not in message, "the beginning of a macaroon"


async def test_an_origin_that_is_down_is_told_although_the_probe_file_is_cached() -> None:
    await answered("Answered")
    with scaled_down(ORIGIN_NAMESPACE, ORIGIN):
        _, message, _ = await answered("OriginUnavailable")
        assert "casita-probe-of-the-origin" in message
        assert check("cache", "replace(request, origin_path=None)")[0] == "Answered"
    await answered("Answered")


def test_the_schedd_is_found_and_grants_what_is_asked() -> None:
    reason, message, took = check("schedd")
    assert reason == "Answered", message
    assert "casita@casita.pool" in message
    assert took < 10


def idtoken_of(key: str = "another", **pool: str) -> str:
    changed = ", ".join(f"{name}={value!r}" for name, value in pool.items())
    made = (
        f"idtoken.probe_token({key}, replace(pool_of(site.batch), {changed}), "
        "timedelta(minutes=5), now, os.urandom(16).hex()).text"
    )
    return f"replace(request, token={made})"


@pytest.mark.parametrize(
    ("request_", "expected", "words"),
    [
        (idtoken_of(), "TokenRefused", "another than the operator's"),
        (idtoken_of(trust_domain="other.pool"), "TokenRefused", "other.pool"),
        (idtoken_of(key_id="unknown"), "TokenRefused", "unknown"),
        ("replace(request, schedd='nosuch@casita.pool')", "NoSuchSchedd", "casita@casita.pool"),
        ("replace(request, levels=('WRITE',))", "PermissionDenied", "ALLOW_WRITE"),
        ("replace(request, collector='nosuch.invalid:9618')", "Unreachable", "nosuch.invalid"),
    ],
    ids=["key", "trust-domain", "key-id", "schedd", "level", "collector"],
)
def test_a_refusal_of_the_pool_is_told_by_its_cause(
    request_: str, expected: str, words: str
) -> None:
    reason, message, _ = check("schedd", request_)
    assert reason == expected, message
    assert words in message
    assert "eyJ" not in message, "the beginning of an IDTOKEN"


def test_a_schedd_that_hangs_costs_the_time_limit_and_no_more() -> None:
    with signalled("condor_schedd"):
        reason, message, took = check("schedd", seconds=5)
    assert reason == "NoAnswer", message
    assert "casita@casita.pool" in message
    assert took < 10
    assert check("schedd")[0] == "Answered"


@contextmanager
def scaled_down(namespace: str, name: str) -> Iterator[None]:
    def scale(replicas: int) -> None:
        kubectl.run("-n", namespace, "scale", f"deploy/{name}", f"--replicas={replicas}")

    scale(0)
    try:
        selector = json.loads(kubectl.run("-n", namespace, "get", f"deploy/{name}", "-o", "json"))
        labels: dict[str, Any] = selector["spec"]["selector"]["matchLabels"]
        pods = ",".join(f"{key}={value}" for key, value in labels.items())
        kubectl.run("-n", namespace, "wait", "--for=delete", "pod", "-l", pods, "--timeout=120s")
        yield
    finally:
        scale(1)
        kubectl.run("-n", namespace, "rollout", "status", f"deploy/{name}", "--timeout=180s")


@contextmanager
def signalled(daemon: str) -> Iterator[None]:
    """Stop a daemon of the access point without ending it."""

    def send(signal: str) -> None:
        script = f'for p in $(pidof {daemon}); do kill -{signal} "$p"; done'
        target = ("exec", "deploy/casita-htcondor", "--", "sh", "-c", script)
        kubectl.run("-n", NAMESPACE, *target)

    send("STOP")
    try:
        yield
    finally:
        send("CONT")
