"""What the site asks of requests to MLflow, word by word."""

from typing import Any

import pytest

from casita.tracking.identity import CURRENT, Identity, authenticate
from casita.tracking.rules import CLOSED, refuse_location, sign

ALICE = Identity("alice")


@pytest.mark.parametrize("name", ["user_id", "userId"])
def test_a_new_run_bears_its_makers_name_however_it_is_written(name: str) -> None:
    body: dict[str, Any] = {name: "mallory", "experiment_id": "1"}
    sign(body, ALICE, new=True)
    assert body == {"user_id": "alice", "experiment_id": "1"}


def test_a_name_among_many_tags_is_put_right_and_the_others_stay() -> None:
    body = {"tags": [{"key": "mlflow.user", "value": "mallory"}, {"key": "a", "value": "b"}, 7]}
    sign(body, ALICE, new=False)
    assert body == {
        "tags": [{"key": "mlflow.user", "value": "alice"}, {"key": "a", "value": "b"}, 7]
    }


def test_an_experiment_without_a_place_is_let_through() -> None:
    assert refuse_location({"name": "x"}) is None
    assert refuse_location({"name": "x", "artifact_location": ""}) is None
    assert refuse_location({"name": "x", "artifactLocation": "s3://b"}) is not None


@pytest.mark.parametrize(
    ("path", "closed"),
    [
        ("/gateway/proxy/x/y", True),
        ("/ajax-api/3.0/mlflow/gateway/endpoints/list", True),
        ("/ajax-api/3.0/mlflow/assistant/config", True),
        ("/ajax-api/3.0/mlflow/scorer/invoke", True),
        ("/ajax-api/3.0/jobs/search", True),
        ("/api/2.0/mlflow/users/update-password", True),
        ("/", False),
        ("/static-files/static/js/main.js", False),
        ("/api/2.0/mlflow/runs/create", False),
        ("/api/2.0/mlflow/users/current", False),
        ("/api/3.0/mlflow/traces/search", False),
        ("/api/2.0/mlflow-artifacts/artifacts/1/2/gateway/x", False),
    ],
)
def test_what_is_closed_is_closed_and_no_more(path: str, closed: bool) -> None:
    assert bool(CLOSED.search(path)) is closed


def test_mlflow_is_told_who_asks_and_nobody_if_nobody_was_let_in() -> None:
    nobody = authenticate()
    assert getattr(nobody, "status_code", None) == 401
    token = CURRENT.set(ALICE)
    try:
        assert getattr(authenticate(), "username", None) == "alice"
    finally:
        CURRENT.reset(token)
