"""What the credentials of one session cost: an authority, three leaves, and two tokens."""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from statistics import median
from uuid import uuid4

from casita.credentials import idtoken, macaroon
from casita.credentials.token import SigningKey
from casita.credentials.x509 import BACKDATE, Role, issue_leaf, new_authority

_DAY = timedelta(days=1)
_POOL = idtoken.Pool("bench.pool", "bench.users", "bench")
_SECRET = bytes(range(64))
_IDTOKEN_KEY = SigningKey(idtoken.derive_key(_SECRET, "bench"), "")
_MACAROON_KEY = SigningKey(macaroon.derive_key(_SECRET), "")


def mint_certificates(now: datetime) -> int:
    """Make the certificates of one session; return how many bytes of PEM they are."""
    authority = new_authority("casita session bench", now - BACKDATE, 8 * _DAY)
    size = len(authority.certificate_pem) + len(authority.key_pem)
    for role, names in (
        (Role.SCHEDULER, ["s.bench.svc", "s.dask.af.test"]),
        (Role.WORKER, ["s-worker"]),
        (Role.CLIENT, []),
    ):
        leaf = issue_leaf(authority, role, names, now, 7 * _DAY, common_name=f"{role} of s")
        size += len(leaf.certificate_pem) + len(leaf.key_pem)
    return size


def mint_tokens(now: datetime) -> int:
    """Make the tokens of one session; return how many bytes they are."""
    first = idtoken.user_token(_IDTOKEN_KEY, _POOL, "alice", _DAY, now, os.urandom(16).hex())
    second = macaroon.mint(_MACAROON_KEY, "bench", "alice", "/store/cms/", _DAY, now, uuid4())
    return len(first.text) + len(second.text)


def mint_session(now: datetime) -> int:
    """Make the credentials of one session; return how many bytes they are."""
    return mint_certificates(now) + mint_tokens(now)


def minting_milliseconds(
    rounds: int = 15, each: int = 20, mint: Callable[[datetime], int] = mint_session
) -> float:
    """Return the CPU milliseconds for one session's credentials, median of `rounds`."""
    now = datetime.now(UTC)
    found = []
    for _ in range(rounds):
        before = time.process_time()
        for _ in range(each):
            mint(now)
        found.append((time.process_time() - before) * 1000 / each)
    return median(found)
