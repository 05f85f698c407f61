"""Core hours as a table, from a server that answers like Prometheus' documented API."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from casita.operator import cli
from tests.cluster import ports

ROWS = [
    ({"user": "bob", "pool": "local"}, "2.5"),
    ({"user": "alice", "pool": "batch"}, "1200.25"),
    ({"user": "carol", "pool": "local"}, "0"),
    ({"pool": "local"}, "1"),
]


@dataclass
class Prometheus:
    """What it was asked, and what it answers."""

    url: str
    status: int = 200
    body: Any = None
    asked: list[dict[str, str]] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append({key: str(value) for key, value in (await request.post()).items()})
        self.tokens.append(request.headers.get("Authorization"))
        return web.json_response(self.body, status=self.status)

    def vector(self, *rows: tuple[dict[str, str], str]) -> None:
        result = [{"metric": labels, "value": [1_795_000_000.1, text]} for labels, text in rows]
        self.body = {"status": "success", "data": {"resultType": "vector", "result": result}}


@pytest.fixture
def prometheus() -> Iterator[Prometheus]:
    (port,) = ports.free(1)
    made = Prometheus(f"http://127.0.0.1:{port}/prefix/")
    made.vector(*ROWS)
    loop = asyncio.new_event_loop()

    async def start() -> web.AppRunner:
        application = web.Application()
        application.router.add_post("/prefix/api/v1/query", made.answer)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        return runner

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    runner = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    yield made
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


def usage(prometheus: Prometheus, *options: str) -> int:
    return cli.main(["usage", "--prometheus", prometheus.url, *options])


def test_the_table_has_the_most_first_and_a_sum(
    prometheus: Prometheus, capsys: pytest.CaptureFixture[str]
) -> None:
    assert usage(prometheus, "--by", "user,pool", "--since", "30d") == 0
    assert capsys.readouterr().out.splitlines() == [
        "USER   POOL   CORE HOURS",
        "alice  batch      1200.2",
        "bob    local         2.5",
        "-      local         1.0",
        "total             1203.8",
    ]
    (asked,) = prometheus.asked
    assert asked["query"] == (
        "sum by (user, pool) (increase(casita_worker_core_seconds_total[30d])) / 3600"
    )
    assert abs(float(asked["time"]) - datetime.now(UTC).timestamp()) < 60


def test_a_month_is_asked_for_by_its_dates(prometheus: Prometheus) -> None:
    assert usage(prometheus, "--since", "2026-10-01", "--until", "2026-11-01T00:00+00:00") == 0
    (asked,) = prometheus.asked
    assert f"[{31 * 86_400}s]" in asked["query"]
    assert float(asked["time"]) == datetime(2026, 11, 1, tzinfo=UTC).timestamp()


def test_another_program_gets_it_as_csv(
    prometheus: Prometheus, capsys: pytest.CaptureFixture[str]
) -> None:
    prometheus.vector(({"user": "alice", "group": 'odd "one", with comma'}, "0.12346"))
    assert usage(prometheus, "--by", "user,group", "--csv") == 0
    assert capsys.readouterr().out.splitlines() == [
        "user,group,core_hours",
        'alice,"odd ""one"", with comma",0.1235',
    ]


def test_nothing_used_says_what_may_be_wrong(
    prometheus: Prometheus, capsys: pytest.CaptureFixture[str]
) -> None:
    prometheus.vector()
    assert usage(prometheus) == 0
    said = capsys.readouterr()
    assert not said.out
    assert "casita-operator-metrics" in said.err


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (422, {"status": "error", "errorType": "execution", "error": "too much"}, "too much"),
        (401, "no", "bearer token"),
        (404, "no", "before /api/v1"),
        (200, {"status": "success", "data": {"resultType": "matrix", "result": []}}, "is this its"),
        (200, "<html>", "is this its"),
    ],
)
def test_an_error_ends_it_with_a_word_of_what_to_do(
    prometheus: Prometheus,
    capsys: pytest.CaptureFixture[str],
    status: int,
    body: Any,
    told: str,
) -> None:
    prometheus.status, prometheus.body = status, body
    assert usage(prometheus) == 1
    assert told in capsys.readouterr().err


def test_nobody_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    (port,) = ports.free(1)
    assert cli.main(["usage", "--prometheus", f"http://127.0.0.1:{port}"]) == 1
    assert "port-forward" in capsys.readouterr().err


def test_a_token_is_not_sent_in_the_clear(
    prometheus: Prometheus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = tmp_path / "token"
    token.write_text("secret-word\n")
    assert usage(prometheus, "--token-file", str(token)) == 1
    assert prometheus.asked == []
    said = capsys.readouterr().err
    assert "https://" in said
    assert "secret-word" not in said


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--by", "user,node"], "'node' is none of"),
        (["--since", "last week"], "a date is needed"),
        (["--since", "2026-11-01", "--until", "2026-10-01"], "is not before"),
        (["--prometheus", "localhost:9090"], "http:// or https://"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    prometheus: Prometheus, capsys: pytest.CaptureFixture[str], options: list[str], told: str
) -> None:
    with pytest.raises(SystemExit):
        usage(prometheus, *options)
    assert told in capsys.readouterr().err
    assert prometheus.asked == []
