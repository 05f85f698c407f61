"""When a credential is renewed, and when a session has lived long enough."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final

from casita.api.names import ISSUED_AT_ANNOTATION, NOT_AFTER_ANNOTATION
from casita.sessions.observed import Child, parse_time

RENEWED_AT: Final = 2 / 3
"""Share of its life after which a leaf is renewed."""

_JITTER: Final = 0.05
"""Renewals come up to this share of the life earlier, different for every session."""


_EPOCH: Final = datetime.fromtimestamp(0, tz=UTC)


def renewal_time(secret: Child, session_uid: str) -> datetime:
    """Return when the leaf in `secret` should be renewed; the same answer at every asking.

    A leaf whose dates cannot be read is due at once.
    """
    try:
        issued_at = parse_time(secret.facts[ISSUED_AT_ANNOTATION])
        not_after = parse_time(secret.facts[NOT_AFTER_ANNOTATION])
    except (KeyError, ValueError):
        return _EPOCH
    life = not_after - issued_at
    seed = hashlib.sha256(f"{session_uid}/{secret.name}/{issued_at}".encode()).digest()
    early = _JITTER * int.from_bytes(seed[:4]) / 2**32
    return issued_at + life * (RENEWED_AT - early)


def end_of_life(authority: Child, max_lifetime_seconds: int) -> datetime:
    """Return when the session that `authority` was made for has lived long enough."""
    try:
        issued_at = parse_time(authority.facts[ISSUED_AT_ANNOTATION])
        not_after = parse_time(authority.facts[NOT_AFTER_ANNOTATION])
    except (KeyError, ValueError):
        return _EPOCH
    return min(not_after, issued_at + timedelta(seconds=max_lifetime_seconds))
