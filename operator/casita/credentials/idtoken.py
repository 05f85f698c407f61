"""HTCondor IDTOKENs, as ``condor_token_create`` makes them.

A JSON Web Token (RFC 7519) signed with HS256. Sources, all of HTCondor: the format is
``generate_token`` of ``src/condor_io/condor_auth_passwd.cpp``, the key that of
``getTokenSigningKey`` of ``src/condor_utils/store_cred.cpp``, its scrambling ``simple_scramble``
there. The server refuses a token without ``jti``, ``iss`` or ``sub``; it takes one without ``exp``
for good for ever and one without ``scope`` for unlimited, so both always are there.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from casita.api.names import PROBE_USER, RESERVED_USERS, USER_PATTERN
from casita.credentials import jwt
from casita.credentials.errors import CredentialError
from casita.credentials.token import SigningKey, Token, times

POOL_KEY: Final = "POOL"
"""The key that every pool has: doubled before it is used, and shared by all who trust the pool."""

USER_SCOPE: Final = ("READ", "WRITE")
"""What submitting, looking and removing asks of schedd and collector
(``src/condor_schedd.V6/schedd.cpp``, the table of commands)."""

EXECUTE_SCOPE: Final = ("READ", "ADVERTISE_MASTER", "ADVERTISE_STARTD")
"""What a machine asks of the collector to join the pool (``build/docker/services/README.md``)."""

PROBE_SCOPE: Final = ("READ",)

DAEMON: Final = "condor"
"""Identity of the pool's daemons. No user gets it: it may do everything."""

_SCRAMBLE: Final = bytes.fromhex("deadbeef")


@dataclass(frozen=True, slots=True)
class Pool:
    """What a token must say to be believed by a pool.

    Attributes:
        trust_domain: the pool's ``TRUST_DOMAIN``, byte for byte.
        uid_domain: the pool's ``UID_DOMAIN``.
        key_id: name of the signing key on the pool's daemons.
    """

    trust_domain: str
    uid_domain: str
    key_id: str


def derive_key(content: bytes, key_id: str) -> bytes:
    """Return what tokens are signed with, of the content of a named key's file.

    HTCondor keeps key files scrambled and takes their bytes as they are, a newline at the end
    included; then HKDF-SHA256 (RFC 5869), one block.

    Raises:
        CredentialError: the key is the pool's own, which is derived in another way.
    """
    if key_id == POOL_KEY:
        raise CredentialError(
            f"signing key {POOL_KEY!r} is the pool's own: make a named key for casita on the "
            "pool's daemons and set global.batch.keyId to its name"
        )
    pattern = _SCRAMBLE * (len(content) // len(_SCRAMBLE) + 1)
    plain = bytes(a ^ b for a, b in zip(content, pattern, strict=False))
    extracted = hmac.digest(b"htcondor", plain, hashlib.sha256)
    return hmac.digest(extracted, b"master jwt\x01", hashlib.sha256)


def user_token(
    key: SigningKey, pool: Pool, user: str, life: timedelta, now: datetime, number: str
) -> Token:
    """Make the token of a user: to submit jobs and look after them, and nothing else.

    Args:
        key: the pool's key.
        pool: the pool.
        user: local part of the identity.
        life: from `now` to the token's end.
        now: the time of issue, with a time zone.
        number: 32 lower-case hexadecimal digits, random; becomes ``jti``.

    Raises:
        CredentialError: the user's name is reserved or malformed, or the life is not positive.
    """
    if not re.fullmatch(USER_PATTERN, user):
        raise CredentialError(f"no IDTOKEN for user {user!r}: the name must match {USER_PATTERN}")
    if user in RESERVED_USERS:
        raise CredentialError(f"no IDTOKEN for user {user!r}: the name is reserved")
    return _mint(key, pool, user, USER_SCOPE, life, now, number)


def execute_token(
    key: SigningKey, pool: Pool, life: timedelta, now: datetime, number: str
) -> Token:
    """Make the token by which machines join the pool; see `user_token` for arguments."""
    return _mint(key, pool, DAEMON, EXECUTE_SCOPE, life, now, number)


def probe_token(key: SigningKey, pool: Pool, life: timedelta, now: datetime, number: str) -> Token:
    """Make the token by which the operator asks whether the pool answers; see `user_token`."""
    return _mint(key, pool, PROBE_USER, PROBE_SCOPE, life, now, number)


def claims(key: SigningKey, text: str) -> Mapping[str, Any]:
    """Return what a token of `key` says.

    Raises:
        CredentialError: it is damaged, or signed with another key.
    """
    return jwt.claims(key, text, "IDTOKEN")


def expected_claims(pool: Pool, user: str, scope: tuple[str, ...]) -> dict[str, str]:
    """Return what every token of this user for this pool says, beside its number and times."""
    return {
        "iss": pool.trust_domain,
        "sub": f"{user}@{pool.uid_domain}",
        "scope": " ".join(f"condor:/{right}" for right in scope),
    }


def _mint(
    key: SigningKey,
    pool: Pool,
    user: str,
    scope: tuple[str, ...],
    life: timedelta,
    now: datetime,
    number: str,
) -> Token:
    if not re.fullmatch(r"[0-9a-f]{32}", number):
        raise CredentialError("jti of an IDTOKEN must be 32 hexadecimal digits")
    issued_at, not_after = times(now, life, f"the IDTOKEN of {user}")
    said = {
        **expected_claims(pool, user, scope),
        "iat": int(issued_at.timestamp()),
        "exp": int(not_after.timestamp()),
        "jti": number,
    }
    text = jwt.encode(key, {"kid": pool.key_id}, said)
    return Token(text, number, issued_at, not_after)
