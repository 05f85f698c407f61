"""What Prometheus may know: durations, errors, sessions, credentials by time left, core hours."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from casita.api.conditions import ConditionType
from casita.clients.checking.request import CheckAnswer
from casita.operator.usage import Account
from casita.sessions.observed import parse_time

BUCKETS: Final = {
    "expired": 0,
    "1h": 3600,
    "1d": 86_400,
    "7d": 604_800,
    "30d": 2_592_000,
}
"""Upper bound of the time left, in seconds; `more` is beyond the last."""


class Metrics:
    """The operator's metrics, on a registry of their own.

    Args:
        statuses: returns the status of every session.
        queue_length: returns the sessions that wait or are being worked on.
        checks: returns the verdicts on the site's parts, by name.
        clock: the time.
    """

    def __init__(
        self,
        statuses: Callable[[], Iterable[Mapping[str, Any]]],
        queue_length: Callable[[], int],
        checks: Callable[[], Mapping[str, CheckAnswer]],
        clock: Callable[[], datetime],
    ) -> None:
        self.registry = CollectorRegistry()
        self.reconcile_seconds = Histogram(
            "casita_reconcile_duration_seconds",
            "Duration of one pass over one session.",
            registry=self.registry,
            buckets=(0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
        )
        self.reconcile_errors = Counter(
            "casita_reconcile_errors_total",
            "Passes that did not reach their end, and were put back.",
            registry=self.registry,
        )
        self.issued = Counter(
            "casita_credentials_issued_total",
            "Credentials made, renewals included.",
            ["kind"],
            registry=self.registry,
        )
        self.requests = Counter(
            "casita_kubernetes_requests_total",
            "Requests to the Kubernetes API, but for watches, by method and status.",
            ["method", "code"],
            registry=self.registry,
        )
        self.reports = Counter(
            "casita_reports_total",
            "Reports from schedulers, by answer.",
            ["code"],
            registry=self.registry,
        )
        self.jobs_left = Counter(
            "casita_batch_jobs_left_total",
            "Deletions that gave up waiting for their jobs.",
            registry=self.registry,
        )
        self.core_seconds = Counter(
            "casita_worker_core_seconds_total",
            "Cores of ready workers, times seconds.",
            Account._fields,
            registry=self.registry,
        )
        self.site_secrets_failing = Gauge(
            "casita_site_secrets_failing",
            "Secrets of the site that the operator could not keep valid at its last look.",
            registry=self.registry,
        )
        self.registry.register(_State(statuses, queue_length, checks, clock))

    def count_request(self, method: str, status: int) -> None:
        """Count one answered request to the Kubernetes API."""
        self.requests.labels(method, str(status)).inc()

    def count_core_seconds(self, account: Account, seconds: float) -> None:
        """Count cores times seconds; 0 begins the series."""
        self.core_seconds.labels(*account).inc(seconds)


class _State(Collector):
    """Gauges that are read from the cache at each scrape; nothing is kept up to date for them."""

    def __init__(
        self,
        statuses: Callable[[], Iterable[Mapping[str, Any]]],
        queue_length: Callable[[], int],
        checks: Callable[[], Mapping[str, CheckAnswer]],
        clock: Callable[[], datetime],
    ) -> None:
        self._statuses = statuses
        self._queue_length = queue_length
        self._checks = checks
        self._clock = clock

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield the gauges."""
        ready: dict[tuple[str, str], int] = {}
        left: dict[tuple[str, str], int] = {}
        workers = {"desired": 0, "requested": 0, "ready": 0}
        now = self._clock()
        for status in self._statuses():
            for condition in status.get("conditions") or ():
                if condition["type"] == ConditionType.READY:
                    key = condition["status"], condition["reason"]
                    ready[key] = ready.get(key, 0) + 1
            for credential in status.get("credentials") or ():
                key = credential["name"], _bucket(credential["notAfter"], now)
                left[key] = left.get(key, 0) + 1
            for pool in status.get("workers") or ():
                for count in workers:
                    workers[count] += pool[count]
        yield _gauge(
            "casita_sessions", "Sessions by their Ready condition.", ["ready", "reason"], ready
        )
        yield _gauge(
            "casita_credentials",
            "Credentials in use by the time they have left: at most so long.",
            ["kind", "left"],
            left,
        )
        yield _gauge(
            "casita_workers",
            "Workers over all sessions.",
            ["state"],
            {(k,): v for k, v in workers.items()},
        )
        yield GaugeMetricFamily(
            "casita_queue_length",
            "Sessions that wait for a pass or are in one.",
            value=self._queue_length(),
        )
        checks = self._checks().items()
        yield _gauge(
            "casita_check_ok",
            "1 if the site's part (cache, schedd, tracking, columns, inference/<server>) did at "
            "the last check what sessions need of it.",
            ["check"],
            {(name,): int(answer.ok) for name, answer in checks},
        )
        yield _gauge(
            "casita_check_duration_seconds",
            "Duration of the last check of a part.",
            ["check"],
            {(name,): answer.seconds for name, answer in checks},
        )


def _gauge(
    name: str, text: str, labels: list[str], values: Mapping[Any, float]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric(list(key), value)
    return family


def _bucket(not_after: str, now: datetime) -> str:
    left = (parse_time(not_after) - now).total_seconds()
    return next((name for name, bound in BUCKETS.items() if left <= bound), "more")
