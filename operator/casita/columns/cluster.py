"""The few things that the front door asks of the Kubernetes API, as plain JSON over aiohttp."""

import asyncio
import os
import ssl
from pathlib import Path
from typing import Any, Final

import aiohttp

from casita.config.base import ConfigurationError

METADATA: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
MERGE: Final = "application/merge-patch+json"

_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TIMEOUT: Final = aiohttp.ClientTimeout(total=10, sock_connect=3)
_PAGE: Final = 500

Json = dict[str, Any]


class ClusterError(Exception):
    """The Kubernetes API did not answer, or refused; the message names what was asked."""


class Cluster:
    """The Kubernetes API.

    Args:
        session: an open HTTP session that trusts the API server.
        server: its address.
        token: the file with the service account's token, which kubelet renews; `None` sends none.
    """

    def __init__(self, session: aiohttp.ClientSession, server: str, token: Path | None) -> None:
        self._session = session
        self._server = server
        self._token = token

    async def read(self, path: str, accept: str = "application/json") -> Json | None:
        """Read an object; `None` if there is no such.

        Raises:
            ClusterError: it cannot be known.
        """
        return await self._call("GET", path, accept=accept)

    async def listed(self, path: str, accept: str = "application/json") -> list[Json]:
        """Read a whole list, page by page.

        Raises:
            ClusterError: it cannot be known.
        """
        found: list[Json] = []
        more = ""
        while True:
            query = f"?limit={_PAGE}" + (f"&continue={more}" if more else "")
            page = await self._call("GET", path + query, accept=accept)
            if page is None:
                raise ClusterError(f"GET {path}: it is not served")
            found += page["items"] or ()
            more = page["metadata"].get("continue", "")
            if not more:
                return found

    async def delete(self, path: str, uid: str) -> bool:
        """Delete the object with this uid; say whether it was there.

        Raises:
            ClusterError: the server refused.
        """
        body = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        return await self._call("DELETE", path, body) is not None

    async def merge(self, path: str, patch: Json) -> None:
        """Patch an object.

        Raises:
            ClusterError: the server refused, or there is no such object.
        """
        if await self._call("PATCH", path, patch, content=MERGE) is None:
            raise ClusterError(f"PATCH {path}: there is no such object")

    async def _call(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        accept: str = METADATA,
        content: str = "application/json",
    ) -> Json | None:
        headers = {"Accept": accept, "Content-Type": content}
        if self._token is not None:
            token = await asyncio.to_thread(self._token.read_text)
            headers["Authorization"] = f"Bearer {token.strip()}"
        what = f"{method} {path.partition('?')[0]}"
        try:
            async with self._session.request(
                method, self._server + path, json=body, headers=headers, timeout=_TIMEOUT
            ) as response:
                if response.status == 404:
                    return None
                if response.status >= 400:
                    raise ClusterError(f"{what}: the API server answered {response.status}")
                found: Json = await response.json(content_type=None)
                return found
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise ClusterError(f"{what}: {error or type(error).__name__}") from error


def in_cluster(session: aiohttp.ClientSession) -> Cluster:
    """Return the API that the pod's service account reaches, by its address."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    return Cluster(session, server, _ACCOUNT / "token")


def authorities() -> ssl.SSLContext:
    """Return what the service account trusts.

    Raises:
        ConfigurationError: no service account is mounted.
    """
    path = _ACCOUNT / "ca.crt"
    if not path.exists():
        raise ConfigurationError("no service account is mounted: the front door runs in a pod")
    return ssl.create_default_context(cafile=str(path))
