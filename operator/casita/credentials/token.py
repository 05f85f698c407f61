"""What an IDTOKEN and a macaroon have in common: a text, a number, times; the key that signs."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from casita.credentials.errors import CredentialError


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key in the form that signs tokens.

    Attributes:
        material: what tokens are signed with.
        fingerprint: 16 hexadecimal digits that tell one key from another and lead to none.
    """

    material: bytes = field(repr=False)
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Token:
    """A token and what may be told of it.

    Attributes:
        text: the token itself.
        id: its number: of an IDTOKEN ``jti``, of a macaroon the identifier.
        issued_at: when it was made, UTC, whole seconds.
        not_after: when it ends, UTC, whole seconds.
    """

    text: str = field(repr=False)
    id: str
    issued_at: datetime
    not_after: datetime


def times(now: datetime, life: timedelta, what: str) -> tuple[datetime, datetime]:
    """Return when a token begins and ends, in whole seconds of UTC.

    Raises:
        CredentialError: it would not live at all.
    """
    if now.tzinfo is None:
        raise ValueError(f"a time with a zone is needed, got {now.isoformat()}")
    issued_at = now.astimezone(UTC).replace(microsecond=0)
    not_after = issued_at + timedelta(seconds=int(life.total_seconds()))
    if not_after <= issued_at:
        raise CredentialError(f"lifetime of {what} must be at least a second, got {life}")
    return issued_at, not_after
