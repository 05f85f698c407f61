"""The operator's process: everything made once, wired together, started and ended."""

import asyncio
import gc
import logging
import os
import ssl
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
import kopf

from casita.api.names import AUTHORITY_ANNOTATION
from casita.clients.batch.htcondor import HTCondor
from casita.clients.batch.jobs import BackEnd
from casita.clients.checking.request import CheckAnswer, CheckRequest
from casita.clients.kubernetes import Connection, KubernetesClient, open_session
from casita.clients.watch import Watch
from casita.config import Site
from casita.credentials.errors import SigningKeyError
from casita.credentials.root import load_root_key
from casita.manifests.common import Owner
from casita.manifests.resources import SECRET, children
from casita.manifests.secrets import AUTHORITY, secret_name
from casita.operator.endpoints import (
    ENDPOINT_LIFE,
    ReportEndpoint,
    listen,
    load_endpoint_leaf,
    status_application,
    system_authority,
)
from casita.operator.handlers import register, settings_for
from casita.operator.hearing import Hearing
from casita.operator.logs import audit, audit_site
from casita.operator.metrics import Metrics
from casita.operator.session_metrics import SessionMetrics
from casita.operator.site_credentials import SiteCredentials, SiteIssued
from casita.operator.usage import Usage
from casita.sessions.answer import answer_of
from casita.sessions.batch_effects import BatchEffects
from casita.sessions.batch_queue import BatchQueue
from casita.sessions.batch_submission import BatchCredentials
from casita.sessions.cache import Cache, SessionKey
from casita.sessions.checks import Checks
from casita.sessions.effects import Effects
from casita.sessions.issuing import Issued, Keys
from casita.sessions.key_watch import KeyWatch
from casita.sessions.probing import Prober
from casita.sessions.queue import Queue, RetryLaterError
from casita.sessions.reconcile import Reconciler
from casita.sessions.reports import Reports
from casita.sessions.service_checks import check_part
from casita.sessions.shares import Shares
from casita.sessions.site_checks import site_checks
from casita.sessions.token_keys import TokenKeys

logger = logging.getLogger(__name__)

CONCURRENCY: Final = 32
"""Sessions reconciled at once; bounds the requests in flight."""

GARBAGE_AFTER: Final = 10_000
"""Objects made between two searches for cycles, of which there are few here. Python's own 700 made
it look through everything that is known several times a start: a tenth of the CPU."""

SHARES_SECONDS: Final = 30.0
"""After its start the operator waits so long, and no longer, for all sessions to tell what they
have of the site's quotas."""

DEAF_SECONDS: Final = 180.0
"""Watches send a bookmark about every minute; silent for so long, one is dead."""


@dataclass(frozen=True)
class Ports:
    """Where the operator listens; 0 lets the system choose."""

    report: int = 8443
    status: int = 8080


