"""The reference page of the operator's metrics, made from the metrics themselves.

``python -m casita.operator.metrics_reference --write docs/reference/metrics.md``
"""

import sys
from datetime import UTC, datetime

from prometheus_client.metrics_core import Metric

from casita.api.generated import run_generator
from casita.clients.checking.request import CheckAnswer, CheckReason
from casita.operator.metrics import BUCKETS, Metrics
from casita.operator.usage import Account

_HEADER = """# Metrics

The operator exposes these at `:8080/metrics`, by the Service `casita-operator-metrics`. This page
is made from the code by `make generate`.

| metric | type | labels | meaning |
|---|---|---|---|
"""

_EXAMPLE = {
    "conditions": [{"type": "Ready", "status": "True", "reason": "Ready"}],
    "credentials": [{"name": "client", "notAfter": "2000-01-01T00:00:00Z"}],
    "workers": [{"desired": 0, "requested": 0, "ready": 0}],
}


def render() -> str:
    """Return the page."""
    checks = {"cache": CheckAnswer(CheckReason.ANSWERED, "")}
    metrics = Metrics(lambda: [_EXAMPLE], lambda: 0, lambda: checks, lambda: datetime.now(UTC))
    metrics.issued.labels(kind="client")
    metrics.reports.labels(code="204")
    metrics.count_request("GET", 200)
    metrics.count_core_seconds(Account("alice", "default", "Kubernetes", "local", ""), 0)
    rows = [_row(family) for family in metrics.registry.collect()]
    bounds = ", ".join(f"`{name}`" for name in BUCKETS)
    return (
        _HEADER
        + "".join(sorted(rows))
        + f"\nThe label `left` is one of {bounds}, `more`: the time "
        "that the credential has left is at most so long.\n"
    )


def _row(family: Metric) -> str:
    labels = sorted({label for sample in family.samples for label in sample.labels} - {"le"})
    name = f"{family.name}_total" if family.type == "counter" else family.name
    listed = ", ".join(f"`{label}`" for label in labels)
    return f"| `{name}` | {family.type} | {listed} | {family.documentation} |\n"


if __name__ == "__main__":
    sys.exit(run_generator(__doc__ or "", render()))
