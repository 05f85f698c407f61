"""JSON Web Tokens signed with HS256 (RFC 7519, RFC 7518 §3.2): the form of three kinds of token."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from casita.api.names import USER_PATTERN
from casita.credentials.errors import CredentialError
from casita.credentials.token import SigningKey, Token, times


def encode(key: SigningKey, header: Mapping[str, Any], said: Mapping[str, Any]) -> str:
    """Return the token that says `said`; the algorithm is added to its header."""
    signed = f"{_encode({'alg': 'HS256', **header})}.{_encode(said)}"
    return f"{signed}.{_signature(key, signed)}"


def mint(
    key: SigningKey, said: Mapping[str, Any], life: timedelta, now: datetime, what: str
) -> Token:
    """Make a token of a user: what `said` says, ``sub`` and ``jti`` among it, with its times.

    Raises:
        CredentialError: the user's name is malformed, or the life is not positive; the message
            names `what`.
    """
    user = said["sub"]
    if not re.fullmatch(USER_PATTERN, user):
        raise CredentialError(f"no {what} for user {user!r}: the name must match {USER_PATTERN}")
    issued_at, not_after = times(now, life, f"the {what} of {user}")
    begin = int(issued_at.timestamp())
    said = {**said, "iat": begin, "nbf": begin, "exp": int(not_after.timestamp())}
    return Token(encode(key, {"typ": "JWT"}, said), said["jti"], issued_at, not_after)


def verify(key: SigningKey, text: str, wanted: Mapping[str, Any], what: str) -> Token:
    """Read a token back that says all that is wanted; whether it is over is for the caller.

    Raises:
        CredentialError: it is damaged, signed with another key, or says something else.
    """
    said = claims(key, text, what)
    check_claims(said, wanted, what)
    return Token(text, str(said.get("jti", "")), *life_of(said, what))


def claims(key: SigningKey, text: str, what: str) -> Mapping[str, Any]:
    """Return what a token of `key` says; its times are not looked at.

    Raises:
        CredentialError: it is damaged, or signed with another key; the message begins with `what`.
    """
    signed, _, signature = text.strip().rpartition(".")
    expected = _signature(key, signed)
    # As bytes: compare_digest refuses text that is not ASCII.
    if not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "surrogatepass")):
        raise CredentialError(f"{what} is damaged or signed with another key")
    found: Mapping[str, Any] = json.loads(_decode(signed.partition(".")[2]))
    return found


def check_claims(said: Mapping[str, Any], wanted: Mapping[str, Any], what: str) -> None:
    """Raise `CredentialError`, naming `what`, unless a token says all that is wanted."""
    wrong = [name for name, value in wanted.items() if said.get(name) != value]
    if wrong:
        raise CredentialError(f"{what} has another {', '.join(sorted(wrong))}")


def life_of(said: Mapping[str, Any], what: str) -> tuple[datetime, datetime]:
    """Return when a token was issued and when it ends.

    Raises:
        CredentialError: it does not say so; the message begins with `what`.
    """
    try:
        begin, end = (datetime.fromtimestamp(said[name], UTC) for name in ("iat", "exp"))
    except (KeyError, TypeError, ValueError, OverflowError):
        raise CredentialError(f"{what} does not say how long it lives") from None
    return begin, end


def _signature(key: SigningKey, signed: str) -> str:
    message = signed.encode("utf-8", "surrogatepass")
    return _base64(hmac.digest(key.material, message, hashlib.sha256))


def _encode(value: Mapping[str, Any]) -> str:
    return _base64(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())


def _base64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
