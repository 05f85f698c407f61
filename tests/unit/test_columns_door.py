"""The front door, on a real PostgreSQL: a user's sessions get in, and see what is theirs alone."""

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest
from aiohttp.test_utils import TestClient, TestServer

from casita.api.names import PROBE_USER
from casita.columns.__main__ import health
from casita.columns.settings import DatabaseAddress
from tests.unit.columns_bed import Bed, add_request, bearing, bed, server
from tests.unit.test_columns_submission import REQUEST


@pytest.fixture(scope="module", name="address")
def _address() -> Iterator[DatabaseAddress]:
    with server() as found:
        yield found


@pytest.fixture(name="door")
async def _door(address: DatabaseAddress) -> AsyncIterator[Bed]:
    async with bed(address) as found:
        yield found


async def message(door: Bed, method: str, path: str, token: str = "") -> tuple[int, str]:
    """Call, and return the answer's code and words."""
    answer = await door.client.request(method, path, headers=bearing(token) if token else {})
    return answer.status, str((await answer.json()).get("message", ""))


def refused(door: Bed, reason: str) -> float:
    found = door.metrics.registry.get_sample_value(
        "casita_columns_refusals_total", {"reason": reason}
    )
    assert found is not None
    return found


async def test_each_session_of_a_user_gets_in_by_its_own_token(door: Bed) -> None:
    first, second = (door.api.session("alice", name) for name in ("one", "two"))
    tokens = [await door.access_token("alice", each) for each in (first, second, first)]
    for token in tokens:
        answer = await door.client.get("/servicex/transformation", headers=bearing(token))
        assert answer.status == 200
    rows = await door.database.run("SELECT sub, email, admin, pending, refresh_token FROM users")
    assert list(rows) == [("alice", "alice", False, False, None)]


async def test_a_session_that_is_over_has_no_right_any_more(door: Bed) -> None:
    session = door.api.session("alice", "one")
    access = await door.access_token("alice", session)
    door.api.end("one")
    door.clock[0] += 11
    for method, path, token in (
        ("POST", "/token/refresh", door.refresh_token("alice", session)),
        ("GET", "/servicex/transformation", access),
        ("POST", "/servicex/transformation", access),
    ):
        status, words = await message(door, method, path, token)
        assert status == 401
        assert "session one is over" in words
    assert refused(door, "session-over") == 3
    assert door.app.seen[-1:] == []


async def test_a_session_made_anew_under_the_name_is_another(door: Bed) -> None:
    old = door.api.session("alice", "one")
    door.api.session("alice", "one")
    status, _ = await message(door, "POST", "/token/refresh", door.refresh_token("alice", old))
    assert status == 401
    elsewhere = old.replace("casita/", "kube-system/")
    token = door.refresh_token("alice", elsewhere)
    assert (await message(door, "POST", "/token/refresh", token))[0] == 401


async def test_while_the_kubernetes_api_is_away_users_work_on_for_minutes(door: Bed) -> None:
    session = door.api.session("alice", "one")
    token = await door.access_token("alice", session)
    door.api.away = True
    door.clock[0] += 200
    assert (await message(door, "GET", "/servicex/transformation", token))[0] == 200
    door.clock[0] += 200
    status, words = await message(door, "GET", "/servicex/transformation", token)
    assert (status, words) == (503, "the Kubernetes API does not answer; try again soon")


async def test_a_request_goes_on_as_it_was_understood_and_nothing_else_does(door: Bed) -> None:
    token = await door.access_token("alice", door.api.session("alice", "one"))
    answer = await door.client.post(
        "/servicex/transformation?image=docker.io/miner:1&workers=1000",
        json=REQUEST,
        headers={**bearing(token), "Cookie": "session=admin", "X-Forwarded-For": "1.2.3.4"},
    )
    assert answer.status == 200
    assert "Set-Cookie" not in answer.headers
    ((method, path, query, headers, body),) = door.app.seen
    assert (method, path, query) == ("POST", "/servicex/transformation", {})
    assert body == {**REQUEST, "workers": 20}
    assert headers["Authorization"] == f"Bearer {token}"
    assert not {"Cookie", "X-Forwarded-For"} & headers.keys()


async def test_a_request_that_is_too_large_is_refused_in_words(door: Bed) -> None:
    token = await door.access_token("alice", door.api.session("alice", "one"))
    answer = await door.client.post(
        "/servicex/transformation",
        json={**REQUEST, "selection": "x" * 30_000},
        headers=bearing(token),
    )
    assert answer.status == 413
    assert "20000 bytes" in (await answer.json())["message"]
    assert door.app.seen == []


async def test_users_see_and_end_their_own_requests_alone(door: Bed) -> None:
    alice = await door.access_token("alice", door.api.session("alice", "a"))
    bob = await door.access_token("bob", door.api.session("bob", "b"))
    mine = await add_request(door.database, "alice")
    paths = [
        f"/servicex/transformation/{mine}{part}"
        for part in ("", "/status", "/deployment-status", "/results", "/cancel")
    ]
    for path in paths:
        assert (await message(door, "GET", path, alice))[0] == 200
    seen = len(door.app.seen)
    for path in paths:
        status, words = await message(door, "GET", path, bob)
        assert status == 404
        assert "you have no transformation request" in words
    assert (await message(door, "DELETE", paths[0], bob))[0] == 404
    unknown = f"/servicex/transformation/{uuid4()}"
    assert (await message(door, "GET", unknown, bob))[0] == 404
    assert len(door.app.seen) == seen


