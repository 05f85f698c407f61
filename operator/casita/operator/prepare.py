"""What must be there before the operator starts: the route API, and the site's own secrets.

Runs as a hook of the chart. Secrets are made once and left alone ever after, so that rendering the
chart again changes nothing.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from casita.clients.errors import ApiError
from casita.clients.kubernetes import Connection, KubernetesClient, open_session
from casita.config import RouteApi
from casita.credentials.system import (
    new_cache_leaf,
    new_idtoken_key,
    new_macaroon_key,
    new_root_key,
    new_system_authority,
)
from casita.credentials.verify import load_authority
from casita.credentials.x509 import Authority
from casita.manifests.resources import ROUTES, SECRET
from casita.manifests.secrets import cache_tls_files, secret_files, site_secret

logger = logging.getLogger(__name__)

_REMEDIES: Final = {
    RouteApi.TLS_ROUTE: "install Gateway API 1.5 or later, standard channel, first; or set "
    "global.gateway.routeApi to IngressRouteTCP or None",
    RouteApi.INGRESS_ROUTE_TCP: "install Traefik's CRDs first; or set global.gateway.routeApi to "
    "TLSRoute or None",
}


class NotPreparedError(Exception):
    """Something is missing that an admin has to bring; the message says what and how."""


@dataclass(frozen=True, slots=True)
class CacheTls:
    """The first certificate of the chart's own cache.

    Attributes:
        secret: name of its Secret.
        authority: name of the Secret of the system authority, which signs it.
        names: DNS names in it.
    """

    secret: str
    authority: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SiteSecrets:
    """Names of the Secrets to make; `None` for what the site brings itself or does not need."""

    authority: str | None = None
    root_key: str | None = None
    idtoken_key: str | None = None
    macaroon_key: str | None = None
    cache_tls: CacheTls | None = None


async def prepare(
    connection: Connection, namespace: str, route_api: RouteApi, wanted: SiteSecrets
) -> None:
    """Check the cluster and make the site's secrets if they are not there.

    Args:
        connection: the API server.
        namespace: the release's namespace.
        route_api: the route API that the site chose.
        wanted: the Secrets to make.

    Raises:
        NotPreparedError: the route API is not served.
        ApiError: a Secret can neither be read nor made.
        CredentialError: the system authority cannot sign.
    """
    now = datetime.now(UTC)
    async with open_session(connection) as session:
        client = KubernetesClient(session, connection.server)
        await _check_route_api(client, route_api)
        if wanted.authority is not None:
            authority = new_system_authority(now)
            files = {"tls.crt": authority.certificate_pem, "tls.key": authority.key_pem}
            await _create_once(client, namespace, wanted.authority, files)
        for name, make in (
            (wanted.root_key, new_root_key),
            (wanted.idtoken_key, new_idtoken_key),
            (wanted.macaroon_key, new_macaroon_key),
        ):
            if name is not None:
                await _create_once(client, namespace, name, {"key": make()})
        if wanted.cache_tls is not None:
            authority = await _read_authority(client, namespace, wanted.cache_tls.authority, now)
            leaf = new_cache_leaf(authority, wanted.cache_tls.names, now)
            files = cache_tls_files(authority, leaf)
            await _create_once(client, namespace, wanted.cache_tls.secret, files)


async def _read_authority(
    client: KubernetesClient, namespace: str, name: str, now: datetime
) -> Authority:
    files = secret_files(await client.read(SECRET, namespace, name))
    return load_authority(files.get("tls.crt", b""), files.get("tls.key", b""), now)


async def _check_route_api(client: KubernetesClient, route_api: RouteApi) -> None:
    route = ROUTES.get(route_api)
    if route is None:
        return
    path = f"/apis/{route.api_version}"
    try:
        served = await client.list_page(path, "application/json")
    except ApiError as error:
        if error.status != 404:
            raise
        served = {}
    if not any(r["kind"] == route.kind for r in served.get("resources") or ()):
        remedy = _REMEDIES[route_api]
        raise NotPreparedError(
            f"this cluster does not serve {route.kind} of {route.api_version}: {remedy}"
        )
    logger.info("the cluster serves %s of %s", route.kind, route.api_version)


async def _create_once(
    client: KubernetesClient, namespace: str, name: str, files: Mapping[str, bytes]
) -> None:
    try:
        await client.create(SECRET, site_secret(namespace, name, files))
    except ApiError as error:
        if error.status != 409:
            raise
        logger.info("Secret %s is there already and stays as it is", name)
    else:
        logger.info("Secret %s made", name)
