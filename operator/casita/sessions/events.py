"""Kubernetes events on transitions: few, specific, in plain words."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from casita.api.conditions import ConditionType, Reason
from casita.api.names import API_VERSION, KIND
from casita.api.session import ScalingMode, SessionSpec
from casita.manifests.common import Owner
from casita.manifests.secrets import AUTHORITY
from casita.sessions.cache import SessionKey

RENEWED: Final = "Renewed"
"""Reason of the event that tells of renewed credentials; never one of a condition."""

SCALE_IGNORED: Final = "ScaleIgnored"
"""Reason of the event that tells of a `kubectl scale` that has no effect."""

_PASSING: Final = frozenset(
    {
        Reason.STARTING,
        Reason.ISSUING,
        Reason.AWAITING_SCHEDULER,
        Reason.AWAITING_GATEWAY,
        Reason.WAITING_FOR_PREDECESSOR,
        Reason.SCALING,
        Reason.SPEC_REFUSED,
    }
)
"""On the way to something else: told by the conditions, not worth an event."""


def transitions(
    previous: Mapping[str, Any], status: Mapping[str, Any]
) -> list[tuple[str, str, str]]:
    """Return type, reason and message of each event that a change of status is worth.

    Ready and WorkersReady are looked at: the first sums up all that it needs, the second is the
    only other one that a user acts upon; and credentials that were renewed within a run.
    """
    before = {c["type"]: c for c in previous.get("conditions") or ()}
    found = []
    for condition in status["conditions"]:
        kind, reason = condition["type"], condition["reason"]
        if kind not in (ConditionType.READY, ConditionType.WORKERS_READY) or reason in _PASSING:
            continue
        old = before.get(kind, {})
        if (old.get("status"), old.get("reason")) == (condition["status"], reason):
            continue
        worth = condition["status"] == "False" or reason == Reason.QUOTA_REACHED
        if kind == ConditionType.WORKERS_READY and not worth:
            continue
        if kind == ConditionType.WORKERS_READY and _same_as_ready(status, reason):
            continue
        good = condition["status"] == "True" or reason == Reason.STOPPED
        found.append(("Normal" if good else "Warning", reason, condition["message"]))
    renewed = _renewed(previous, status)
    return [*found, ("Normal", RENEWED, renewed)] if renewed else found


class ScaleWatch:
    """Notices `kubectl scale` on sessions whose number of workers is decided by their work."""

    def __init__(self) -> None:
        self._seen: dict[SessionKey, tuple[ScalingMode, int]] = {}

    def ignored(self, key: SessionKey, spec: SessionSpec) -> str:
        """Say that a change of `spec.replicas` has no effect, once; empty if there is none."""
        now = spec.scaling.mode, spec.replicas
        before, self._seen[key] = self._seen.get(key, now), now
        if before == now or {before[0], now[0]} != {ScalingMode.ADAPTIVE}:
            return ""
        return (
            f"spec.replicas is {spec.replicas} now, which has no effect while spec.scaling.mode is "
            "Adaptive: the work at hand decides; set the mode to Manual, or scale from the "
            "notebook with casita.dask.Cluster"
        )

    def forget(self, key: SessionKey) -> None:
        """Drop a session that is gone."""
        self._seen.pop(key, None)


def _renewed(previous: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    """Say which credentials have another number, unless all have: another run has begun then."""
    before = {c["name"]: c["id"] for c in previous.get("credentials") or ()}
    now = status.get("credentials") or ()
    if any(c["name"] == AUTHORITY and before.get(AUTHORITY) != c["id"] for c in now):
        return ""
    renewed = [c for c in now if before.get(c["name"], c["id"]) != c["id"]]
    return ", ".join(f"{c['name']} until {c['notAfter']}" for c in renewed)


def _same_as_ready(status: Mapping[str, Any], reason: str) -> bool:
    return any(
        c["type"] == ConditionType.READY and c["reason"] == reason for c in status["conditions"]
    )


def event(
    owner: Owner, kind: str, reason: str, message: str, action: str, now: datetime
) -> dict[str, Any]:
    """Return an Event (events.k8s.io/v1) about a session."""
    microseconds = int(now.timestamp() * 1e6)
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": f"{owner.name[:200].rstrip('-.')}.{microseconds:x}.{reason.lower()}",
            "namespace": owner.namespace,
        },
        "type": kind,
        "reason": reason,
        "action": action,
        "note": message[:1024],
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": "casita.dev/operator",
        "reportingInstance": "casita-operator",
        "regarding": {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "namespace": owner.namespace,
            "name": owner.name,
            "uid": owner.uid,
        },
    }
