"""The tokens that parts of the site show: of machines for the pool, of transformers for the cache.

Machines join the chart's own HTCondor pool by an IDTOKEN. ServiceX's transformers read through the
cache by a macaroon, one for all users, because ServiceX does not say for whom a transformer reads.
They take it as they start and keep it to their end, so it lives as long as the cache takes, and the
chart ends requests before a token could (`servicex.maxSeconds`).

Pure but for the keys, which are files.
"""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

from casita.api.names import COLUMNS_USER
from casita.config import Batch, DataCache, Site
from casita.credentials import idtoken, macaroon
from casita.credentials.errors import CredentialError
from casita.credentials.keys import authority_file, idtoken_key_file, macaroon_key_file
from casita.credentials.token import SigningKey, Token
from casita.sessions.tokens import pool_of

logger = logging.getLogger(__name__)

RENEWED_AT: Final = 1 / 2
"""Of their lives."""

JOIN_TOKEN_LIFETIME: Final = timedelta(days=7)
"""Of the token by which machines join the pool: it outlives an operator that is away for days, and
it cannot submit anything."""

Files = Mapping[str, bytes]


class SiteToken(Protocol):
    """A kind of token, with all that one is made with as it is now."""

    @property
    def user(self) -> str:
        """Whom it is for."""

    def make(self, now: datetime) -> tuple[Token, Files]:
        """Return a new token, and the files of its Secret."""

    def due(self, files: Files, now: datetime) -> datetime:
        """Return when the token is to be renewed: now if it is not what would be made now."""


@dataclass(frozen=True, slots=True)
class KeptToken:
    """A token that the operator keeps valid.

    Attributes:
        kind: for the audit log.
        namespace: where its Secret is.
        secret: name of its Secret.
        read: returns what it is made with; may raise `SigningKeyError`.
    """

    kind: str
    namespace: str
    secret: str
    read: Callable[[], SiteToken]


def kept_tokens(site: Site) -> Iterator[KeptToken]:
    """Yield the tokens that this site needs."""
    batch, cache, columns = site.batch, site.cache, site.columns
    if batch and batch.pool_token_secret and batch.pool_namespace:
        read = join_token_source(batch)
        yield KeptToken("join", batch.pool_namespace, batch.pool_token_secret, read)
    if cache and columns and columns.data:
        data = columns.data
        source = data_token_source(cache, data.path_prefix)
        yield KeptToken("columns", data.namespace, data.secret, source)


@dataclass(frozen=True, slots=True)
class JoinToken:
    """The token by which machines join the pool."""

    key: SigningKey
    batch: Batch

    @property
    def user(self) -> str:
        """The daemons' own name at the pool."""
        return f"{idtoken.DAEMON}@{self.batch.uid_domain}"

    def make(self, now: datetime) -> tuple[Token, Files]:
        """Return a new token, and the files of its Secret."""
        number = os.urandom(16).hex()
        pool = pool_of(self.batch)
        token = idtoken.execute_token(self.key, pool, JOIN_TOKEN_LIFETIME, now, number)
        return token, {"token": f"{token.text}\n".encode()}

    def due(self, files: Files, now: datetime) -> datetime:
        """Return when the token is to be renewed: now if it is not what would be made now."""
        wanted = idtoken.expected_claims(pool_of(self.batch), idtoken.DAEMON, idtoken.EXECUTE_SCOPE)
        try:
            said = idtoken.claims(self.key, _token(files))
            same = all(said.get(name) == value for name, value in wanted.items())
            begin, end = (datetime.fromtimestamp(said[name], UTC) for name in ("iat", "exp"))
        except (CredentialError, KeyError, TypeError) as error:
            logger.warning("the pool's join token is made again: %s", error)
            return now
        return begin + (end - begin) * RENEWED_AT if same else now


@dataclass(frozen=True, slots=True)
class DataToken:
    """The token by which transformers read, and the certificate that they know the cache by.

    Attributes:
        key: the cache's.
        authority: signs the cache's certificate, PEM.
        cache: the cache.
        path: what transformers may read.
    """

    key: SigningKey
    authority: bytes
    cache: DataCache
    path: str

    @property
    def user(self) -> str:
        """Transformers' name at the cache."""
        return COLUMNS_USER

    @property
    def life(self) -> timedelta:
        """As long as the cache takes."""
        return timedelta(seconds=self.cache.longest_seconds)

    def make(self, now: datetime) -> tuple[Token, Files]:
        """Return a new token, and the files of its Secret."""
        number = UUID(bytes=os.urandom(16), version=4)
        location = self.cache.site_name
        token = macaroon.mint(self.key, location, self.user, self.path, self.life, now, number)
        # Without a newline: it becomes an environment variable as it is.
        return token, {"token": token.text.encode(), "ca.pem": self.authority}

    def due(self, files: Files, now: datetime) -> datetime:
        """Return when the token is to be renewed: now if it is not what would be made now."""
        if files.get("ca.pem") != self.authority:
            return now
        try:
            _, *said = macaroon.read(self.key, self.cache.site_name, _token(files))
        except CredentialError as error:
            logger.warning("transformers' token for the cache is made again: %s", error)
            return now
        end = macaroon.end_of(said)
        if end is None or tuple(said) != macaroon.caveats(self.user, self.path, end):
            return now
        # Its begin is not in it. One that would live longer is of a cache that took longer ones.
        return end - self.life * (1 - RENEWED_AT) if end <= now + self.life else now


def join_token_source(batch: Batch) -> Callable[[], JoinToken]:
    """Return what reads the pool's key, each time."""
    key = idtoken_key_file(batch.key_file, batch.key_id)
    return lambda: JoinToken(key.read(), batch)


def data_token_source(cache: DataCache, path: str) -> Callable[[], DataToken]:
    """Return what reads the cache's key and authority, each time."""
    key, authority = macaroon_key_file(cache.key_file), authority_file(cache.authority_file)
    return lambda: DataToken(key.read(), authority.read(), cache, path)


def _token(files: Files) -> str:
    return files.get("token", b"").decode("ascii", "replace")
