"""Tokens by which a session's user is known to the tracking server, MLflow."""

from datetime import datetime, timedelta
from typing import Final

from casita.credentials import jwt
from casita.credentials.root import service_key
from casita.credentials.token import SigningKey, Token

AUDIENCE: Final = "mlflow"
"""For whom the token is: no other service takes it."""

_PURPOSE: Final = "casita mlflow token"
_WHAT: Final = "MLflow token"


def derive_key(root_key: bytes) -> SigningKey:
    """Return the key of these tokens, which the tracking server has too."""
    return service_key(root_key, _PURPOSE)


def mint(
    key: SigningKey, issuer: str, user: str, life: timedelta, now: datetime, number: str
) -> Token:
    """Make a user's token.

    Args:
        key: of `derive_key`.
        issuer: the site's domain.
        user: local part of the user's identity, or the probe's.
        life: from `now` to the token's end.
        now: the time of issue, with a time zone.
        number: 32 lower-case hexadecimal digits, random; becomes ``jti``.

    Raises:
        CredentialError: the user's name is malformed, or the life is not positive.
    """
    said = {**expected_claims(issuer, user), "jti": number}
    return jwt.mint(key, said, life, now, _WHAT)


def verify(key: SigningKey, text: str, issuer: str, user: str) -> Token:
    """Read the token of a user back; whether it is over is for the caller to judge.

    Raises:
        CredentialError: it is damaged, signed with another key, or of somebody else.
    """
    return jwt.verify(key, text, expected_claims(issuer, user), _WHAT)


def expected_claims(issuer: str, user: str) -> dict[str, str]:
    """Return what every token of this user says, beside its number and times."""
    return {"iss": issuer, "aud": AUDIENCE, "sub": user}
