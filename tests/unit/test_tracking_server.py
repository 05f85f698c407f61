"""MLflow behind casita's door, with a real hub: who gets in, and what they may do there."""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support import mlflow
from tests.support.mlflow import ADMIN, KEY, PREFIX, Tracking, bearer, token, visiting

ANONYMOUS: dict[str, str] = {}
API = "/api/2.0/mlflow"


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracking]:
    prepared = mlflow.prepare(tmp_path_factory.mktemp("tracking"))
    with mlflow.hub(prepared), mlflow.serving(prepared):
        yield prepared


async def ask(
    tracking: Tracking, method: str, path: str, headers: dict[str, str], body: Any = None
) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(
            method, tracking.url + path, headers=headers, json=body, allow_redirects=False
        ) as response,
    ):
        text = await response.text()
        try:
            return response.status, json.loads(text)
        except ValueError:
            return response.status, text


async def make_run(tracking: Tracking, user: str, **more: Any) -> dict[str, Any]:
    """Make an experiment of a user's own, and a run in it."""
    name = f"{user}-{time.monotonic_ns()}"
    status, made = await ask(
        tracking, "POST", f"{API}/experiments/create", bearer(user), {"name": name}
    )
    assert status == 200, made
    body = {"experiment_id": made["experiment_id"], "start_time": 1, **more}
    status, made = await ask(tracking, "POST", f"{API}/runs/create", bearer(user), body)
    assert status == 200, made
    run: dict[str, Any] = made["run"]
    return run


async def test_no_route_of_mlflow_answers_somebody_who_is_not_known(tracking: Tracking) -> None:
    routes = tracking.routes()
    paths = {path for _, path in routes}
    # Flask's and FastAPI's, so that neither kind is left out by a mistake here.
    assert len(routes) > 400
    assert f"{API}/runs/create" in paths
    assert "/api/2.0/mlflow-artifacts/artifacts/{artifact_path:path}" in paths
    assert "/v1/traces" in paths
    answered = {}
    async with aiohttp.ClientSession() as session:
        for method, path in routes:
            filled = re.sub(r"<[^>]+>|\{[^}]+\}", "1", path)
            for where in (PREFIX + filled, filled):
                url = f"http://127.0.0.1:{tracking.port}{where}"
                async with session.request(method, url, allow_redirects=False) as response:
                    answered[method, where] = response.status
    known = {"/health", f"{PREFIX}/health"}
    inside = {s for (_, path), s in answered.items() if path.startswith(PREFIX)}
    let_in = {key for key, status in answered.items() if status not in {401, 404}}
    assert {path for _, path in let_in} <= known
    assert 401 in inside
    assert not {key for key in answered if key[1].startswith(PREFIX)} & {
        key for key, status in answered.items() if status == 404
    }


@pytest.mark.parametrize(
    "made",
    [
        token("alice", exp=int(time.time()) - 60),
        token("alice", exp=None),
        token("alice", nbf=int(time.time()) + 3600),
        token("alice", nbf=None),
        token("alice", iss="elsewhere.example"),
        token("alice", aud="servicex"),
        token("alice", aud=["mlflow", "servicex"]),
        token("alice", aud=None),
        token("alice", key="0" * 64),
        token("Alice Smith"),
        token("_casita"),
        token("alice").rpartition(".")[0] + ".",
        "eyJhbGciOiJub25lIn0." + token("alice").split(".")[1] + ".",
        token("alice")[:-4] + "AAAA",
        "nonsense",
        "",
    ],
    ids=range(16),
)
async def test_a_token_that_the_operator_did_not_make_for_this_is_refused(
    tracking: Tracking, made: str
) -> None:
    headers = {"Authorization": f"Bearer {made}"}
    status, said = await ask(tracking, "GET", f"{API}/users/current", headers)
    assert (status, said["error_code"]) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Basic X2Nhc2l0YTpwYXNzd29yZDEyMzQ="},
        {"Authorization": f"token {KEY}"},
        {"X-Forwarded-User": "alice"},
        {"X-Remote-User": "alice", "Remote-User": "alice"},
        {"X-MLflow-Authorization": f"Bearer {token('alice')}"},
        {"Cookie": f"service-mlflow={token('alice')}"},
    ],
    ids=lambda headers: next(iter(headers)),
)
async def test_nobody_is_believed_by_any_other_header(
    tracking: Tracking, headers: dict[str, str]
) -> None:
    assert (await ask(tracking, "GET", f"{API}/users/current", headers))[0] == 401