async def test_of_a_sites_own_object_store_users_get_the_keys_that_servicex_has(
    door: Bed,
) -> None:
    alice = await door.access_token("alice", door.api.session("alice", "a"))
    request = await add_request(door.database, "alice")
    door.app.answer = {"minio-access-key": "ours", "minio-secret-key": "shared"}
    answer = await door.client.get(f"/servicex/transformation/{request}", headers=bearing(alice))
    assert await answer.json() == door.app.answer


async def test_a_list_is_of_ones_own_whatever_is_asked_for(door: Bed) -> None:
    await door.access_token("bob", door.api.session("bob", "b"))
    alice = await door.access_token("alice", door.api.session("alice", "a"))
    await message(door, "GET", "/servicex/transformation?submitted_by=1", alice)
    ((_, _, query, _, _),) = door.app.seen
    ((number,),) = await door.database.run("SELECT id FROM users WHERE sub = 'alice'")
    assert query == {"submitted_by": str(number)}


async def test_a_request_is_named_by_its_id_and_not_by_the_number_of_its_row(door: Bed) -> None:
    alice = await door.access_token("alice", door.api.session("alice", "a"))
    await add_request(door.database, "alice")
    for name in ("1", "..", "%2e%2e", "x%2Fstatus", "internal"):
        path = f"/servicex/transformation/{name}"
        assert (await door.client.get(path, headers=bearing(alice))).status == 404
    assert door.app.seen == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/servicex/internal/transformation/1/files", 403),
        ("PUT", "/servicex/internal/transformation/1/complete", 403),
        ("POST", "/servicex/internal/transformation/1/status", 403),
        ("GET", "/servicex/transformation/../internal/transformation/1/files", 403),
        ("GET", "/users", 404),
        ("DELETE", "/users", 404),
        ("POST", "/accept", 404),
        ("GET", "/pending", 404),
        ("POST", "/slack", 404),
        ("GET", "/sign-in", 404),
        ("GET", "/auth-callback", 404),
        ("GET", "/profile/new", 404),
        ("GET", "/global-dashboard", 404),
        ("GET", "/servicex/datasets", 404),
        ("GET", "/", 404),
        ("GET", "/token/refresh", 404),
    ],
)
async def test_what_is_not_for_sessions_ends_here(
    door: Bed, method: str, path: str, status: int
) -> None:
    token = await door.access_token("alice", door.api.session("alice", "a"))
    assert (await message(door, method, path, token))[0] == status
    assert door.app.seen == []


async def test_without_a_token_one_learns_which_servicex_this_is_and_no_more(door: Bed) -> None:
    assert (await message(door, "GET", "/servicex"))[0] == 200
    assert (await message(door, "GET", "/servicex/transformation"))[0] == 401
    assert (await message(door, "POST", "/servicex/transformation"))[0] == 401
    assert (await message(door, "POST", "/token/refresh"))[0] == 401
    assert refused(door, "no-token") == 3


async def test_a_servicex_without_tables_is_said_to_be_starting(door: Bed) -> None:
    session = door.api.session("alice", "a")
    await door.database.run("DROP TABLE requests")
    await door.database.run("DROP TABLE users")
    token = door.refresh_token("alice", session)
    status, words = await message(door, "POST", "/token/refresh", token)
    assert (status, words) == (503, "ServiceX is starting; try again soon")


async def test_a_broken_connection_to_the_database_is_made_anew(door: Bed) -> None:
    session = door.api.session("alice", "a")
    await door.access_token("alice", session)
    ((own,),) = await door.database.run("SELECT pg_backend_pid()")
    other = type(door.database)(door.database._address, "")
    await other.run("SELECT pg_terminate_backend(%s)", own)
    await other.close()
    await door.access_token("alice", session)


async def test_it_is_ready_when_servicex_has_its_tables_and_shows_what_it_counted(
    door: Bed,
) -> None:
    async with TestClient(TestServer(health(door.metrics, door.database))) as client:
        assert (await client.get("/readyz")).status == 200
        assert "casita_columns_users" in await (await client.get("/metrics")).text()
        await door.database.run("DROP TABLE requests")
        await door.database.run("DROP TABLE users")
        answer = await client.get("/readyz")
        assert (answer.status, await answer.text()) == (
            503,
            "ServiceX is starting; try again soon\n",
        )
        assert (await client.get("/healthz")).status == 200


async def test_the_operator_learns_whether_all_is_well_and_gets_no_access(door: Bed) -> None:
    session = f"casita-system/{PROBE_USER}/probe"
    answer = await door.client.post(
        "/token/refresh", headers=bearing(door.refresh_token(PROBE_USER, session))
    )
    assert answer.status == 200
    assert "access_token" not in await answer.json()
    assert await door.database.run("SELECT sub FROM users") == []
