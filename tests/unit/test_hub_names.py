"""Whoever logs in, however they are called, is one user of sessions and nobody else's."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casita.api.names import RESERVED_USERS, USER_PATTERN, session_host
from casita.hub.names import session_name, session_user

SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
NAMES = st.text(min_size=1, max_size=300) | st.from_regex(USER_PATTERN, fullmatch=True)


@pytest.mark.parametrize("name", ["alice", "bob7", "a_b", "x-y"])
def test_what_is_a_users_name_already_stays_as_it_is(name: str) -> None:
    assert session_user(name) == name


@pytest.mark.parametrize(
    "name",
    ["alice.smith@example.org", "Alice", "zoë", "1abc", "a" * 200, "@", "-", *RESERVED_USERS],
)
def test_any_other_name_becomes_one_that_pool_and_cache_accept(name: str) -> None:
    user = session_user(name)
    assert re.fullmatch(USER_PATTERN, user)
    assert user not in RESERVED_USERS
    assert user != name


def test_the_same_local_part_of_two_providers_is_two_users() -> None:
    users = {session_user(name) for name in ("alice", "alice@a.example", "alice@b.example")}
    assert len(users) == 3


@given(NAMES, NAMES)
def test_two_names_are_never_one_user(one: str, other: str) -> None:
    assert (session_user(one) == session_user(other)) == (one == other)


@given(NAMES)
def test_nobody_can_be_called_like_anothers_user(name: str) -> None:
    user = session_user(name)
    assert re.fullmatch(USER_PATTERN, user)
    assert user == name or session_user(user) != user


@given(st.tuples(NAMES, st.text(max_size=100)), st.tuples(NAMES, st.text(max_size=100)))
def test_two_servers_never_have_one_session(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (session_name(*one) == session_name(*other)) == (one == other)


@given(NAMES, st.text(max_size=100))
def test_every_server_has_a_session_that_kubernetes_and_dns_take(name: str, server: str) -> None:
    found = session_name(name, server)
    assert SUBDOMAIN.match(found)
    assert len(found) <= 253
    assert len(session_host("casita", found, "af.test").partition(".")[0]) <= 63


def test_names_are_readable() -> None:
    assert session_name("alice") == "alice"
    assert session_name("alice", "second") == "alice--second"
    assert session_user("alice.smith@example.org").startswith("alice-smith-example-o")
