"""What the front door counts."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from casita.columns.refusal import Reason


class Metrics:
    """Metrics of the front door, on a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.calls = Counter(
            "casita_columns_calls_total",
            "Calls of the front door of ServiceX, by what they were for and the answer's code.",
            ["call", "code"],
            registry=self.registry,
        )
        self.refusals = Counter(
            "casita_columns_refusals_total",
            "Calls that were refused.",
            ["reason"],
            registry=self.registry,
        )
        self.reaped = Counter(
            "casita_columns_reaped_total",
            "Objects of transformers whose request was over or unknown, which ServiceX had left.",
            ["kind"],
            registry=self.registry,
        )
        self.expired = Counter(
            "casita_columns_expired_requests_total",
            "Requests that failed because they were not done in time.",
            registry=self.registry,
        )
        self.users = Gauge(
            "casita_columns_users", "Users whom ServiceX lets in.", registry=self.registry
        )
        self.rounds = Counter(
            "casita_columns_rounds_total",
            "Rounds of looking for what is over, by how they ended.",
            ["result"],
            registry=self.registry,
        )
        for reason in Reason:
            self.refusals.labels(reason=reason.value)
        for result in ("done", "failed"):
            self.rounds.labels(result=result)
