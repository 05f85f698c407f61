"""What Prometheus may know of each session: whether it can be used, its workers, its credentials.

Prometheus puts the operator's namespace into the label `namespace`, so the session's own is
`session_namespace`.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from casita.api.conditions import ConditionStatus, ConditionType, Reason
from casita.sessions.cache import SessionKey, SessionRecord
from casita.sessions.observed import parse_time

ENDED: Final = frozenset({Reason.STOPPED, Reason.IDLE_STOPPED, Reason.LIFETIME_EXCEEDED})
"""Reasons of sessions that are not to run; they are not shown."""
LATE_SECONDS: Final = 300.0
"""A renewal is overdue so long after it is due: when many are, passes take their time."""

_SESSION: Final = ["session_namespace", "session"]
_TEXTS: Final = {
    "casita_session_ready": (
        "1 if clients can connect to a session that is to run, with the reason of its Ready.",
        ["reason"],
    ),
    "casita_session_workers": ("Workers of a session.", ["pool", "state"]),
    "casita_session_credential_seconds": ("Time that a session's credential has left.", ["kind"]),
}


class SessionMetrics(Collector):
    """Gauges of each session, read from the cache at each scrape.

    Args:
        sessions: returns every session, by its key.
        clock: the time.
    """

    def __init__(
        self,
        sessions: Callable[[], Mapping[SessionKey, SessionRecord]],
        clock: Callable[[], datetime],
    ) -> None:
        self._sessions = sessions
        self._clock = clock

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield the gauges."""
        families = {
            name: GaugeMetricFamily(name, text, labels=[*_SESSION, *labels])
            for name, (text, labels) in _TEXTS.items()
        }
        overdue: dict[str, int] = {}
        now = self._clock()
        for key, record in sorted(self._sessions().items(), key=lambda each: each[0]):
            ready, status = _ready(record.status), record.status
            if ready is None or ready["reason"] in ENDED:
                continue
            families["casita_session_ready"].add_metric(
                [*key, ready["reason"]],
                int(ready["status"] == ConditionStatus.TRUE),
            )
            for pool in status.get("workers") or ():
                for state in ("desired", "requested", "ready"):
                    labels = [*key, pool["pool"], state]
                    families["casita_session_workers"].add_metric(labels, pool[state])
            for credential in status.get("credentials") or ():
                kind = credential["name"]
                left = (parse_time(credential["notAfter"]) - now).total_seconds()
                families["casita_session_credential_seconds"].add_metric([*key, kind], left)
                overdue[kind] = overdue.get(kind, 0) + _overdue(credential, now)
        yield from families.values()
        late = GaugeMetricFamily(
            "casita_renewals_overdue",
            "Credentials that should have been renewed five minutes ago or earlier.",
            labels=["kind"],
        )
        for kind, count in sorted(overdue.items()):
            late.add_metric([kind], count)
        yield late


def _ready(status: Mapping[str, Any]) -> Mapping[str, Any] | None:
    conditions: Iterable[Mapping[str, Any]] = status.get("conditions") or ()
    return next((each for each in conditions if each["type"] == ConditionType.READY), None)


def _overdue(credential: Mapping[str, Any], now: datetime) -> bool:
    due = credential.get("renewalTime")
    return due is not None and (now - parse_time(due)).total_seconds() > LATE_SECONDS
