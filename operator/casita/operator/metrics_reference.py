"""The reference page of casita's own metrics, made from the metrics themselves.

``python -m casita.operator.metrics_reference --write docs/reference/metrics.md``
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from casita.api.generated import run_generator
from casita.clients.checking.request import CheckAnswer, CheckReason
from casita.columns.metrics import Metrics as ColumnsMetrics
from casita.monitoring.metrics import CacheMetrics
from casita.monitoring.packets import COUNTERS, Summary
from casita.monitoring.triton import Model, Models
from casita.operator.metrics import BUCKETS, Metrics
from casita.operator.session_metrics import SessionMetrics
from casita.operator.usage import Account
from casita.sessions.cache import SessionRecord

_HEADER: Final = """# Metrics

What casita's own parts show to Prometheus. This page is made from the code by `make generate`.
[Monitoring](../admin/monitoring.md) says how Prometheus finds them, and which metrics of Traefik,
JupyterHub and Triton are used besides; [alerting rules](rules.md) lists what is made of them.
"""
_TABLE: Final = """
| metric | type | labels | meaning |
|---|---|---|---|
"""
_NOW: Final = datetime(2000, 1, 1, tzinfo=UTC)
_STATUS: Final = {
    "conditions": [{"type": "Ready", "status": "True", "reason": "Ready"}],
    "credentials": [
        {
            "name": "client",
            "notAfter": "2000-01-02T00:00:00Z",
            "renewalTime": "2000-01-01T12:00:00Z",
        }
    ],
    "workers": [{"pool": "local", "desired": 2, "requested": 2, "ready": 1}],
}


@dataclass(frozen=True)
class Source:
    """One of casita's processes that show metrics."""

    title: str
    where: str
    registry: CollectorRegistry
    """Its metrics, with one example of each label."""
    notes: str = ""


def sources() -> Sequence[Source]:
    """Return all of them."""
    return (_operator(), _cache(), _models(), _columns())


def _operator() -> Source:
    checks = {"cache": CheckAnswer(CheckReason.ANSWERED, "")}
    metrics = Metrics(lambda: [_STATUS], lambda: 0, lambda: checks, lambda: _NOW)
    metrics.issued.labels(kind="client")
    metrics.reports.labels(code="204")
    metrics.count_request("GET", 200)
    metrics.count_core_seconds(Account("alice", "default", "Kubernetes", "local", ""), 0)
    session = SessionRecord("uid", 1, {"user": "alice"}, _STATUS, deleting=False, version=1)
    sessions = {("casita", "alice"): session}
    metrics.registry.register(SessionMetrics(lambda: sessions, lambda: _NOW))
    bounds = ", ".join(f"`{name}`" for name in BUCKETS)
    notes = (
        f"The label `left` is one of {bounds}, `more`: the time that the credential has left is at "
        "most so long. Sessions that were stopped, or whose life is over, are not among those of "
        "`casita_session_…`.\n"
    )
    where = "Service `casita-operator-metrics`, port 8080."
    return Source("The operator", where, metrics.registry, notes)


def _cache() -> Source:
    metrics = CacheMetrics(Path("/"), lambda: 0.0)
    metrics.take_summary(Summary(("1", "0"), dict.fromkeys(COUNTERS, 0)))
    metrics.tell_origin("origin.example.org:1094", up=True)
    notes = (
        "Counters of the server begin anew when it starts. Among `casita_xcache_bytes_total`, "
        "`hit` came from the cache (fetched ahead counts too), `miss` was waited for, `bypass` "
        "went past the cache; `stored` was written to the disk.\n"
    )
    where = "Service `casita-xcache-metrics`, port 9100."
    return Source("The data cache", where, metrics.registry, notes)


def _models() -> Source:
    registry = CollectorRegistry()
    registry.register(Models([Model("tagger", "1", ""), Model("broken", "1", "no memory")]))
    where = (
        "Service `casita-triton-<server>-models-metrics`, port 9100; Triton's own are beside it."
    )
    return Source("The inference servers", where, registry)


def _columns() -> Source:
    metrics = ColumnsMetrics()
    metrics.calls.labels(call="submit", code="200")
    metrics.reaped.labels(kind="Deployment")
    where = "The front door of ServiceX. Service `casita-servicex-metrics`, port 9100."
    return Source("Delivery of columns", where, metrics.registry)


def render() -> str:
    """Return the page."""
    return _HEADER + "".join(map(_section, sources()))


def _section(source: Source) -> str:
    rows = "".join(sorted(_row(family) for family in source.registry.collect()))
    notes = f"\n{source.notes}" if source.notes else ""
    return f"\n## {source.title}\n\n{source.where}\n{_TABLE}{rows}{notes}"


def _row(family: Metric) -> str:
    labels = sorted({label for sample in family.samples for label in sample.labels} - {"le"})
    name = f"{family.name}_total" if family.type == "counter" else family.name
    listed = ", ".join(f"`{label}`" for label in labels)
    return f"| `{name}` | {family.type} | {listed} | {family.documentation} |\n"


if __name__ == "__main__":
    sys.exit(run_generator(__doc__ or "", render()))
