"""Services are asked as sessions need them, and what is wrong is told in their own words."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web

from casita.api.names import PROBE_USER
from casita.clients.checking.request import CheckAnswer, CheckReason, Pods, ServiceCheck
from casita.clients.checking.service import check_service
from casita.clients.errors import ApiError
from casita.clients.kubernetes import KubernetesClient
from casita.credentials import mlflow, servicex
from casita.sessions.checks import COLUMNS, TRACKING, inference_part
from casita.sessions.service_checks import check_part, pods_trouble
from casita.sessions.site_checks import site_checks
from tests.cluster import ports
from tests.unit.sessions_site import VALUES, with_site

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROOT = bytes(range(32))
TOKEN = "a-token-that-nobody-may-read"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    (port,) = ports.free(1)
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


async def ask(
    status: int, text: str = "", token: str = TOKEN, method: str = "GET"
) -> tuple[CheckAnswer, web.Request]:
    """Ask a service that answers like this; return what it was asked, too."""
    asked: list[web.Request] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request)
        return web.Response(status=status, text=text, headers={"Location": "/elsewhere"})

    async with serving(answer) as url:
        found = await check_service(ServiceCheck("the service", f"{url}/a?b=1", method, token))
    (request,) = asked
    return found, request


async def test_a_service_that_answers_is_asked_once_with_the_token() -> None:
    found, request = await ask(200, method="POST")
    assert found.reason is CheckReason.ANSWERED
    assert (request.method, request.path_qs) == ("POST", "/a?b=1")
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"


async def test_without_a_token_none_is_shown() -> None:
    assert "Authorization" not in (await ask(200, token=""))[1].headers


@pytest.mark.parametrize(
    ("status", "text", "reason", "words"),
    [
        (401, '{"message": "who are you"}', CheckReason.TOKEN_REFUSED, "says 401: who are you"),
        (403, "no\n  way", CheckReason.TOKEN_REFUSED, "says 403: no way"),
        (422, '{"msg": "verification failed"}', CheckReason.TOKEN_REFUSED, "verification failed"),
        (302, "", CheckReason.NOT_UNDERSTOOD, "says 302"),
        (404, "", CheckReason.NOT_UNDERSTOOD, "says 404"),
        (500, '{"error_code": 1}', CheckReason.NOT_UNDERSTOOD, 'says 500: {"error_code": 1}'),
        (503, '{"error": "no database"}', CheckReason.NOT_UNDERSTOOD, "says 503: no database"),
    ],
)
async def test_what_it_says_is_told(
    status: int, text: str, reason: CheckReason, words: str
) -> None:
    found, _ = await ask(status, text)
    assert found.reason is reason
    assert found.message.startswith("the service at http://127.0.0.1:")
    assert found.message.endswith(words)


async def test_without_a_token_nothing_is_refused() -> None:
    assert (await ask(401, token=""))[0].reason is CheckReason.NOT_UNDERSTOOD


async def test_no_token_and_no_long_page_comes_into_a_message() -> None:
    found, _ = await ask(500, f"{TOKEN} {'x' * 5000}")
    assert TOKEN not in found.message
    assert len(found.message) < 500


async def test_a_service_that_is_not_there_is_told_in_the_same_words_each_time() -> None:
    (port,) = ports.free(1)
    check = ServiceCheck("the service", f"http://127.0.0.1:{port}/")
    one, other = [await check_service(check) for _ in range(2)]
    assert (one.reason, one.message) == (other.reason, other.message)
    assert one.reason is CheckReason.UNREACHABLE
    assert one.message.endswith("is not reached: Connection refused")


async def test_a_service_that_hangs_costs_the_time_limit_and_no_more() -> None:
    async def hang(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(30)
        return web.Response()

    async with serving(hang) as url:
        found = await check_service(ServiceCheck("the service", url), 0.3)
    assert found.reason is CheckReason.NO_ANSWER
    assert found.message.endswith("gives no answer within 0.3 s")
    assert found.seconds < 2


def pod(conditions: Any = (), containers: Any = (), **metadata: Any) -> dict[str, Any]:
    status = {"conditions": list(conditions), "containerStatuses": list(containers)}
    return {"metadata": {"name": "triton-x", **metadata}, "status": status}


def waits(reason: str, message: str = "", **last: Any) -> dict[str, Any]:
    waiting = {"reason": reason, "message": message}
    ended = {"lastState": {"terminated": last}} if last else {}
    return {"name": "triton", "ready": False, "state": {"waiting": waiting}, **ended}


NO_GPU = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu"
UNSCHEDULABLE = pod([{"type": "PodScheduled", "status": "False", "message": NO_GPU}])


@pytest.mark.parametrize(
    ("pods", "told"),
    [
        ([], "it has no pod"),
        ([UNSCHEDULABLE, UNSCHEDULABLE], f"its pods: Unschedulable: {NO_GPU}"),
        ([pod(containers=[waits("ImagePullBackOff", "none")])], "its pods: ImagePullFailed: none"),
        ([pod(deletionTimestamp="now")], "it has no pod"),
        ([pod(containers=[waits("CrashLoopBackOff")])], "its pods: Failed: CrashLoopBackOff"),
        ([pod(containers=[waits("ContainerCreating")]), UNSCHEDULABLE], "; Unschedulable: "),
    ],
)
def test_why_pods_are_not_up_is_told_once_for_all(pods: list[dict[str, Any]], told: str) -> None:
    assert told in pods_trouble(pods)


class ApiServer(KubernetesClient):
    """An API server that knows pods, or does not answer."""

    def __init__(self, answer: dict[str, Any] | ApiError) -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def list_page(self, path: str, accept: str) -> dict[str, Any]:
        assert accept == "application/json"
        self.asked.append(path)
        if isinstance(self.answer, ApiError):
            raise self.answer
        return self.answer


LABELS = {"app.kubernetes.io/name": "triton", "app.kubernetes.io/component": "taggers"}


async def not_ready(_: web.Request) -> web.StreamResponse:
    return web.Response(status=400)


async def test_pods_are_looked_at_only_when_the_server_does_not_answer() -> None:
    async def ready(_: web.Request) -> web.StreamResponse:
        return web.Response()

    client = ApiServer({"items": [UNSCHEDULABLE]})
    async with serving(ready) as url:
        answer = await check_part(ServiceCheck("a", url, pods=Pods("triton", LABELS)), client)
    assert answer.ok
    assert client.asked == []
    async with serving(not_ready) as url:
        answer = await check_part(ServiceCheck("a", url, pods=Pods("triton", LABELS)), client)
    assert answer.message.endswith(f"says 400; its pods: Unschedulable: {NO_GPU}")
    (asked,) = client.asked
    assert asked.startswith(
        "/api/v1/namespaces/triton/pods?labelSelector=app.kubernetes.io/name%3D"
    )


async def test_an_api_server_that_refuses_leaves_the_servers_own_words() -> None:
    client = ApiServer(ApiError("list pods", 403, "Forbidden"))
    async with serving(not_ready) as url:
        answer = await check_part(ServiceCheck("a", url, pods=Pods("triton", LABELS)), client)
    assert "says 400; why its pods are not up is not known: list pods: 403" in answer.message


PROFILES = [{**VALUES["profiles"][0], "inference": "taggers"}]
SERVER = {"name": "taggers", "url": "gateway:8001", "healthUrl": "http://triton:8000"}
SITE = with_site(
    profiles=PROFILES,
    inference={"servers": [SERVER, {"name": "other", "url": "x:1"}], "namespace": "triton"},
    tracking={"url": "http://mlflow:5000/services/mlflow", "namespace": "m", "secret": "s"},
    columns={"url": "http://servicex:5000", "namespace": "x", "secret": "s"},
)


def test_each_service_of_the_charts_own_is_asked_what_sessions_need_of_it() -> None:
    checks = site_checks(SITE, lambda: NOW, os.urandom, ROOT)
    assert set(checks) == {inference_part("taggers"), TRACKING, COLUMNS}
    asked = {name: prepare() for name, prepare in checks.items()}
    triton, tracking, columns = (asked[name] for name in ("inference/taggers", TRACKING, COLUMNS))
    assert isinstance(triton, ServiceCheck)
    assert (triton.url, triton.pods) == (
        "http://triton:8000/v2/health/ready",
        Pods("triton", LABELS),
    )
    assert isinstance(tracking, ServiceCheck)
    assert tracking.url == (
        "http://mlflow:5000/services/mlflow/api/2.0/mlflow/experiments/search?max_results=1"
    )
    key = mlflow.derive_key(ROOT)
    assert mlflow.verify(key, tracking.token, "af.test", PROBE_USER).issued_at == NOW
    assert isinstance(columns, ServiceCheck)
    assert (columns.method, columns.url) == ("POST", "http://servicex:5000/token/refresh")
    holder = servicex.Holder("af.test", PROBE_USER, "casita-system/casita-probe/probe")
    servicex.verify(servicex.derive_key(ROOT), columns.token, holder)
    assert columns.token not in repr(columns)


def test_services_of_somebody_else_are_not_asked() -> None:
    site = with_site(tracking={"url": "https://a"}, columns={"url": "https://b"})
    assert site_checks(site, lambda: NOW, os.urandom) == {}
