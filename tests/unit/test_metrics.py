"""Metrics tell the state of all sessions, and their page tells the metrics."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus_client import generate_latest

from casita.clients.checking.request import CheckAnswer, CheckReason
from casita.operator.metrics import Metrics
from casita.operator.metrics_reference import render

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/metrics.md"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


CHECKS = {
    "cache": CheckAnswer(CheckReason.ANSWERED, "fine", 0.2),
    "schedd": CheckAnswer(CheckReason.NO_ANSWER, "no answer", 35.0),
}


def exposed(*statuses: dict[str, Any]) -> list[str]:
    metrics = Metrics(lambda: statuses, lambda: 3, lambda: CHECKS, lambda: NOW)
    return generate_latest(metrics.registry).decode().splitlines()


def test_the_reference_page_is_up_to_date() -> None:
    assert PAGE.read_text() == render()


def test_credentials_are_counted_by_the_time_they_have_left() -> None:
    ends = {"a": "2025-12-31T23:59:59Z", "b": "2026-01-01T00:30:00Z", "c": "2027-01-01T00:00:00Z"}
    credentials = [{"name": name, "notAfter": end} for name, end in ends.items()]
    lines = exposed({"credentials": credentials})
    assert 'casita_credentials{kind="a",left="expired"} 1.0' in lines
    assert 'casita_credentials{kind="b",left="1h"} 1.0' in lines
    assert 'casita_credentials{kind="c",left="more"} 1.0' in lines


def test_sessions_are_counted_by_their_ready_condition() -> None:
    ready = {"conditions": [{"type": "Ready", "status": "True", "reason": "Ready"}]}
    stopped = {"conditions": [{"type": "Ready", "status": "False", "reason": "Stopped"}]}
    lines = exposed(ready, ready, stopped)
    assert 'casita_sessions{ready="True",reason="Ready"} 2.0' in lines
    assert 'casita_sessions{ready="False",reason="Stopped"} 1.0' in lines
    assert "casita_queue_length 3.0" in lines


def test_the_sites_parts_are_told_with_how_long_they_took() -> None:
    lines = exposed()
    assert 'casita_check_ok{check="cache"} 1.0' in lines
    assert 'casita_check_ok{check="schedd"} 0.0' in lines
    assert 'casita_check_duration_seconds{check="schedd"} 35.0' in lines
