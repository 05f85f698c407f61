"""Servers as the hub tells of them, when they end, and whose a session is."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casita.hub.names import session_name, session_user
from casita.hub.sessions import Wanted, new_session
from casita.hub.status.servers import Limits, Server, ends, owner_at_hub, servers_of

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
NAMES = st.text(min_size=1, max_size=40) | st.sampled_from(("alice", "Alice", "alice@x.org"))
SERVERS = st.text(max_size=20) | st.sampled_from(("", "second", "a--b"))
TIMES = st.datetimes(timezones=st.just(UTC)).filter(lambda found: found.year < 9000)
SPANS = st.none() | st.timedeltas(timedelta(seconds=1), timedelta(days=30))


def told(**server: Any) -> dict[str, Any]:
    """Return a server as JupyterHub's API tells of it."""
    return {
        "name": "",
        "ready": True,
        "pending": None,
        "url": "/user/alice/",
        "started": "2026-01-01T11:00:00.000000Z",
        "last_activity": "2026-01-01T12:00:00.000000Z",
        "user_options": {"profile": "cms"},
        **server,
    }


def made(user: str, server: str = "") -> dict[str, Any]:
    """Return the session that the hub makes for a server."""
    names = (session_name(user, server), session_user(user))
    return new_session(Wanted("casita", *names, "default", "run", "casita", user, server))


def test_a_server_is_known_by_its_session() -> None:
    users = [
        {"name": "alice", "servers": {"": told(), "second": told(url="/user/alice/second/")}},
        {"name": "bob.smith@x.org", "servers": {"": told()}},
    ]
    found = servers_of(users)
    assert set(found) == {"alice", "alice--second", session_name("bob.smith@x.org")}
    assert found["alice"] == Server(
        user="alice",
        name="",
        ready=True,
        url="/user/alice/",
        started=NOON - HOUR,
        last_activity=NOON,
        options={"profile": "cms"},
    )


@pytest.mark.parametrize("pending", ["spawn", "stop", "check"])
def test_a_server_on_its_way_is_there_and_not_ready(pending: str) -> None:
    found = servers_of([{"name": "alice", "servers": {"": told(ready=False, pending=pending)}}])
    assert not found["alice"].ready


def test_a_server_that_is_down_is_not_there() -> None:
    down = told(ready=False, stopped=True)
    users = [{"name": "alice", "servers": {"": down}}, {"name": "bob", "servers": {}}]
    assert servers_of([*users, {"name": "carol"}, {"name": "dan", "servers": None}]) == {}


def test_what_the_hub_does_not_know_yet_is_left_out() -> None:
    bare = told(started=None, last_activity=None, url=None, user_options=None)
    found = servers_of([{"name": "alice", "servers": {"": bare}}])["alice"]
    assert (found.started, found.last_activity, found.url, found.options) == (None, None, "", {})


@given(st.lists(st.tuples(NAMES, SERVERS), unique=True, max_size=5))
def test_no_server_hides_another(pairs: list[tuple[str, str]]) -> None:
    users = [{"name": user, "servers": {server: told()}} for user, server in pairs]
    found = servers_of(users)
    assert {(server.user, server.name) for server in found.values()} == set(pairs)
    assert all(server.session == name for name, server in found.items())


def server(started: datetime | None = NOON, used: datetime | None = None) -> Server:
    return Server("alice", "", ready=True, url="", started=started, last_activity=used)


def test_a_server_ends_for_what_comes_first() -> None:
    both = Limits(idle=2 * HOUR, age=24 * HOUR)
    assert ends(server(used=NOON + HOUR), both) == (NOON + 3 * HOUR, "for want of use")
    assert ends(server(used=NOON + 23 * HOUR), both) == (NOON + 24 * HOUR, "for its age")


def test_what_was_never_used_is_unused_since_its_start() -> None:
    assert ends(server(), Limits(idle=HOUR)) == (NOON + HOUR, "for want of use")


def test_without_limits_or_times_no_end_is_known() -> None:
    assert ends(server(used=NOON), Limits()) is None
    assert ends(server(started=None), Limits(HOUR, HOUR)) is None


@given(TIMES, st.none() | TIMES, SPANS, SPANS)
def test_use_never_brings_the_end_nearer_and_nothing_outlives_the_age(
    started: datetime, used: datetime | None, idle: timedelta | None, age: timedelta | None
) -> None:
    limits = Limits(idle, age)
    end = ends(server(started, used), limits)
    assert (end is None) == (idle is None and age is None)
    if end is None:
        return
    if age is not None:
        assert end[0] <= started + age
    later = ends(server(started, (used or started) + HOUR), limits)
    assert later is not None
    assert later[0] >= end[0]


@given(NAMES, SERVERS)
def test_a_session_of_a_server_is_its_users(user: str, name: str) -> None:
    assert owner_at_hub(made(user, name)) == (user, name)


def test_a_session_made_by_hand_is_no_servers() -> None:
    by_hand = made("alice")
    del by_hand["metadata"]["annotations"]
    assert owner_at_hub(by_hand) is None
    for missing in ("hub-user", "hub-server"):
        half = made("alice")
        del half["metadata"]["annotations"][f"casita.dev/{missing}"]
        assert owner_at_hub(half) is None


@given(NAMES, SERVERS, NAMES, SERVERS)
def test_no_session_can_say_that_it_is_of_anothers_server(
    user: str, name: str, victim: str, theirs: str
) -> None:
    """Whatever stands in its annotations, it acts at most on servers of its own user and name."""
    forged = made(user, name)
    forged["metadata"]["annotations"] = made(victim, theirs)["metadata"]["annotations"]
    found = owner_at_hub(forged)
    assert found == ((user, name) if (user, name) == (victim, theirs) else None)


@pytest.mark.parametrize("field", ["user", "name"])
def test_the_name_alone_or_the_user_alone_proves_nothing(field: str) -> None:
    forged = made("bob")
    if field == "user":  # bob's server has this session's name, but not its user
        forged["spec"]["user"] = "alice"
    else:
        forged["metadata"]["name"] = "another"
    assert owner_at_hub(forged) is None
