"""What the site's services know alone: hub and proxy, tracking, columns.

Each has a Secret in its own namespace. What is random is made once and stays as it is; keys that
tokens are signed with are derived of the site's root key, and follow it when it is replaced.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from functools import partial

from casita.clients.errors import ApiError
from casita.clients.kubernetes import KubernetesClient
from casita.config import Hub, Site
from casita.credentials import mlflow, servicex
from casita.credentials.errors import CredentialError
from casita.credentials.system import (
    COLUMNS_KEYS,
    HUB_KEYS,
    HUB_SERVICE_KEY,
    TRACKING_HUB_KEY,
    TRACKING_KEYS,
    new_hub_keys,
    new_secret,
)
from casita.manifests.resources import SECRET
from casita.manifests.secrets import secret_files, site_secret

logger = logging.getLogger(__name__)

Files = Mapping[str, bytes]


class ServiceSecrets:
    """Makes these Secrets where they are absent, and completes them.

    Args:
        client: the API server.
        site: says which there are.
        root_key: the site's root key.
    """

    def __init__(self, client: KubernetesClient, site: Site, root_key: bytes) -> None:
        self._client = client
        self._site = site
        self._root_key = root_key

    def works(self) -> Iterator[tuple[str, Callable[[], Awaitable[None]]]]:
        """Yield what is to be done, by the Secret's name; the hub's first, others are made of it.

        Each may raise `ApiError` or `CredentialError`.
        """
        hub, tracking, columns = self._site.hub, self._site.tracking, self._site.columns
        if hub:
            plan: Callable[[Files], Files] = partial(hub_files, tracking=self._has_tracking)
            yield hub.secret, partial(self._keep, hub.namespace, hub.secret, plan)
        if tracking and tracking.namespace and tracking.secret:
            yield tracking.secret, partial(self._tracking, tracking.namespace, tracking.secret)
        if columns and columns.namespace and columns.secret:
            plan = partial(columns_files, self._root_key)
            yield columns.secret, partial(self._keep, columns.namespace, columns.secret, plan)

    @property
    def _has_tracking(self) -> bool:
        return self._site.tracking is not None and self._site.tracking.own

    async def _tracking(self, namespace: str, name: str) -> None:
        hub = self._site.hub
        token = await self._hub_token(hub) if hub else b""
        await self._keep(namespace, name, partial(tracking_files, self._root_key, token))

    async def _hub_token(self, hub: Hub) -> bytes:
        secret = await self._client.read(SECRET, hub.namespace, hub.secret)
        token = secret_files(secret).get(HUB_SERVICE_KEY, b"")
        if not token:
            raise CredentialError(f"{hub.namespace}/{hub.secret} has no {HUB_SERVICE_KEY} yet")
        return token

    async def _keep(self, namespace: str, name: str, plan: Callable[[Files], Files]) -> None:
        """Bring a Secret to what is planned for what it holds."""
        try:
            secret = await self._client.read(SECRET, namespace, name)
        except ApiError as error:
            if error.status != 404:
                raise
            await self._client.create(SECRET, site_secret(namespace, name, plan({})))
            logger.info("Secret %s/%s made", namespace, name)
            return
        present = secret_files(secret)
        wanted = plan(present)
        if wanted == present:
            return
        changed = sorted(file for file in wanted if wanted[file] != present.get(file))
        manifest = site_secret(namespace, name, wanted)
        await self._client.apply(SECRET, manifest, secret["metadata"]["uid"])
        logger.info("Secret %s/%s: %s made", namespace, name, ", ".join(changed))


def hub_files(present: Files, *, tracking: bool) -> Files:
    """Return what hub and proxy know alone.

    A hub that was there before its tracking service gets the token for it; anything else that is
    missing is somebody's doing.

    Raises:
        CredentialError: a key is missing; the message says what to do.
    """
    made = present or new_hub_keys()
    if missing := [name for name in HUB_KEYS if not made.get(name)]:
        raise CredentialError(
            f"it has no {', '.join(missing)}: delete it, the operator makes it anew, and "
            "restart hub and proxy"
        )
    return _completed(made, [HUB_SERVICE_KEY] if tracking else [])


def tracking_files(root_key: bytes, hub_token: bytes, present: Files) -> Files:
    """Return what the tracking server knows alone.

    Args:
        root_key: the site's root key.
        hub_token: as which the hub knows it; empty where there is no hub, and it makes up its own.
        present: what its Secret holds.
    """
    given = {"token-key": mlflow.derive_key(root_key).material}
    if hub_token:
        given[TRACKING_HUB_KEY] = hub_token
    return _completed({**present, **given}, TRACKING_KEYS)


def columns_files(root_key: bytes, present: Files) -> Files:
    """Return what the parts of ServiceX know alone."""
    given = {"jwt-secret-key": servicex.derive_key(root_key).material}
    return _completed({**present, **given}, COLUMNS_KEYS)


def _completed(files: Files, names: Iterable[str]) -> Files:
    return {**files, **{name: new_secret() for name in names if not files.get(name)}}