async def test_a_name_in_a_header_does_not_change_whose_token_it_is(tracking: Tracking) -> None:
    spoofed = {**bearer("bob"), "X-Forwarded-User": "alice", "X-Remote-User": "alice"}
    _, said = await ask(tracking, "GET", f"{API}/users/current", spoofed)
    assert said["user"]["username"] == "bob"


async def test_a_user_is_there_when_first_seen_and_is_no_admin(tracking: Tracking) -> None:
    found = await asyncio.gather(
        *(ask(tracking, "GET", f"{API}/users/current", bearer("newcomer")) for _ in range(5))
    )
    assert [status for status, _ in found] == [200] * 5
    assert found[0][1]["user"]["is_admin"] is False


async def test_a_run_bears_the_name_of_who_made_it(tracking: Tracking) -> None:
    run = await make_run(
        tracking,
        "alice",
        user_id="mallory",
        tags=[{"key": "mlflow.user", "value": "mallory"}],
    )
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    assert (run["info"]["user_id"], tags["mlflow.user"]) == ("alice", "alice")
    said = {"run_id": run["info"]["run_id"], "key": "mlflow.user", "value": "mallory"}
    assert (await ask(tracking, "POST", f"{API}/runs/set-tag", bearer("alice"), said))[0] == 200
    where = f"{API}/runs/get?run_id={run['info']['run_id']}"
    _, found = await ask(tracking, "GET", where, bearer("alice"))
    tags = {tag["key"]: tag["value"] for tag in found["run"]["data"]["tags"]}
    assert tags["mlflow.user"] == "alice"


async def test_everybody_reads_a_run_and_only_its_owner_changes_it(tracking: Tracking) -> None:
    run = await make_run(tracking, "bob")
    number, experiment = run["info"]["run_id"], run["info"]["experiment_id"]
    alice = bearer("alice")
    assert (await ask(tracking, "GET", f"{API}/runs/get?run_id={number}", alice))[0] == 200
    for path, body in (
        ("runs/delete", {"run_id": number}),
        ("runs/update", {"run_id": number, "status": "FAILED"}),
        ("runs/set-tag", {"run_id": number, "key": "a", "value": "b"}),
        ("runs/log-metric", {"run_id": number, "key": "m", "value": 1, "timestamp": 1}),
        ("runs/log-batch", {"run_id": number, "params": [{"key": "a", "value": "b"}]}),
        ("runs/create", {"experiment_id": experiment}),
        ("experiments/delete", {"experiment_id": experiment}),
        ("experiments/update", {"experiment_id": experiment, "new_name": "mine"}),
    ):
        status, said = await ask(tracking, "POST", f"{API}/{path}", alice, body)
        assert status == 403, (path, said)
    path = f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/{number}/artifacts/x"
    assert (await ask(tracking, "PUT", path, alice, "x"))[0] == 403
    assert (await ask(tracking, "PUT", path, bearer("bob"), "x"))[0] == 200
    assert (await ask(tracking, "GET", path, alice))[0] == 200


