"""Macaroons, as XRootD's ``libXrdMacaroons.so`` takes them: version 1 of libmacaroons' format.

Sources: ``src/XrdMacaroons`` of XRootD for the caveats that it understands, libmacaroons' ``v1``
packets for the form: four hexadecimal digits of length, a field's name, a space, the value and a
newline each, all of it in base64url. A caveat that lacks means no limit, so all four are always
there; ``before`` further ahead than the server's ``macaroons.maxduration`` is refused by it.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from casita.api.names import USER_PATTERN
from casita.api.paths import MAX_PATH, PREFIX_PATTERN
from casita.credentials.errors import CredentialError
from casita.credentials.token import SigningKey, Token, times

ACTIVITIES: Final = "DOWNLOAD,LIST"
"""Reading a file and listing a directory; the server knows no ``READ``, and every activity brings
the right to look at metadata."""

MIN_SECRET_BYTES: Final = 32

MAX_TOKEN: Final = 4096
"""Bytes of a token's file that XRootD's clients read (``-maxsz`` of ``src/XrdSecztn``)."""

_FORMAT: Final = "%Y-%m-%dT%H:%M:%SZ"


def derive_key(secret: bytes) -> bytes:
    """Return the root key of every macaroon, of the secret that the server has decoded."""
    return hmac.digest(b"macaroons-key-generator", secret, hashlib.sha256)


def caveats(user: str, path: str, not_after: datetime) -> tuple[str, ...]:
    """Return what a macaroon allows, in the server's words."""
    return (
        f"name:{user}",
        f"activity:{ACTIVITIES}",
        f"path:{path}",
        f"before:{not_after.strftime(_FORMAT)}",
    )


def mint(
    key: SigningKey,
    location: str,
    user: str,
    path: str,
    life: timedelta,
    now: datetime,
    identifier: UUID,
) -> Token:
    """Make a macaroon: the user may read and list below a directory, until it ends.

    Args:
        key: the cache's key (`derive_key`).
        location: ``all.sitename`` of the cache.
        user: for the cache's log.
        path: directory, with a slash at its end.
        life: from `now` to the macaroon's end; shorter than the server's ``macaroons.maxduration``.
        now: the time of issue, with a time zone.
        identifier: random; the server writes it into its log.

    Raises:
        CredentialError: the user's name, the path or the location is malformed, or the life is not
            positive.
    """
    if not re.fullmatch(USER_PATTERN, user):
        raise CredentialError(f"no macaroon for user {user!r}: the name must match {USER_PATTERN}")
    if not re.fullmatch(PREFIX_PATTERN, path) or len(path) > MAX_PATH + 1:
        raise CredentialError(f"no macaroon for path {path!r}: it must match {PREFIX_PATTERN}")
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,255}", location):
        raise CredentialError(f"location of a macaroon must be a plain name, got {location!r}")
    issued_at, not_after = times(now, life, f"the macaroon of {user}")
    text = _serialize(key, location, str(identifier), caveats(user, path, not_after))
    return Token(text, str(identifier), issued_at, not_after)


def read(key: SigningKey, location: str, text: str) -> tuple[str, ...]:
    """Return the identifier of a macaroon of `key` for `location`, and what it allows.

    Raises:
        CredentialError: it is damaged, of another place, or signed with another key.
    """
    text = text.strip()
    try:
        fields = list(_fields(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))))
        _, identifier, *said, _ = (value.decode("utf-8", "replace") for value in fields)
    except ValueError:
        raise CredentialError("macaroon is damaged") from None
    expected = _serialize(key, location, identifier, tuple(said))
    # As bytes: compare_digest refuses text that is not ASCII.
    if not hmac.compare_digest(expected.encode(), text.encode("utf-8", "surrogatepass")):
        raise CredentialError("macaroon is damaged, of another place or signed with another key")
    return identifier, *said


def end_of(said: Sequence[str]) -> datetime | None:
    """Return when a macaroon that `mint` made ends, by what it allows; `None` for any other."""
    last = said[-1] if said else ""
    try:
        return datetime.strptime(last, f"before:{_FORMAT}").replace(tzinfo=UTC)
    except ValueError:
        return None


def _serialize(key: SigningKey, location: str, identifier: str, said: tuple[str, ...]) -> str:
    signature = hmac.digest(key.material, identifier.encode(), hashlib.sha256)
    packets = [_packet("location", location.encode()), _packet("identifier", identifier.encode())]
    for caveat in said:
        signature = hmac.digest(signature, caveat.encode(), hashlib.sha256)
        packets.append(_packet("cid", caveat.encode()))
    packets.append(_packet("signature", signature))
    return base64.urlsafe_b64encode(b"".join(packets)).rstrip(b"=").decode()


def _packet(name: str, value: bytes) -> bytes:
    # Four digits of length, the space and the newline count too.
    return b"%04x%s %s\n" % (len(name) + len(value) + 6, name.encode(), value)


def _fields(data: bytes) -> Iterator[bytes]:
    """Yield the values of all packets."""
    while data:
        length = int(data[:4], 16)
        if length < 6 or len(data) < length:
            raise ValueError("damaged packet")
        yield data[4 : length - 1].partition(b" ")[2]
        data = data[length:]
