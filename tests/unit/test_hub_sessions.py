"""What the hub makes of how a session stands."""

from typing import Any

import pytest

from casita.hub.sessions import Wanted, new_session, standing, start_patch, stop_patch

WANTED = Wanted("casita", "alice", "alice", "cms", "run-2", "casita", "alice@example.org")


def session(
    *conditions: tuple[str, str, str], run: str = "run-2", generation: int = 2, seen: int = 2
) -> dict[str, Any]:
    return {
        "metadata": {"generation": generation},
        "status": {
            "runId": run,
            "conditions": [
                {
                    "type": t,
                    "status": s,
                    "reason": r,
                    "message": f"{r}!",
                    "observedGeneration": seen,
                }
                for t, s, r in conditions
            ],
        },
    }


def test_nothing_is_known_of_a_session_that_nobody_looked_at() -> None:
    for unseen in (None, {"metadata": {"generation": 1}}, session(run="run-1")):
        assert not standing(unseen, "run-2").answered


def test_what_was_true_of_an_earlier_run_or_specification_does_not_count() -> None:
    issued = ("CredentialsReady", "True", "Issued")
    assert not standing(session(issued, run="run-1"), "run-2").usable
    assert not standing(session(issued, seen=1), "run-2").usable
    assert standing(session(issued), "run-2").usable


def test_a_server_may_start_before_the_scheduler_is_there() -> None:
    found = standing(
        session(("Ready", "False", "Starting"), ("CredentialsReady", "True", "Issued")), "run-2"
    )
    assert found.usable
    assert not found.refused


@pytest.mark.parametrize("reason", ["ExceedsProfile", "UnknownProfile", "NameTaken", "Forbidden"])
def test_what_waiting_does_not_cure_is_a_refusal(reason: str) -> None:
    assert standing(session(("Ready", "False", reason)), "run-2").refused == f"{reason}: {reason}!"


def test_a_specification_that_cannot_be_read_is_refused_though_it_has_no_run() -> None:
    found = session(("Ready", "False", "SpecInvalid"))
    del found["status"]["runId"]
    assert standing(found, "run-2").refused


@pytest.mark.parametrize("reason", ["Starting", "AwaitingGateway", "Unschedulable", "ApiError"])
def test_what_may_pass_is_waited_for(reason: str) -> None:
    assert not standing(session(("Ready", "False", reason)), "run-2").refused


def test_what_the_site_has_not_is_not_told() -> None:
    found = standing(
        session(("CredentialsReady", "True", "Issued"), ("DataReady", "True", "NotConfigured")),
        "run-2",
    )
    assert found.lines == ("Credentials: Issued!",)


def test_a_session_is_made_run_anew_and_stopped_for_its_user_alone() -> None:
    made = new_session(WANTED)
    assert made["spec"] == {
        "user": "alice",
        "profile": "cms",
        "lifecycle": "Running",
        "runId": "run-2",
    }
    assert made["metadata"]["annotations"]["casita.dev/hub-user"] == "alice@example.org"
    assert "user" not in start_patch(WANTED, "uid")["spec"]
    assert stop_patch("uid") == {"metadata": {"uid": "uid"}, "spec": {"lifecycle": "Stopped"}}
