"""Runs that analyses note are found by people, under their own names and nobody else's."""

import json
from collections.abc import Callable
from uuid import uuid4

from playwright.async_api import Page, expect

from tests.e2e.conftest import MakeSession, RunIn, ready
from tests.support import kubectl
from tests.support.browser import picture
from tests.support.cluster import SESSION, Cluster, condition, eventually
from tests.support.hub_pages import HUB, NAMESPACE, log_in

TRACKING = f"{HUB}/services/mlflow/"
MLFLOW = "casita-mlflow"
"""Namespace, and name of its Deployment."""
NOTE = """
import json, mlflow
mlflow.set_experiment({experiment!r})
with mlflow.start_run(run_name="fit") as run:
    mlflow.log_param("channel", "mumu")
    mlflow.log_metric("mass", 91.2)
    mlflow.log_text("fitted", "result.txt")
found = mlflow.get_run(run.info.run_id)
print(json.dumps({{"run": run.info.run_id, "experiment": run.info.experiment_id,
                   "user": found.data.tags["mlflow.user"]}}))
"""
DELETE = """
import mlflow
from mlflow.exceptions import MlflowException
assert mlflow.get_run({run!r}).data.metrics["mass"] == 91.2
try:
    mlflow.delete_run({run!r})
except MlflowException as error:
    print(error)
else:
    raise SystemExit("the run of somebody else was deleted")
"""
PRETEND = """
import os, urllib.error, urllib.request
url = os.environ["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/experiments/search?max_results=1"
names = ("X-Forwarded-User", "X-Remote-User", "Remote-User", "X-MLflow-User")
for headers in ({}, {name: "admin" for name in names}, {"Authorization": "Basic YWRtaW46YWRtaW4="}):
    try:
        urllib.request.urlopen(urllib.request.Request(url, headers=headers))
    except urllib.error.HTTPError as error:
        print(error.code)
"""


async def test_an_analysis_notes_a_run_and_its_user_finds_it(
    cluster: Cluster, make_session: MakeSession, notebook: Callable[..., RunIn], page: Page
) -> None:
    user, experiment = f"ann{uuid4().hex[:4]}", f"dimuon-{uuid4().hex[:6]}"
    name = make_session(user, 0)
    await ready(cluster, name)
    noted = json.loads(notebook(name)(NOTE.format(experiment=experiment)))
    assert noted["user"] == user
    await log_in(page, user)
    await page.goto(f"{TRACKING}#/experiments/{noted['experiment']}/runs")
    run = page.get_by_role("link", name="fit")
    await expect(run.first).to_be_visible(timeout=60_000)
    await picture(page, "tracking-experiment")
    await run.first.click()
    await expect(page.get_by_text("91.2").first).to_be_visible(timeout=60_000)
    await picture(page, "tracking-run")


async def test_nobody_changes_anothers_run_or_says_to_be_another(
    cluster: Cluster, make_session: MakeSession, notebook: Callable[..., RunIn]
) -> None:
    experiment = f"dimuon-{uuid4().hex[:6]}"
    alice, bob = make_session("alice", 0), make_session("bob", 0)
    for name in (alice, bob):
        await ready(cluster, name)
    noted = json.loads(notebook(alice)(NOTE.format(experiment=experiment)))
    run = notebook(bob)
    assert "ermission" in run(DELETE.format(run=noted["run"]))
    assert run(PRETEND).split() == ["401", "401", "401"]


async def test_a_server_that_is_away_is_named_and_forgotten_when_it_is_back(
    cluster: Cluster, make_session: MakeSession
) -> None:
    name = make_session(replicas=0)
    await ready(cluster, name)

    def told(status: str) -> dict[str, str]:
        found = condition(cluster.get(*SESSION, name, NAMESPACE), "ServicesReady")
        assert found["status"] == status, found
        return found

    await eventually(lambda: told("True"), 120)
    kubectl.run("-n", MLFLOW, "scale", f"deployment/{MLFLOW}", "--replicas=0")
    try:
        found = await eventually(lambda: told("False"), 180, what="the session says so", pause=1)
        assert found["reason"] == "TrackingUnreachable"
        ready_ = condition(cluster.get(*SESSION, name, NAMESPACE), "Ready")
        assert ready_["status"] == "True", ready_
    finally:
        kubectl.run("-n", MLFLOW, "scale", f"deployment/{MLFLOW}", "--replicas=1")
    await eventually(lambda: told("True"), 180, what="the session says that it is back", pause=1)
