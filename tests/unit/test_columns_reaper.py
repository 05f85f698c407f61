"""What is over is taken away: transformers of no living request, rights of who has no session."""

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

from casita.columns import users
from casita.columns.cluster import ClusterError
from casita.columns.reaper import Reaper
from casita.columns.refusal import RefusedError
from casita.columns.settings import DatabaseAddress, Transformers
from tests.unit.columns_bed import Bed, add_request, bed, server

WHERE = "casita-transformers"
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{WHERE}/deployments"
CONFIGMAPS = f"/api/v1/namespaces/{WHERE}/configmaps"


@pytest.fixture(scope="module", name="address")
def _address() -> Iterator[DatabaseAddress]:
    with server() as found:
        yield found


@pytest.fixture(name="door")
async def _door(address: DatabaseAddress) -> AsyncIterator[Bed]:
    async with bed(address) as found:
        yield found


def reaper(door: Bed) -> Reaper:
    settings = Transformers(namespace=WHERE, max_seconds=3600, reap_after_seconds=600)
    return Reaper(door.cluster, door.database, door.sessions, settings, door.metrics)


def transformers(door: Bed, request: str, age: float = 7200) -> None:
    door.api.add(DEPLOYMENTS, f"transformer-{request}", age=age)
    door.api.add(CONFIGMAPS, f"{request}-generated-source", age=age)


def left(door: Bed) -> set[str]:
    return {*door.api.objects.get(DEPLOYMENTS, {}), *door.api.objects.get(CONFIGMAPS, {})}


def of(request: str) -> set[str]:
    return {f"transformer-{request}", f"{request}-generated-source"}


async def test_what_belongs_to_no_living_request_is_deleted_and_counted(door: Bed) -> None:
    door.api.session("alice", "a")
    await users.admit(door.database, "alice")
    running = await add_request(door.database, "alice", age=60)
    ended = await add_request(door.database, "alice", "canceled", age=3000, ended=700)
    just_ended = await add_request(door.database, "alice", "complete", age=3000, ended=10)
    unknown, young = str(uuid4()), str(uuid4())
    for request in (running, ended, just_ended, unknown):
        transformers(door, request)
    transformers(door, young, age=5)
    door.api.add(CONFIGMAPS, "kube-root-ca.crt", age=7200)
    await reaper(door).round()
    assert left(door) == of(running) | of(just_ended) | of(young) | {"kube-root-ca.crt"}
    value = door.metrics.registry.get_sample_value
    assert value("casita_columns_reaped_total", {"kind": "Deployment"}) == 2
    assert value("casita_columns_reaped_total", {"kind": "ConfigMap"}) == 2


async def test_a_request_that_never_ends_fails_in_time_and_says_why(door: Bed) -> None:
    door.api.session("alice", "a")
    await users.admit(door.database, "alice")
    stuck = await add_request(door.database, "alice", "lookup", age=3700)
    await reaper(door).round()
    ((status, words),) = await door.database.run(
        "SELECT status::text, failure_description FROM requests WHERE request_id = %s", stuck
    )
    assert status == "fatal"
    assert "not done within 3600 seconds" in words


async def test_nothing_is_taken_for_unknown_while_the_database_is_away(door: Bed) -> None:
    request = str(uuid4())
    transformers(door, request)
    await door.database.run("DROP TABLE requests")
    with pytest.raises(RefusedError):
        await reaper(door).round()
    assert left(door) == of(request)


async def test_nobody_is_withdrawn_while_the_kubernetes_api_is_away(door: Bed) -> None:
    await users.admit(door.database, "alice")
    door.api.away = True
    with pytest.raises(ClusterError):
        await reaper(door).round()
    assert await users.number(door.database, "alice") is not None


async def test_users_without_a_session_are_let_in_no_more_and_keep_their_requests(
    door: Bed,
) -> None:
    door.api.session("alice", "a")
    for user in ("alice", "bob", "carol"):
        await users.admit(door.database, user)
    request = await add_request(door.database, "bob")
    old = "UPDATE users SET updated_at = updated_at - interval '1 hour' WHERE sub <> 'carol'"
    await door.database.run(old)
    await reaper(door).round()
    assert await users.number(door.database, "alice") is not None
    assert await users.number(door.database, "bob") is None
    # She came a moment ago: her session may have been made after the list of sessions.
    assert await users.number(door.database, "carol") is not None
    assert door.metrics.registry.get_sample_value("casita_columns_users") == 2
    again = await users.admit(door.database, "bob")
    ((owner,),) = await door.database.run(
        "SELECT submitted_by FROM requests WHERE request_id = %s", request
    )
    assert owner == again


async def test_transformers_get_no_token_of_kubernetes(door: Bed) -> None:
    await reaper(door).round()
    ((path, patch),) = door.api.patches
    assert path == f"/api/v1/namespaces/{WHERE}/serviceaccounts/default"
    assert patch == {"automountServiceAccountToken": False, "imagePullSecrets": []}