class Process:
    """One operator, on one cluster, for one site."""

    def __init__(
        self,
        site: Site,
        connection: Connection,
        ports: Ports | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        back_end: BackEnd | None = None,
    ) -> None:
        """Wire everything that lives as long as the process; HTCondor is the usual `back_end`."""
        self._site = site
        self._connection = connection
        self._ports = ports or Ports()
        self._clock = clock
        self._back_end = back_end or HTCondor()
        self._tasks: set[asyncio.Task[None]] = set()
        self._hearing = Hearing()
        self._fatal: str | None = None
        authority = system_authority(site.reporting, clock())
        keys = Keys(load_root_key(site.root_key_file), authority.certificate_pem)
        self.queue = Queue(self._reconcile)
        self.cache = Cache(self.queue.add)
        self.reports = Reports(self.queue.add, clock)
        self.shares = Shares(site.quotas, self.queue.add)
        self._client: KubernetesClient | None = None
        parts = site_checks(site, clock, os.urandom, keys.root)
        self._checks = Checks(parts, self._look_at_all, self._check)
        self.metrics = Metrics(self._statuses, lambda: len(self.queue), self._checks.results, clock)
        self.metrics.registry.register(SessionMetrics(lambda: self.cache.sessions, clock))
        self._authority = authority
        self._keys = keys
        self._token_keys = TokenKeys(site, keys.root)
        self._keeper: SiteCredentials | None = None
        self._watches = [
            Watch(resource, namespace, metadata_only=resource is SECRET)
            for namespace in site.session_namespaces
            for resource in children(site.gateway.route_api)
        ]
        self._reconciler: Reconciler | None = None

    async def run(self, stop: asyncio.Event | None = None) -> None:
        """Work until `stop` is set or kopf ends.

        Raises:
            Exception: kopf's, if it ended by an error.
        """
        gc.set_threshold(GARBAGE_AFTER)
        async with (
            open_session(self._connection) as session,
            open_session(self._connection, [self._hearing.trace()]) as kopf_session,
        ):
            client = KubernetesClient(session, self._connection.server, self.metrics.count_request)
            self._wire(client)
            endpoint = ReportEndpoint(
                self.reports,
                self._keys.root,
                self._run_of,
                lambda key: answer_of(self.cache.sessions.get(key), self._site),
                self.metrics,
                time.monotonic,
            )
            closers = [
                await listen(
                    status_application(
                        self.metrics, self.trouble, self.starting, self.site_trouble
                    ),
                    self._ports.status,
                ),
                await listen(
                    endpoint.application(), self._ports.report, await self._endpoint_context()
                ),
            ]
            try:
                await self._operate(client, kopf_session, stop)
            finally:
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)
                for close in closers:
                    await close()

    def trouble(self) -> str | None:
        """Say what keeps this process from seeing the cluster, or `None` if nothing does."""
        if self._fatal:
            return self._fatal
        now = time.monotonic()
        silent = [w for w in self._watches if now - w.last_activity > DEAF_SECONDS]
        if silent:
            return f"the watch of {silent[0].resource.plural} is silent"
        asking = self._hearing.asking_since
        if asking is not None and now - asking > DEAF_SECONDS:
            return "the watch of analysissessions is silent"
        return None

    def site_trouble(self) -> str | None:
        """Say which of the site's keys or parts do not do what sessions need of them."""
        found = self._checks.trouble()
        try:
            self._token_keys.read()
        except SigningKeyError as error:
            found.insert(0, str(error))
        if self._keeper is not None:
            kept = self._keeper.trouble
            found += [f"Secret {name} cannot be kept valid: {kept[name]}" for name in sorted(kept)]
        return "\n".join(found) or None

    def starting(self) -> str | None:
        """Say which kind of object is not known yet, or `None` if work can begin."""
        waiting = [w.resource.plural for w in self._watches if not w.ready.is_set()]
        return f"the first list of {waiting[0]} is not in" if waiting else None

    def _wire(self, client: KubernetesClient) -> None:
        self._client = client
        prober = Prober(self.queue.add)
        effects = Effects(client, self.cache, self._site, self._keys, self._issued, self._clock)
        credentials = BatchCredentials(
            client, self._site, self._keys, self._token_keys, self._issued, self._clock
        )
        jobs = BatchQueue(
            self._back_end, credentials.account, credentials.files, self.queue.add, self._clock
        )
        batch = BatchEffects(
            client, self.cache, self._site, jobs, self._clock, self.metrics.jobs_left.inc
        )
        self._reconciler = Reconciler(
            client,
            self.cache,
            self._site,
            effects,
            batch,
            prober,
            self.reports,
            self.shares,
            self._clock,
            self._token_keys,
            self._checks.results,
        )

    async def _operate(
        self,
        client: KubernetesClient,
        kopf_session: aiohttp.ClientSession,
        stop: asyncio.Event | None,
    ) -> None:
        """Start the children's watches, await their first lists, then let kopf tell of sessions.

        In this order, nothing is planned before it is known what is there.
        """
        keeper = self._keeper = SiteCredentials(
            client,
            self._site,
            self._authority,
            self._keys.root,
            self._site_issued,
            self._clock,
        )
        self.metrics.site_secrets_failing.set_function(lambda: len(keeper.trouble))
        self._spawn(keeper.run(), "keeper of the site's credentials")
        self._spawn(self._checks.run(), "checks of the site's parts")
        key_watch = KeyWatch(self._token_keys.read, self._look_at_all)
        self._spawn(key_watch.run(), "watch of the site's keys")
        for watch in self._watches:
            self._spawn(watch.run(client, self.cache), f"watch of {watch.resource.plural}")
        if await self._stopped_before_known(stop):
            return
        self.shares.expect(self.cache.owners())
        asyncio.get_running_loop().call_later(SHARES_SECONDS, self.shares.open)
        usage = Usage(
            lambda: ((r.spec, r.status) for r in self.cache.sessions.values()),
            self._site,
            self.metrics.count_core_seconds,
            time.monotonic,
        )
        self._spawn(usage.run(), "account of core seconds")
        for _ in range(CONCURRENCY):
            self._spawn(self.queue.work(), "worker of the queue")
        registry = kopf.OperatorRegistry()
        register(registry, self.cache, kopf_session, self._connection.server)
        await kopf.operator(
            registry=registry,
            settings=settings_for(),
            standalone=True,
            namespaces=list(self._site.session_namespaces),
            stop_flag=stop,
        )

    async def _stopped_before_known(self, stop: asyncio.Event | None) -> bool:
        """Await the children's first lists, or `stop`, which then is the only thing to obey."""
        first_lists = asyncio.gather(*(watch.ready.wait() for watch in self._watches))
        if stop is None:
            await first_lists
            return False
        stopping = asyncio.ensure_future(stop.wait())
        either: list[asyncio.Future[Any]] = [first_lists, stopping]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        for waiting in either:
            waiting.cancel()
        return stop.is_set()

    async def _reconcile(self, key: SessionKey) -> float | None:
        if self._reconciler is None:
            raise RetryLaterError("the operator is starting")
        try:
            with self.metrics.reconcile_seconds.time():
                return await self._reconciler(key)
        except Exception:
            self.metrics.reconcile_errors.inc()
            raise

    async def _endpoint_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        load_endpoint_leaf(context, self._authority, self._site.reporting, self._clock())

        async def renew() -> None:
            while True:
                await asyncio.sleep(ENDPOINT_LIFE.total_seconds() / 2)
                load_endpoint_leaf(context, self._authority, self._site.reporting, self._clock())

        self._spawn(renew(), "renewal of the endpoint's certificate")
        return context

    async def _check(self, request: CheckRequest) -> CheckAnswer:
        assert self._client is not None  # noqa: S101 - `_wire` comes before the checks
        return await check_part(request, self._client)

    def _issued(self, issued: Issued) -> None:
        self.metrics.issued.labels(kind=issued.kind).inc()
        audit(issued)

    def _look_at_all(self) -> None:
        for key in self.cache.sessions:
            self.queue.add(key)

    def _site_issued(self, issued: SiteIssued) -> None:
        self.metrics.issued.labels(kind=issued.kind).inc()
        audit_site(issued)

    def _run_of(self, key: SessionKey) -> tuple[str, str] | None:
        record = self.cache.sessions.get(key)
        name = secret_name(Owner(*key, record.uid), AUTHORITY) if record else ""
        authority = self.cache.children(key).get((SECRET.kind, name))
        if record is None or authority is None or authority.owner_uid != record.uid:
            return None
        return record.uid, authority.facts.get(AUTHORITY_ANNOTATION, "")

    def _statuses(self) -> Iterator[Mapping[str, Any]]:
        return (record.status for record in self.cache.sessions.values())

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run something for as long as the process; its end is a fault that health tells."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)

        def ended(done: asyncio.Task[None]) -> None:
            if not done.cancelled():
                self._fatal = f"the {name} ended"
                logger.critical("%s", self._fatal, exc_info=done.exception())

        task.add_done_callback(ended)
