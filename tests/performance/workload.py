"""The sessions that are measured, and every byte that the operator writes for one of them.

Nothing is copied by hand: the operator's own reconciler runs against a client that answers by
itself and keeps what it was asked to send, so the floor always writes what the operator writes.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp

from casita.api.names import API_VERSION, KIND
from casita.clients.batch.htcondor import HTCondor
from casita.clients.errors import ApiError
from casita.clients.kubernetes import Json, KubernetesClient
from casita.config import Site
from casita.credentials.root import load_root_key
from casita.manifests.resources import ANALYSIS_SESSION
from casita.operator.endpoints import system_authority
from casita.sessions.batch_effects import BatchEffects
from casita.sessions.batch_queue import BatchQueue
from casita.sessions.batch_submission import BatchCredentials
from casita.sessions.cache import Cache, SessionKey
from casita.sessions.effects import Effects
from casita.sessions.issuing import Issued, Keys
from casita.sessions.probing import Prober
from casita.sessions.reconcile import Reconciler
from casita.sessions.reports import Reports
from casita.sessions.shares import Shares
from casita.sessions.token_keys import TokenKeys

PLACEHOLDER_UID: Final = "00000000-0000-4000-8000-000000000000"
"""Stands for the uid that the server gives to the session; as long as a real one."""


@dataclass(frozen=True)
class Write:
    """One request, ready to be sent; `body` may hold `PLACEHOLDER_UID`."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


def session_name(index: int) -> str:
    """Return the name of one of the sessions."""
    return f"analysis-{index:05d}"


def session_manifest(namespace: str, name: str) -> Json:
    """Return a session without workers: eight child objects."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"user": "alice", "scaling": {"mode": "Manual"}, "replicas": 0},
    }


def session_write(namespace: str, name: str) -> Write:
    """Return the request that creates a session, as a user's client would send it."""
    body = json.dumps(session_manifest(namespace, name), separators=(",", ":")).encode()
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    return Write("POST", ANALYSIS_SESSION.path(namespace), headers, body)


class RecordingClient(KubernetesClient):
    """Says yes to everything and keeps it."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        super().__init__(session, "")
        self.writes: list[Write] = []

    async def _send(
        self, method: str, path: str, what: str, data: bytes | None, headers: dict[str, str]
    ) -> Json | ApiError:
        if data is None:
            raise AssertionError(f"a new session needs no reads, asked to {what}")
        self.writes.append(Write(method, path, dict(headers), data))
        sent = json.loads(data)
        metadata = {**sent["metadata"], "resourceVersion": str(len(self.writes) + 1)}
        metadata.setdefault("uid", f"{len(self.writes):08x}-0000-4000-8000-000000000000")
        metadata["creationTimestamp"] = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        return {**sent, "metadata": metadata}


async def record_writes(site: Site, namespace: str, name: str) -> list[Write]:
    """Return what the operator writes for a new session, in its order."""
    async with aiohttp.ClientSession() as unused:
        client = RecordingClient(unused)
        await _reconcile_once(client, site, (namespace, name))
        return client.writes


async def _reconcile_once(client: KubernetesClient, site: Site, key: SessionKey) -> None:
    def clock() -> datetime:
        return datetime.now(UTC)

    def ignore(_: SessionKey | Issued) -> None:
        pass

    authority = system_authority(site.reporting, clock())
    keys = Keys(load_root_key(site.root_key_file), authority.certificate_pem)
    cache = Cache(ignore)
    effects = Effects(client, cache, site, keys, ignore, clock)
    prober, reports, token_keys = Prober(ignore), Reports(ignore, clock), TokenKeys(site)
    jobs = BatchCredentials(client, site, keys, token_keys, ignore, clock)
    queue = BatchQueue(HTCondor(), jobs.account, jobs.files, ignore, clock)
    batch = BatchEffects(client, cache, site, queue, clock, lambda: None)
    shares = Shares(site.quotas, ignore)
    reconcile = Reconciler(
        client, cache, site, effects, batch, prober, reports, shares, clock, token_keys
    )
    item: dict[str, Any] = session_manifest(*key)
    item["metadata"] |= {"uid": PLACEHOLDER_UID, "generation": 1, "resourceVersion": "1"}
    cache.session_seen(item)
    await reconcile(key)


async def prepare(site: Site, namespace: str, count: int) -> list[list[Write]]:
    """Return the writes of `count` sessions, the session's own first."""
    found = []
    for name in map(session_name, range(count)):
        found.append([session_write(namespace, name), *await record_writes(site, namespace, name)])
        await asyncio.sleep(0)
    return found
