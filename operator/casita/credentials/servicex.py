"""Refresh tokens for ServiceX, as its own server makes them with flask-jwt-extended.

A client shows one at ``/token/refresh`` and gets an access token for a few hours. Claims are those
of ``_encode_jwt`` in ``flask_jwt_extended/tokens.py``; ``iss`` and ``casita_session`` are ours, and
the server passes over both. There is no ``aud``: PyJWT refuses one that nobody expects.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from casita.credentials import jwt
from casita.credentials.root import service_key
from casita.credentials.token import SigningKey, Token

SESSION_CLAIM: Final = "casita_session"

_PURPOSE: Final = "casita servicex token"
_WHAT: Final = "ServiceX token"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a token.

    Attributes:
        issuer: the site's domain.
        user: local part of the user's identity, or the probe's.
        session: ``<namespace>/<name>/<uid>``.
    """

    issuer: str
    user: str
    session: str

    def claims(self) -> dict[str, Any]:
        """Return what every token of this holder says, beside its numbers and times."""
        return {
            "iss": self.issuer,
            "sub": self.user,
            SESSION_CLAIM: self.session,
            "type": "refresh",
            "fresh": False,
        }


def derive_key(root_key: bytes) -> SigningKey:
    """Return the key of these tokens, which is ServiceX' ``JWT_SECRET_KEY``."""
    return service_key(root_key, _PURPOSE)


def mint(
    key: SigningKey, holder: Holder, life: timedelta, now: datetime, number: UUID, csrf: UUID
) -> Token:
    """Make a refresh token.

    Args:
        key: of `derive_key`.
        holder: whose it is.
        life: from `now` to the token's end.
        now: the time of issue, with a time zone.
        number: random; becomes ``jti``, by which ServiceX knows a user's valid token.
        csrf: random; of use to browsers alone, and in every token.

    Raises:
        CredentialError: the user's name is malformed, or the life is not positive.
    """
    said = {**holder.claims(), "jti": str(number), "csrf": str(csrf)}
    return jwt.mint(key, said, life, now, _WHAT)


def verify(key: SigningKey, text: str, holder: Holder) -> Token:
    """Read the token of a holder back; whether it is over is for the caller to judge.

    Raises:
        CredentialError: it is damaged, signed with another key, or of somebody else.
    """
    return jwt.verify(key, text, holder.claims(), _WHAT)
