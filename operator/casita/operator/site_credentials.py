"""The site's own credentials: the cache's certificate, tokens of parts, services' keys.

Beside the sessions: the chart's own cache shows a leaf of the system authority, and some parts show
tokens (`casita.operator.site_tokens`). All lie in Secrets that pods mount, and are renewed here, in
place, long before they end. What somebody has damaged is made again. What services know alone is
kept beside them (`casita.operator.service_secrets`).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

from casita.clients.errors import ApiError
from casita.clients.kubernetes import KubernetesClient
from casita.config import Site
from casita.credentials.errors import CredentialError
from casita.credentials.system import (
    CACHE_LEAF_LIFETIME,
    new_cache_leaf,
)
from casita.credentials.verify import verify_leaf
from casita.credentials.x509 import BACKDATE, Authority, Leaf, Role
from casita.manifests.common import Manifest
from casita.manifests.resources import SECRET
from casita.manifests.secrets import cache_tls_files, secret_files, site_secret
from casita.operator.service_secrets import ServiceSecrets
from casita.operator.site_tokens import KeptToken, kept_tokens

logger = logging.getLogger(__name__)

LEAF_RENEWED_AT: Final = 2 / 3

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
        site: says which there are.
        authority: the system authority.
        root_key: the site's root key.
        issued: is told whatever is made.
        clock: the time.
    """

    def __init__(
        self,
        client: KubernetesClient,
        site: Site,
        authority: Authority,
        root_key: bytes,
        issued: Callable[[SiteIssued], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._site = site
        self._authority = authority
        self._issued = issued
        self._clock = clock
        self._services = ServiceSecrets(client, site, root_key)
        self._trouble: dict[str, str] = {}
        self._tokens = tuple(kept_tokens(site))

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
        cache = self._site.cache
        for name, work in self._services.works():
            yield name, partial(self._keep_service, work)
        if cache and cache.tls_secret:
            name = cache.tls_secret
            yield name, partial(self._keep_cache_leaf, name, cache.tls_names)
        for token in self._tokens:
            yield token.secret, partial(self._keep_token, token)

    async def _keep_service(self, work: Callable[[], Awaitable[None]]) -> datetime:
        await work()
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

    async def _keep_token(self, kept: KeptToken) -> datetime:
        """Make or renew a token in its Secret."""
        wanted, now = kept.read(), self._clock()
        namespace, name = kept.namespace, kept.secret
        secret: Manifest | None
        try:
            secret = await self._client.read(SECRET, namespace, name)
        except ApiError as error:
            if error.status != 404:
                raise
            secret = None
        if secret is not None:
            due = wanted.due(secret_files(secret), now)
            if due > now:
                return due
        token, files = wanted.make(now)
        issued = SiteIssued(kept.kind, namespace, name, wanted.user, token.id, token.not_after)
        await self._write(secret, Renewed(files, issued))
        return wanted.due(files, now)

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
