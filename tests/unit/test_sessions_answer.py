"""A scheduler is told the state of its own pools, and nothing else."""

import json
from typing import Any

from casita.sessions.answer import answer_of
from casita.sessions.cache import SessionRecord
from tests.unit.sessions_site import SITE

POOLS = [{"pool": "a", "min": 1, "max": 3}, {"pool": "b", "backend": "HTCondor", "max": 5}]
STATUS: dict[str, Any] = {
    "conditions": [
        {"type": "Ready", "status": "True", "reason": "Ready", "message": "clients can connect"},
        {"type": "WorkersReady", "status": "True", "reason": "Scaling", "message": "2 workers"},
    ],
    "workers": [{"pool": "a", "desired": 2, "requested": 2, "ready": 1}],
    "credentialsSecretName": "hidden",
}


def record(spec: dict[str, Any], status: dict[str, Any] | None = None) -> SessionRecord:
    return SessionRecord("uid", 1, spec, status or {}, deleting=False, version=1)


def test_mode_message_and_pools_are_told_as_the_last_status_says() -> None:
    answer = json.loads(
        json.dumps(answer_of(record({"user": "a", "workers": POOLS}, STATUS), SITE))
    )
    assert answer == {
        "mode": "Adaptive",
        "message": "2 workers",
        "pools": [
            {
                "pool": "a",
                "backend": "Kubernetes",
                "min": 1,
                "max": 3,
                "desired": 2,
                "requested": 2,
                "ready": 1,
            },
            {
                "pool": "b",
                "backend": "HTCondor",
                "min": 0,
                "max": 5,
                "desired": 0,
                "requested": 0,
                "ready": 0,
            },
        ],
    }


def test_a_session_without_pools_of_its_own_has_those_of_its_profile() -> None:
    answer = answer_of(record({"user": "a", "scaling": {"mode": "Manual"}}), SITE)
    assert (answer["mode"], [pool["pool"] for pool in answer["pools"]]) == ("Manual", ["local"])
    assert answer["message"] == ""


def test_a_session_that_is_gone_or_cannot_be_read_has_no_pools() -> None:
    assert answer_of(None, SITE)["pools"] == []
    assert answer_of(record({"user": "a", "replicas": -1}, STATUS), SITE)["pools"] == []
    assert answer_of(record({"user": "a", "profile": "unknown"}), SITE)["pools"] == []
