"""A model that cannot be used is told by name, with the reason that its server has for it."""

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from casita.monitoring.triton import (
    LONGEST_REASON,
    NO_VERSION,
    NoIndexError,
    application,
    read_index,
)

INDEX = [
    {"name": "dimuon", "version": "1", "state": "READY"},
    {"name": "top", "version": "2", "state": "UNAVAILABLE", "reason": 'no "torch"\n\nAt:\n  1.py'},
    {"name": "old", "version": "1", "state": "UNAVAILABLE", "reason": "unloaded"},
    {"name": "new", "version": "1", "state": "LOADING"},
    {"name": "nonsense"},
]
"""As Triton 2.51 answers."""

Answer = Callable[[web.Request], Coroutine[Any, Any, web.Response]]
Client = TestClient[web.Request, web.Application]


async def index(_: web.Request) -> web.Response:
    return web.json_response(INDEX)


async def refuse(_: web.Request) -> web.Response:
    raise web.HTTPServiceUnavailable


async def speak_otherwise(_: web.Request) -> web.Response:
    return web.Response(text="<html>")


async def scraped(answer: Answer) -> str:
    """Return what Prometheus gets while a server answers so."""
    triton = web.Application()
    triton.router.add_post("/v2/repository/index", answer)
    async with (
        TestServer(triton) as server,
        TestClient(TestServer(application(str(server.make_url("")).rstrip("/")))) as client,
    ):
        response = await client.get("/metrics")
        assert response.status == 200
        return await response.text()


@pytest.fixture
async def beside_nothing() -> AsyncIterator[Client]:
    """Beside a server that is not there."""
    async with TestClient(TestServer(application("http://127.0.0.1:1"))) as client:
        yield client


async def test_each_model_is_ready_or_not() -> None:
    text = await scraped(index)
    assert "casita_triton_up 1.0" in text
    assert 'casita_triton_model_ready{model="dimuon",version="1"} 1.0' in text
    for name, version in (("top", "2"), ("old", "1"), ("new", "1"), ("nonsense", "")):
        assert f'casita_triton_model_ready{{model="{name}",version="{version}"}} 0.0' in text


async def test_a_model_that_is_not_says_why_in_one_line() -> None:
    text = await scraped(index)
    reasons = [
        line for line in text.splitlines() if line.startswith("casita_triton_model_trouble{")
    ]
    assert len(reasons) == 4
    assert r'reason="no \"torch\" At: 1.py"' in text
    assert 'reason="loading"' in text
    assert f'reason="{NO_VERSION}"' in text


def test_a_long_reason_is_cut() -> None:
    (model,) = read_index(
        [{"name": "a", "version": "1", "state": "UNAVAILABLE", "reason": "x" * 999}]
    )
    assert len(model.reason) == LONGEST_REASON


@pytest.mark.parametrize("answer", [refuse, speak_otherwise])
async def test_a_server_that_does_not_answer_as_triton_is_down(answer: Answer) -> None:
    text = await scraped(answer)
    assert "casita_triton_up 0.0" in text
    assert "casita_triton_model_ready{" not in text


async def test_a_server_that_is_away_is_down_and_is_told_once(
    beside_nothing: Client, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        text = await (await beside_nothing.get("/metrics")).text()
        assert "casita_triton_up 0.0" in text
    assert (await beside_nothing.get("/healthz")).status == 200
    assert len(caplog.records) == 1


async def test_nothing_else_of_the_server_is_reached_through_it(beside_nothing: Client) -> None:
    for path in ("/v2/repository/index", "/v2/health/ready", "/v2/models/dimuon"):
        assert (await beside_nothing.get(path)).status == 404
        assert (await beside_nothing.post(path)).status in {404, 405}


@pytest.mark.parametrize("answer", [None, {}, "x", [1], [["a"]]])
def test_what_is_no_index_is_not_taken_for_an_empty_one(answer: object) -> None:
    with pytest.raises(NoIndexError):
        read_index(answer)
