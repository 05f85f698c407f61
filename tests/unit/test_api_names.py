"""Names that sessions get: valid for every input, different for different inputs, and stable."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from casita.api.names import (
    MAX_POOL_WORKERS,
    RESERVED_USERS,
    USER_PATTERN,
    service_host,
    session_host,
    slug,
)
from casita.api.session import SessionSpec
from tests.golden import Golden

LABEL = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
MAX_SLUG = 39
MAX_LABEL = 63

namespaces = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)
# Names of objects are DNS subdomains; any text must do, so that a slug can never fail.
names = st.one_of(
    st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", fullmatch=True),
    st.text(min_size=1, max_size=253),
)


@given(namespaces, names)
@example("casita", "-")
@example("casita", "7")
@example("casita", "a" * 27 + ".b")
@example("casita", "Ünïcode")
def test_slug_is_a_dns_label_with_room_for_pool_and_index(namespace: str, name: str) -> None:
    made = slug(namespace, name)
    assert LABEL.fullmatch(made)
    assert len(made) <= MAX_SLUG
    longest = f"{made}-{'p' * 16}-{MAX_POOL_WORKERS - 1}"
    assert len(longest) <= MAX_LABEL


@given(st.sets(st.tuples(namespaces, names), min_size=2, max_size=20))
def test_different_sessions_have_different_slugs(sessions: set[tuple[str, str]]) -> None:
    assert len({slug(namespace, name) for namespace, name in sessions}) == len(sessions)


def test_names_that_read_alike_have_different_slugs() -> None:
    alike = ("alice", "Alice", "alice-", "alice.", "a.lice", "a-lice")
    assert len({slug("casita", name) for name in alike}) == len(alike)
    assert slug("a", "b") != slug("b", "a")


def test_a_slug_begins_with_the_readable_name() -> None:
    assert slug("casita", "alice").startswith("alice-")
    assert slug("casita", "alice--gpu").startswith("alice-gpu-")
    assert slug("casita", "42").startswith("s-42-")


def test_slugs_and_hosts_never_change_between_releases(golden: Golden) -> None:
    sessions = [
        ("casita", "alice"),
        ("casita", "alice--gpu"),
        ("casita", "alice.smith"),
        ("casita", "0day"),
        ("other", "alice"),
        ("casita", "a" * 253),
        ("casita", "x" * 27 + "-y"),
    ]
    made = [
        {
            "namespace": namespace,
            "name": name,
            "slug": slug(namespace, name),
            "host": session_host(namespace, name, "af.example"),
            "service": service_host(namespace, name),
        }
        for namespace, name in sessions
    ]
    golden.check("slugs.json", made)


@pytest.mark.parametrize("user", RESERVED_USERS)
def test_a_reserved_user_is_refused_and_only_for_being_reserved(user: str) -> None:
    assert re.fullmatch(USER_PATTERN, user)
    with pytest.raises(ValidationError, match=f"user '{user}' is reserved"):
        SessionSpec.model_validate({"user": user})


@pytest.mark.parametrize(
    "user", ["", "Alice", "alice.smith", "1alice", "alice@cern", "alice\n", "a" * 33, "ålice", "-a"]
)
def test_a_malformed_user_is_refused(user: str) -> None:
    with pytest.raises(ValidationError, match="user"):
        SessionSpec.model_validate({"user": user})


@pytest.mark.parametrize("user", ["a", "alice", "alice_smith", "alice-2", "a" * 32])
def test_an_ordinary_user_is_accepted(user: str) -> None:
    assert SessionSpec.model_validate({"user": user}).user == user
