"""JSON Web Tokens signed with HS256 (RFC 7519, RFC 7518 §3.2): the form of three kinds of token."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from casita.credentials.errors import CredentialError
from casita.credentials.token import SigningKey


def encode(key: SigningKey, header: Mapping[str, Any], said: Mapping[str, Any]) -> str:
    """Return the token that says `said`; the algorithm is added to its header."""
    signed = f"{_encode({'alg': 'HS256', **header})}.{_encode(said)}"
    return f"{signed}.{_signature(key, signed)}"


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
