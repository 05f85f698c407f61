"""Pods of a profile with inference know their server and may reach it, by the site's word alone."""

from typing import Any

import pytest

from casita.api.names import INFERENCE_LABEL
from casita.api.session import SchedulerResources, SessionSpec, WorkerPool
from casita.config import InferenceServer, InstantWorker, PodOverrides
from casita.manifests.common import Manifest
from casita.manifests.pods import Template, scheduler_pod, worker_pod
from casita.sessions.batch_submission import worker_job
from tests.unit.sessions_site import OWNER, SITE, VALUES, with_site

SERVER = InferenceServer(name="taggers", url="gateway:8001", health_url="http://triton:8000")
ELSEWHERE = {"name": "taggers", "url": "triton.example.org:443"}
OVERRIDES = PodOverrides(
    env=({"name": "TRITON_URL", "value": "elsewhere:1"}, {"name": "SITE", "value": "a"})
)
BATCH = {
    "collector": "cm.af.test:9618",
    "schedd": "s",
    "trustDomain": "t",
    "uidDomain": "u",
    "workers": {"environment": {"A": "b"}},
}
POOL = WorkerPool.model_validate({"pool": "batch", "backend": "HTCondor", "max": 1})


def pods(server: InferenceServer | None) -> list[Manifest]:
    template = Template(OWNER, SITE, "example.org/notebook:1", "0" * 16, inference=server)
    instant = InstantWorker(cores=1)
    return [
        scheduler_pod(template, SchedulerResources(), OVERRIDES, instant, OVERRIDES),
        worker_pod(template, WorkerPool(pool="local", max=1), 0, OVERRIDES),
    ]


def environments(pod: Manifest) -> list[dict[str, str]]:
    containers: list[dict[str, Any]] = pod["spec"]["containers"]
    return [{entry["name"]: entry["value"] for entry in c["env"]} for c in containers]


def test_scheduler_instant_worker_and_workers_know_their_server() -> None:
    scheduler, worker = pods(SERVER)
    found = [*environments(scheduler), *environments(worker)]
    assert [env["TRITON_URL"] for env in found] == ["gateway:8001"] * 3
    assert all(env["SITE"] == "a" for env in found)
    assert {pod["metadata"]["labels"][INFERENCE_LABEL] for pod in (scheduler, worker)} == {
        "taggers"
    }


def test_pods_of_a_profile_without_inference_have_no_label() -> None:
    assert not any(INFERENCE_LABEL in pod["metadata"]["labels"] for pod in pods(None))


@pytest.mark.parametrize(
    ("inference", "added"),
    [
        (None, {}),
        ({"servers": [ELSEWHERE]}, {"TRITON_URL": "triton.example.org:443"}),
        ({"servers": [{**ELSEWHERE, "healthUrl": "http://triton:8000"}], "namespace": "t"}, {}),
    ],
    ids=["none", "the site's own service", "the chart's, in the cluster alone"],
)
def test_jobs_know_a_server_that_they_can_reach(
    inference: dict[str, Any] | None, added: dict[str, str]
) -> None:
    profile = {**VALUES["profiles"][0], "inference": "taggers"}
    site = with_site(profiles=[profile], batch=BATCH, inference=inference)
    job = worker_job(OWNER, SessionSpec(user="alice"), site, POOL, "0" * 16)
    assert job.environment == {"A": "b", **added}