async def test_artifacts_are_nowhere_but_where_the_server_keeps_them(tracking: Tracking) -> None:
    for place in ("file:///etc", "s3://else/where", "mlflow-artifacts:/1", str(tracking.folder)):
        for name in ("artifact_location", "artifactLocation"):
            body = {"name": f"escape-{time.monotonic_ns()}", name: place}
            where = f"{API}/experiments/create"
            status, said = await ask(tracking, "POST", where, bearer("alice"), body)
            assert (status, said["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), said
    climb = "/api/2.0/mlflow-artifacts/artifacts/..%2f..%2fusers.db"
    assert (await ask(tracking, "GET", climb, bearer("alice")))[0] in {400, 403, 404}


async def test_a_model_that_is_said_to_be_elsewhere_is_not_read_there(tracking: Tracking) -> None:
    alice, name = bearer("alice"), f"model-{time.monotonic_ns()}"
    body = {"name": name}
    where = f"{API}/registered-models/create"
    assert (await ask(tracking, "POST", where, alice, body))[0] == 200
    version = {"name": name, "source": "s3://others/secrets"}
    where = f"{API}/model-versions/create"
    assert (await ask(tracking, "POST", where, alice, version))[0] == 200
    where = f"/model-versions/get-artifact?name={name}&version=1&path=x"
    status, said = await ask(tracking, "GET", where, alice)
    assert (status, "not where this server keeps artifacts" in str(said)) == (400, True), said
    local = {"name": name, "source": str(tracking.folder)}
    where = f"{API}/model-versions/create"
    assert (await ask(tracking, "POST", where, alice, local))[0] == 400


@pytest.mark.parametrize(
    "path",
    [
        "/gateway/mlflow/v1/chat/completions",
        "/ajax-api/3.0/mlflow/gateway/secrets/create",
        "/ajax-api/3.0/mlflow/assistant/message",
        "/api/2.0/mlflow/webhooks",
        "/ajax-api/3.0/jobs",
        "/api/2.0/mlflow/users/create",
        "/signup",
    ],
)
async def test_what_would_call_others_or_make_accounts_is_closed(
    tracking: Tracking, path: str
) -> None:
    for method in ("GET", "POST"):
        assert (await ask(tracking, method, path, bearer("alice")))[0] == 404


async def test_pages_learn_that_there_is_no_gateway_and_show_no_error(tracking: Tracking) -> None:
    path = "/ajax-api/2.0/mlflow/gateway-proxy?gateway_path=api%2F2.0%2Fendpoints%2F"
    answer = await ask(tracking, "GET", path, bearer("alice"))
    assert answer == (200, {"endpoints": []})
    assert (await ask(tracking, "POST", path, bearer("alice")))[0] == 404


async def test_a_new_key_is_taken_at_once_and_the_old_one_no_more(tracking: Tracking) -> None:
    file = tracking.folder / "token-key"
    newer = {"Authorization": f"Bearer {token('alice', key='f' * 64)}"}
    try:
        file.write_text("f" * 64)
        assert (await ask(tracking, "GET", f"{API}/users/current", newer))[0] == 200
        assert (await ask(tracking, "GET", f"{API}/users/current", bearer("alice")))[0] == 401
        file.write_text("")
        assert (await ask(tracking, "GET", f"{API}/users/current", newer))[0] == 503
    finally:
        file.write_text(KEY)


async def test_a_browser_logs_in_by_the_hub_and_comes_back_to_its_page(tracking: Tracking) -> None:
    async with visiting(tracking, "alice") as browser:
        status, text, where = await browser.open(f"{PREFIX}/?workspace=x")
        assert (status, where) == (200, f"{PREFIX}/?workspace=x")
        assert "MLflow" in text
        _, said, _ = await browser.ask("GET", f"{PREFIX}/ajax-api/2.0/mlflow/users/current")
        assert json.loads(said)["user"] == {
            "id": json.loads(said)["user"]["id"],
            "username": "alice",
            "is_admin": False,
        }
        cookie = browser.cookies()["service-mlflow"]
        assert (cookie["path"], cookie["samesite"].lower()) == (f"{PREFIX}/", "lax")
        assert cookie["httponly"]
        assert not [name for name in browser.cookies() if "login-" in name]


async def test_a_browser_and_a_session_of_one_person_are_one_user(tracking: Tracking) -> None:
    from casita.hub.names import session_user

    name = "Anna.Smith@example.org".lower()
    async with visiting(tracking, name) as browser:
        await browser.open(f"{PREFIX}/")
        _, said, _ = await browser.ask("GET", f"{PREFIX}/ajax-api/2.0/mlflow/users/current")
    assert json.loads(said)["user"]["username"] == session_user(name)


async def test_a_hubs_admin_is_one_in_a_browser_and_not_by_a_token(tracking: Tracking) -> None:
    run = (await make_run(tracking, "bob"))["info"]["run_id"]
    async with visiting(tracking, ADMIN) as browser:
        await browser.open(f"{PREFIX}/")
        headers = {"Origin": tracking.origin}
        where = f"{PREFIX}/ajax-api/2.0/mlflow/runs/set-tag"
        body = {"run_id": run, "key": "checked", "value": "yes"}
        assert (await browser.ask("POST", where, headers, json=body))[0] == 200
    assert (await ask(tracking, "POST", f"{API}/runs/set-tag", bearer(ADMIN), body))[0] == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "same-site", "Origin": "https://evil.example"},
    ],
)
async def test_a_page_of_another_site_changes_nothing(
    tracking: Tracking, headers: dict[str, str]
) -> None:
    async with visiting(tracking, "alice") as browser:
        await browser.open(f"{PREFIX}/")
        where = f"{PREFIX}/ajax-api/2.0/mlflow/experiments/create"
        body = {"name": f"forged-{time.monotonic_ns()}"}
        assert (await browser.ask("POST", where, headers, json=body))[0] == 403
        own = {"Origin": tracking.origin, "Sec-Fetch-Site": "same-origin"}
        assert (await browser.ask("POST", where, own, json=body))[0] == 200


