"""What ServiceX leaves behind: transformers of requests that are over, users without a session.

ServiceX deletes a request's transformers when its last file is done. It leaves those of a request
that was cancelled while files were looked up, and those of one that never ends.
"""

import asyncio
import logging
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from casita.columns import requests, users
from casita.columns.cluster import METADATA_LIST, Cluster, ClusterError, Json
from casita.columns.database import Database
from casita.columns.metrics import Metrics
from casita.columns.refusal import RefusedError
from casita.columns.sessions import Sessions
from casita.columns.settings import Transformers
from casita.columns.store import Store

logger: Final = logging.getLogger("casita.columns")

ROUND_SECONDS: Final = 60.0

_UUID: Final = r"(?P<request>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object that ServiceX makes for each request, and how it calls it."""

    name: str
    group: str
    plural: str
    pattern: re.Pattern[str]

    def path(self, namespace: str) -> str:
        """Return where the API serves those of a namespace."""
        return f"/{self.group}/namespaces/{namespace}/{self.plural}"


_TRANSFORMER: Final = re.compile(f"transformer-{_UUID}")
DEPLOYMENT: Final = Kind("Deployment", "apis/apps/v1", "deployments", _TRANSFORMER)
CODE: Final = Kind("ConfigMap", "api/v1", "configmaps", re.compile(f"{_UUID}-generated-source"))
SCALER: Final = Kind(
    "HorizontalPodAutoscaler", "apis/autoscaling/v1", "horizontalpodautoscalers", _TRANSFORMER
)


@dataclass(frozen=True, slots=True)
class Left:
    """An object of a request."""

    kind: Kind
    name: str
    uid: str
    request: str
    age_seconds: float


def found(kind: Kind, items: Iterable[Json], now: datetime) -> list[Left]:
    """Return those of `items` that ServiceX made; others are nobody's to delete."""
    left = []
    for item in items:
        metadata = item["metadata"]
        if (match := kind.pattern.fullmatch(metadata["name"])) is not None:
            made = datetime.fromisoformat(metadata["creationTimestamp"])
            age = (now - made).total_seconds()
            left.append(Left(kind, metadata["name"], metadata["uid"], match["request"], age))
    return left


def over(left: Iterable[Left], still_open: Collection[str], grace_seconds: float) -> list[Left]:
    """Return what is to be deleted.

    A request enters the database a little after its generated code is there, so that what is young
    and unknown stays.
    """
    return [
        each
        for each in left
        if each.request not in still_open and each.age_seconds >= grace_seconds
    ]


@dataclass(frozen=True)
class Reaper:
    """Looks, round by round, for what is over."""

    cluster: Cluster
    database: Database
    sessions: Sessions
    settings: Transformers
    metrics: Metrics
    store: Store | None = None

    async def run(self) -> None:
        """Go round until cancelled; what fails is tried again in the next round."""
        while True:
            try:
                await self.round()
            except (ClusterError, RefusedError) as error:
                self.metrics.rounds.labels(result="failed").inc()
                logger.warning("a round was not finished: %s", error)
            else:
                self.metrics.rounds.labels(result="done").inc()
            await asyncio.sleep(ROUND_SECONDS)

    async def round(self) -> None:
        """Do all of it once.

        Raises:
            ClusterError: the Kubernetes API does not answer.
            RefusedError: the database does not answer: nothing is taken for unknown then; or the
                object store does not.
        """
        await self._keep_account()
        await self._withdraw()
        expired = await requests.expire(self.database, self.settings.max_seconds)
        self.metrics.expired.inc(len(expired))
        for request in expired:
            logger.warning("request %s was not done in time", request)
        await self._reap()
        if self.store is not None:
            await self._match(self.store)

    async def _keep_account(self) -> None:
        """Give transformers no token of Kubernetes, and let them pull as other pods do."""
        names = [{"name": name} for name in self.settings.image_pull_secrets]
        path = f"/api/v1/namespaces/{self.settings.namespace}/serviceaccounts/default"
        patch = {"automountServiceAccountToken": False, "imagePullSecrets": names}
        await self.cluster.merge(path, patch)

    async def _withdraw(self) -> None:
        living = await self.sessions.users()
        grace = float(self.settings.reap_after_seconds)
        for user in await users.withdraw(self.database, living, grace):
            logger.info("user %s has no session any more", user)
        self.metrics.users.set(await users.count(self.database))

    async def _match(self, store: Store) -> None:
        """Let those have an account at the object store whom ServiceX lets in, and nobody else."""
        # In this order: who comes in between keeps an account that is there.
        there = await store.users()
        admitted = await users.admitted(self.database)
        for user in sorted(there - admitted):
            await store.withdraw(user)
            logger.info("user %s has no account at the object store any more", user)
        for user in sorted(admitted - there):
            await store.admit(user)

    async def _reap(self) -> None:
        kinds = [DEPLOYMENT, CODE, *([SCALER] if self.settings.autoscaling else [])]
        namespace = self.settings.namespace
        left: list[Left] = []
        for kind in kinds:
            items = await self.cluster.listed(kind.path(namespace), METADATA_LIST)
            left += found(kind, items, datetime.now(UTC))
        grace = float(self.settings.reap_after_seconds)
        known = {each.request for each in left}
        still = await requests.still_open(self.database, known, grace)
        for each in over(left, still, grace):
            if await self.cluster.delete(f"{each.kind.path(namespace)}/{each.name}", each.uid):
                self.metrics.reaped.labels(kind=each.kind.name).inc()
                logger.info("%s %s was left behind, deleted", each.kind.name, each.name)
