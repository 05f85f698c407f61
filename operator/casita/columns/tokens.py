"""Tokens of sessions: refresh tokens are verified, access tokens made and verified.

Both are JSON Web Tokens (RFC 7519) as flask-jwt-extended makes and takes them: HS256, with
``type``, ``fresh``, ``jti`` and ``sub``. The operator makes refresh tokens, one for each session,
with the session in ``casita_session``; an access token keeps it, and so ends with its session.
"""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

from casita.api.names import PROBE_USER, RESERVED_USERS, USER_PATTERN
from casita.columns.refusal import Reason, RefusedError
from casita.credentials import jwt
from casita.credentials.errors import CredentialError
from casita.credentials.servicex import SESSION_CLAIM
from casita.credentials.token import SigningKey

CLOCK_SECONDS: Final = 30
"""By how much the clock of whoever made a token may be ahead."""
MAX_LENGTH: Final = 4096

Kind = Literal["access", "refresh"]

_USER: Final = re.compile(USER_PATTERN)


@dataclass(frozen=True, slots=True)
class SessionReference:
    """One session, and no other that is made later under its name."""

    namespace: str
    name: str
    uid: str

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read ``<namespace>/<name>/<uid>``; `None` if it is something else."""
        parts = text.split("/")
        return cls(*parts) if len(parts) == 3 and all(parts) else None

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}/{self.uid}"


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token that was verified says.

    Attributes:
        expires: seconds since 1970.
    """

    user: str
    session: SessionReference
    expires: int


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of one site.

    Attributes:
        key: what they are signed with: ServiceX's own ``JWT_SECRET_KEY``.
        issuer: the site's domain.
        access_seconds: life of an access token.
    """

    key: SigningKey
    issuer: str
    access_seconds: int

    def verify(self, token: str, kind: Kind, now: float) -> Claims:
        """Check a token of this kind, and return what it says.

        Raises:
            RefusedError: it is not one of this site, not of this kind, or not valid at `now`.
        """
        said = self._said(token)
        if said.get("type") != kind:
            raise _refused(f"this is not {_called(kind)}: {_called(kind)} is needed here")
        if said.get("iss") != self.issuer:
            raise _refused("this token is not from this site")
        expires, begins = said.get("exp"), said.get("nbf", 0)
        if not isinstance(expires, int) or not isinstance(begins, int):
            raise _refused("this token has no end")
        if expires <= now:
            raise RefusedError(
                401, Reason.EXPIRED, "the token has expired; open your notebook anew"
            )
        if begins > now + CLOCK_SECONDS:
            raise _refused("this token is not valid yet")
        user, session = said.get("sub"), said.get(SESSION_CLAIM)
        reference = SessionReference.parse(session) if isinstance(session, str) else None
        if not isinstance(user, str) or not _may_come(user, kind):
            raise _refused("this token names no user")
        if reference is None:
            raise _refused("this token is not of a session")
        return Claims(user, reference, expires)

    def access(self, claims: Claims, now: float) -> str:
        """Return an access token for what a refresh token said; it does not outlive that."""
        begins = int(now)
        said = {
            "fresh": False,
            "iat": begins,
            "jti": str(uuid.uuid4()),
            "type": "access",
            "sub": claims.user,
            "nbf": begins,
            "exp": min(begins + self.access_seconds, claims.expires),
            "iss": self.issuer,
            SESSION_CLAIM: str(claims.session),
        }
        return jwt.encode(self.key, {"typ": "JWT"}, said)

    def _said(self, token: str) -> Mapping[str, Any]:
        if len(token) > MAX_LENGTH:
            raise _refused("this is no token")
        try:
            return jwt.claims(self.key, token, "token")
        except CredentialError as error:
            raise _refused("this token is not from this site") from error


def bearer(header: str | None) -> str:
    """Return the token of an Authorization header.

    Raises:
        RefusedError: there is none.
    """
    scheme, _, token = (header or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise RefusedError(
            401, Reason.NO_TOKEN, "a token is needed: your session's servicex.yaml has it"
        )
    return token.strip()


def _may_come(user: str, kind: Kind) -> bool:
    """Whether the name is a user's, or the operator's, that asks for no access."""
    if user == PROBE_USER:
        return kind == "refresh"
    return _USER.fullmatch(user) is not None and user not in RESERVED_USERS


def _called(kind: Kind) -> str:
    return {"access": "an access token", "refresh": "a refresh token"}[kind]


def _refused(words: str) -> RefusedError:
    return RefusedError(401, Reason.TOKEN, words)