async def test_a_login_that_another_browser_began_is_refused(tracking: Tracking) -> None:
    async with visiting(tracking, "alice") as one, visiting(tracking, "bob") as other:
        _, _, headers = await one.ask("GET", f"{PREFIX}/", {"Accept": "text/html"})
        _, _, headers = await one.ask("GET", headers["Location"])
        callback = headers["Location"]
        assert callback.startswith(f"{PREFIX}/oauth_callback?")
        assert (await other.ask("GET", callback))[0] == 403
        forged = callback.replace("state=", "state=x")
        assert (await one.ask("GET", forged))[0] == 403
        assert (await one.ask("GET", callback))[0] == 302


async def test_whom_the_hub_does_not_know_any_more_is_out_soon(tracking: Tracking) -> None:
    async with visiting(tracking, "leaver") as browser:
        await browser.open(f"{PREFIX}/")
        where = f"{PREFIX}/ajax-api/2.0/mlflow/users/current"
        assert (await browser.ask("GET", where))[0] == 200
        assert await mlflow.hub_api(tracking, "DELETE", "/users/leaver") == 204
        deadline = time.monotonic() + 60
        while (await browser.ask("GET", where))[0] != 401:
            assert time.monotonic() < deadline, "still in after a minute"
            await asyncio.sleep(1)


SCRIPT = """
import mlflow, pathlib, sys

with mlflow.start_run() as run:
    mlflow.log_param("bins", 40)
    mlflow.log_metric("significance", 5.1)
    pathlib.Path("plot.txt").write_text("a plot")
    mlflow.log_artifact("plot.txt")
found = mlflow.get_run(run.info.run_id)
name = mlflow.get_experiment(found.info.experiment_id).name
text = mlflow.artifacts.load_text(f"{found.info.artifact_uri}/plot.txt")
print(name, found.info.user_id, found.data.metrics, text, sep="|")
mlflow.set_tracking_uri(sys.argv[1])
try:
    mlflow.MlflowClient().search_experiments()
except Exception as error:
    print(error)
"""


async def test_a_sessions_client_logs_a_run_and_tells_its_token_to_no_other_server(
    tracking: Tracking, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(token("dora") + "\n")
    info = tmp_path / "plugins/casita-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: casita\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(
        "[mlflow.request_auth_provider]\ncasita = casita.access.tracking:TokenAuthProvider\n"
        "[mlflow.default_experiment_provider]\n"
        "casita = casita.access.tracking:OwnExperimentProvider\n"
    )
    environment = tracking.environment()
    environment |= {
        "PYTHONPATH": f"{tmp_path}/plugins:{environment['PYTHONPATH']}",
        "MLFLOW_TRACKING_URI": tracking.url,
        "MLFLOW_TRACKING_AUTH": "casita",
        "CASITA_MLFLOW_TOKEN_FILE": str(tmp_path / "token"),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    }
    seen: list[str] = []

    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    listening = await asyncio.start_server(other, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with listening:
        script = [sys.executable, "-c", SCRIPT, f"http://127.0.0.1:{port}"]
        ran = await asyncio.to_thread(
            subprocess.run,
            script,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-2] == "dora|dora|{'significance': 5.1}|a plot"
    assert seen
    assert not [text for text in seen if "authorization" in text.lower()]
