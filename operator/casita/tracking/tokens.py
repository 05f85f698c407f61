"""Sessions' tokens: JSON Web Tokens that the operator mints, and nobody else."""

import re
from pathlib import Path
from typing import Final

import jwt

from casita.api.names import USER_PATTERN
from casita.tracking.settings import SERVICE

ALGORITHM: Final = "HS256"
"""RFC 7518, section 3.2. No other is taken, whatever a token's header says."""

REQUIRED: Final = ("iss", "aud", "sub", "jti", "iat", "nbf", "exp")

MIN_KEY_BYTES: Final = 32
"""As RFC 7518, section 3.2, asks of this algorithm; an empty file signs nothing."""


class TokenRefusedError(Exception):
    """A token is nobody's; the message is for whoever brought it."""


def token_user(text: str, key: bytes, issuer: str) -> str:
    """Return whose token it is.

    Args:
        text: the token.
        key: what it must be signed with.
        issuer: who must have issued it.

    Raises:
        TokenRefusedError: it is damaged, foreign, for another service, over, or not valid yet.
    """
    try:
        said = jwt.decode(
            text,
            key,
            algorithms=[ALGORITHM],
            audience=SERVICE,
            issuer=issuer,
            options={"require": list(REQUIRED), "strict_aud": True},
        )
    except jwt.InvalidTokenError as error:
        raise TokenRefusedError(f"the token is refused: {error}") from error
    user: str = said["sub"]
    if not re.fullmatch(USER_PATTERN, user):
        raise TokenRefusedError("the token is refused: its subject is no user's name")
    return user


def read_key(path: Path) -> bytes:
    """Read the key as it is now: it is replaced while the server runs.

    Raises:
        OSError: there is none, or it is too short to be one.
    """
    key = path.read_bytes()
    if len(key) < MIN_KEY_BYTES:
        raise OSError(f"{path} has {len(key)} bytes, at least {MIN_KEY_BYTES} are needed")
    return key
