"""A session's way to the site's services, and what it hears of them."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from aiohttp import web

from casita.api.names import INFERENCE_LABEL
from casita.config import Site
from casita.credentials import mlflow
from casita.credentials.root import load_root_key
from tests.cluster import ports
from tests.controlplane.conftest import Operate, SiteWith
from tests.support.bed import Bed, texts
from tests.support.cluster import Cluster, condition, eventually

NO_GPU = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu"


@pytest.fixture
def services(cluster: Cluster) -> str:
    """A namespace where the services of this site would be, with a pod that has no node."""
    name = f"s-{uuid4().hex[:8]}"
    cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    labels = {"app.kubernetes.io/name": "triton", "app.kubernetes.io/component": "taggers"}
    cluster.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "triton", "namespace": name, "labels": labels},
            "spec": {
                "containers": [{"name": "triton", "image": "example.org/triton:1"}],
                "automountServiceAccountToken": False,
            },
        }
    )
    return name


@pytest.fixture
def port() -> int:
    return ports.free(1)[0]


@pytest.fixture
def site(site_with: SiteWith, site_values: dict[str, Any], services: str, port: int) -> Site:
    profile, *others = site_values["profiles"]
    server = {"name": "taggers", "url": "gateway:8001", "healthUrl": "http://127.0.0.1:1"}
    return site_with(
        profiles=[profile, *others, {**profile, "name": "ml", "inference": "taggers"}],
        inference={"servers": [server], "namespace": services},
        tracking={"url": f"http://127.0.0.1:{port}", "namespace": services, "secret": "mlflow"},
        columns={"url": f"http://127.0.0.1:{port}", "namespace": services, "secret": "servicex"},
    )


@asynccontextmanager
async def answering(port: int, status: int) -> AsyncIterator[list[web.Request]]:
    """Tracking and columns in one server, all of whose answers are alike."""
    asked: list[web.Request] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request)
        return web.json_response({"message": "as told"}, status=status)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield asked
    finally:
        await runner.cleanup()


async def test_a_session_gets_its_tokens_and_status_tells_of_them(
    bed: Bed, operate: Operate, site: Site, site_values: dict[str, Any]
) -> None:
    with operate():
        bed.create()
        session = await bed.until_issued()
    files = bed.files("tokens")
    assert set(files) == {"mlflow_token", "servicex.yaml"}
    key = mlflow.derive_key(load_root_key(Path(site_values["rootKeyFile"])))
    token = mlflow.verify(key, files["mlflow_token"].decode().strip(), site.domain, "alice")
    told = {entry["name"]: entry for entry in session["status"]["credentials"]}
    assert told["mlflow"]["id"] == token.id
    assert told["servicex"]["renewalTime"] < told["servicex"]["notAfter"]
    text = yaml.safe_load(files["servicex.yaml"])["api_endpoints"][0]["token"]
    places = texts([session, bed.events(), [c["metadata"] for c in bed.children().values()]])
    assert not [place for place in places if text in place or token.text in place]


async def test_pods_of_a_profile_with_inference_have_its_label(bed: Bed, operate: Operate) -> None:
    with operate():
        bed.create(profile="ml")
        bed.create("bob", user="bob")
        for name in ("alice", "bob"):
            await bed.until_issued(name)
            await eventually(partial(bed.pods, name))
    for name, wanted in (("alice", "taggers"), ("bob", None)):
        pods = bed.children("Pod", name=name).values()
        assert {pod["metadata"]["labels"].get(INFERENCE_LABEL) for pod in pods} == {wanted}


async def test_a_session_hears_of_the_services_that_it_uses_and_why_they_do_not_answer(
    bed: Bed, operate: Operate, cluster: Cluster, services: str, port: int
) -> None:
    conditions = [{"type": "PodScheduled", "status": "False", "message": NO_GPU}]
    status = {"status": {"conditions": conditions}}
    cluster.patch("v1", "Pod", "triton", services, status, subresource="status")
    async with answering(port, 200) as asked:
        with operate():
            bed.create(profile="ml")
            bed.create("bob", user="bob")
            session = await bed.until("ServicesReady", "False", "InferenceUnreachable")
            await bed.until("ServicesReady", "True", "Answered", name="bob")
    message = condition(session, "ServicesReady")["message"]
    assert message == (
        "the inference server taggers at http://127.0.0.1:1/v2/health/ready is not reached: "
        f"Connection refused; its pods: Unschedulable: {NO_GPU}"
    )
    assert {(request.method, request.path) for request in asked} == {
        ("GET", "/api/2.0/mlflow/experiments/search"),
        ("POST", "/token/refresh"),
    }
    assert "Services" not in condition(session, "Ready")["message"]


async def test_a_service_that_refuses_is_told_in_its_own_words(
    bed: Bed, operate: Operate, port: int
) -> None:
    async with answering(port, 401):
        with operate():
            bed.create()
            session = await bed.until("ServicesReady", "False", "TrackingRefused")
    message = condition(session, "ServicesReady")["message"]
    assert "the tracking server at" in message
    assert "ServiceX at" in message
    assert message.count("says 401: as told") == 2
    assert json.dumps(session).count("Bearer") == 0
