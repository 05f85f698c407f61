"""The site's own credentials: the cache's certificate, the pool's join token, the hub's keys.

Beside the sessions: the chart's own cache shows a leaf of the system authority, and machines join
the chart's own HTCondor pool by an IDTOKEN. Both lie in Secrets that pods mount, and are renewed
here, in place, long before they end. What somebody has damaged is made again.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from casita.clients.errors import ApiError
from casita.clients.kubernetes import KubernetesClient
from casita.config import Batch, Hub, Site
from casita.credentials import idtoken
from casita.credentials.errors import CredentialError
from casita.credentials.keys import KeyFile, idtoken_key_file
from casita.credentials.system import (
    CACHE_LEAF_LIFETIME,
    HUB_KEYS,
    new_cache_leaf,
    new_hub_keys,
)
from casita.credentials.token import SigningKey
from casita.credentials.verify import verify_leaf
from casita.credentials.x509 import BACKDATE, Authority, Leaf, Role
from casita.manifests.common import Manifest
from casita.manifests.resources import SECRET
from casita.manifests.secrets import cache_tls_files, secret_files, site_secret
from casita.sessions.tokens import pool_of

logger = logging.getLogger(__name__)

LEAF_RENEWED_AT: Final = 2 / 3
TOKEN_RENEWED_AT: Final = 1 / 2

JOIN_TOKEN_LIFETIME: Final = timedelta(days=7)
"""Of the token by which machines join the pool: it outlives an operator that is away for days, and
it cannot submit anything."""

LOOK_SECONDS: Final = 300.0
"""How often the Secrets are looked at, if nothing is due before."""

RETRY_SECONDS: Final = 15.0
"""After a failure, which is logged once for as long as it stays the same."""


_NEVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SiteIssued:
    """A credential of the site that was made, for the audit log; never material."""

    kind: str
    namespace: str
    secret: str
    user: str
    serial: str
    not_after: datetime


@dataclass(frozen=True, slots=True)
class Renewed:
    """New content of a Secret, and what may be told of it."""

    files: Mapping[str, bytes]
    issued: SiteIssued


class SiteCredentials:
    """Keeps the site's own credentials valid.

    Args:
        client: the API server.
        site: says which there are; on a site with neither cache nor pool of its own, none.
        authority: the system authority.
        issued: is told whatever is made.
        clock: the time.
    """

    def __init__(
        self,
        client: KubernetesClient,
        site: Site,
        authority: Authority,
        issued: Callable[[SiteIssued], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._site = site
        self._authority = authority
        self._issued = issued
        self._clock = clock
        self._trouble: dict[str, str] = {}
        batch = site.batch
        self._key = idtoken_key_file(batch.key_file, batch.key_id) if batch else None

    @property
    def trouble(self) -> Mapping[str, str]:
        """What went wrong at the last look, by the Secret's name."""
        return self._trouble

    async def run(self, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        """Look again and again, for as long as the process."""
        while True:
            await sleep(await self.keep())

    async def keep(self) -> float:
        """Make everything valid that is not; return after how many seconds to look again."""
        dues = []
        for name, work in self._works():
            try:
                dues.append(await work())
            except (ApiError, CredentialError) as error:
                self._tell(name, str(error))
            else:
                self._trouble.pop(name, None)
        if self._trouble:
            return RETRY_SECONDS
        until = [(due - self._clock()).total_seconds() for due in dues]
        return max(1.0, min([LOOK_SECONDS, *until]))

    def _tell(self, name: str, trouble: str) -> None:
        if self._trouble.get(name) != trouble:
            logger.error("Secret %s cannot be kept valid: %s", name, trouble)
        self._trouble[name] = trouble

    def _works(self) -> Iterator[tuple[str, Callable[[], Awaitable[datetime]]]]:
        cache, batch, hub = self._site.cache, self._site.batch, self._site.hub
        if hub:
            yield hub.secret, partial(self._keep_hub_keys, hub)
        if cache and cache.tls_secret:
            name = cache.tls_secret
            yield name, partial(self._keep_cache_leaf, name, cache.tls_names)
        if batch and batch.pool_token_secret and batch.pool_namespace and self._key:
            name = batch.pool_token_secret
            yield name, partial(self._keep_join_token, batch, batch.pool_namespace, name, self._key)

    async def _keep_hub_keys(self, hub: Hub) -> datetime:
        """Make what hub and proxy know alone; once it is there, it stays as it is."""
        try:
            secret = await self._client.read(SECRET, hub.namespace, hub.secret)
        except ApiError as error:
            if error.status != 404:
                raise
            manifest = site_secret(hub.namespace, hub.secret, new_hub_keys())
            await self._client.create(SECRET, manifest)
            logger.info("Secret %s/%s made", hub.namespace, hub.secret)
        else:
            if missing := [name for name in HUB_KEYS if not secret_files(secret).get(name)]:
                raise CredentialError(
                    f"it has no {', '.join(missing)}: delete it, the operator makes it anew, and "
                    "restart hub and proxy"
                )
        return _NEVER

    async def _keep_cache_leaf(self, name: str, names: tuple[str, ...]) -> datetime:
        """Renew the cache's certificate in its Secret, which the chart's hook has made."""
        namespace, now = self._site.operator_namespace, self._clock()
        try:
            secret = await self._client.read(SECRET, namespace, name)
        except ApiError as error:
            if error.status != 404:
                raise
            raise CredentialError(
                "it is gone, and the operator may not make it; `helm upgrade` does"
            ) from error
        due = cache_leaf_due(secret_files(secret), self._authority, names, now)
        if due > now:
            return due
        leaf = new_cache_leaf(self._authority, names, now)
        files = cache_tls_files(self._authority, leaf)
        issued = SiteIssued("cache", namespace, name, "xcache", leaf.serial, leaf.not_after)
        await self._write(secret, Renewed(files, issued))
        return leaf_due(leaf)

    async def _keep_join_token(
        self, batch: Batch, namespace: str, name: str, key_file: KeyFile[SigningKey]
    ) -> datetime:
        """Make or renew the token by which machines join the pool."""
        key, now = key_file.read(), self._clock()
        secret: Manifest | None
        try:
            secret = await self._client.read(SECRET, namespace, name)
        except ApiError as error:
            if error.status != 404:
                raise
            secret = None
        if secret is not None:
            due = join_token_due(secret_files(secret), key, batch, now)
            if due > now:
                return due
        renewed = new_join_token(key, batch, namespace, name, now)
        await self._write(secret, renewed)
        return join_token_due(renewed.files, key, batch, now)

    async def _write(self, present: Manifest | None, renewed: Renewed) -> None:
        """Replace the content of the Secret that was read, or create it."""
        issued = renewed.issued
        manifest = site_secret(issued.namespace, issued.secret, renewed.files)
        if present is None:
            await self._client.create(SECRET, manifest)
        else:
            await self._client.apply(SECRET, manifest, present["metadata"]["uid"])
        self._issued(issued)


def cache_leaf_due(
    files: Mapping[str, bytes], authority: Authority, names: tuple[str, ...], now: datetime
) -> datetime:
    """Return when the cache's certificate is to be renewed: now if it cannot be used as it is."""
    if files.get("ca.pem") != authority.certificate_pem:
        return now
    certificate, key = files.get("tls.crt", b""), files.get("tls.key", b"")
    try:
        leaf = verify_leaf(
            certificate, key, authority.certificate_pem, now, role=Role.ENDPOINT, names=names
        )
    except CredentialError as error:
        logger.warning("the cache's certificate is made again: %s", error)
        return now
    return leaf_due(leaf)


def leaf_due(leaf: Leaf) -> datetime:
    """Return when a certificate of the site is to be renewed."""
    begin = leaf.not_before + BACKDATE
    return begin + min(leaf.not_after - begin, CACHE_LEAF_LIFETIME) * LEAF_RENEWED_AT


def new_join_token(
    key: SigningKey, batch: Batch, namespace: str, name: str, now: datetime
) -> Renewed:
    """Make the token by which machines join the pool, for the Secret `name`."""
    number = os.urandom(16).hex()
    token = idtoken.execute_token(key, pool_of(batch), JOIN_TOKEN_LIFETIME, now, number)
    user = f"{idtoken.DAEMON}@{batch.uid_domain}"
    issued = SiteIssued("join", namespace, name, user, token.id, token.not_after)
    return Renewed({"token": f"{token.text}\n".encode()}, issued)


def join_token_due(
    files: Mapping[str, bytes], key: SigningKey, batch: Batch, now: datetime
) -> datetime:
    """Return when the join token is to be renewed: now if it is not what would be made now."""
    wanted = idtoken.expected_claims(pool_of(batch), idtoken.DAEMON, idtoken.EXECUTE_SCOPE)
    try:
        said = idtoken.claims(key, files.get("token", b"").decode("ascii", "replace"))
        same = all(said.get(name) == value for name, value in wanted.items())
        begin, end = (datetime.fromtimestamp(said[name], UTC) for name in ("iat", "exp"))
    except (CredentialError, KeyError, TypeError) as error:
        logger.warning("the pool's join token is made again: %s", error)
        return now
    return begin + (end - begin) * TOKEN_RENEWED_AT if same else now
