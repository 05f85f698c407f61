"""Metrics of each session tell what its status tells, and nothing of sessions that are over."""

from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from casita.operator.session_metrics import SessionMetrics
from casita.sessions.cache import SessionRecord

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def status(ready: str, reason: str, **more: Any) -> dict[str, Any]:
    return {"conditions": [{"type": "Ready", "status": ready, "reason": reason}], **more}


def exposed(**sessions: dict[str, Any]) -> list[str]:
    registry = CollectorRegistry()
    records = {
        ("casita", name): SessionRecord("uid", 1, {"user": name}, found, False, 1)
        for name, found in sessions.items()
    }
    registry.register(SessionMetrics(lambda: records, lambda: NOW))
    lines = generate_latest(registry).decode().splitlines()
    return [line for line in lines if not line.startswith("#")]


def test_a_session_says_whether_it_can_be_used_and_why_not() -> None:
    lines = exposed(alice=status("True", "Ready"), bob=status("False", "Unschedulable"))
    who = 'session="{0}",session_namespace="casita"'
    assert lines == [
        f'casita_session_ready{{reason="Ready",{who.format("alice")}}} 1.0',
        f'casita_session_ready{{reason="Unschedulable",{who.format("bob")}}} 0.0',
    ]


@pytest.mark.parametrize("reason", ["Stopped", "IdleStopped", "LifetimeExceeded"])
def test_a_session_that_is_not_to_run_is_not_missed(reason: str) -> None:
    assert exposed(alice=status("False", reason)) == []


def test_a_session_that_nobody_has_looked_at_is_not_told_of() -> None:
    assert exposed(alice={}) == []


def test_workers_are_told_by_pool() -> None:
    pool = {"pool": "batch", "desired": 5, "requested": 4, "ready": 3}
    lines = exposed(alice=status("True", "Ready", workers=[pool]))
    who = 'pool="batch",session="alice",session_namespace="casita"'
    for state, count in (("desired", 5), ("requested", 4), ("ready", 3)):
        assert f'casita_session_workers{{{who},state="{state}"}} {count}.0' in lines


def test_a_renewal_is_overdue_once_it_is_late_by_minutes() -> None:
    credentials = [
        {"name": name, "notAfter": "2026-01-01T01:00:00Z", "renewalTime": f"2025-12-31T23:{due}Z"}
        for name, due in (("client", "56:00"), ("idtoken", "54:00"))
    ]
    credentials.append({"name": "authority", "notAfter": "2026-01-01T00:00:10Z"})
    lines = exposed(alice=status("True", "Ready", credentials=credentials))
    assert 'casita_renewals_overdue{kind="client"} 0.0' in lines
    assert 'casita_renewals_overdue{kind="idtoken"} 1.0' in lines
    assert 'casita_renewals_overdue{kind="authority"} 0.0' in lines
    who = 'session="alice",session_namespace="casita"'
    assert f'casita_session_credential_seconds{{kind="authority",{who}}} 10.0' in lines
