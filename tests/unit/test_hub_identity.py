"""Names of people who come by an identity provider: one for each, and the same one each time."""

from string import printable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casita.hub.identity import MAX_NAME, LoginRefusedError, user_groups, user_name

HOMES = (
    "https://cern.ch/login",
    "https://fnal.gov/login",
    "https://FNAL.gov/login",
    "home",
    "HOME",
)
names = st.text(st.sampled_from(printable + "äßЖ字"), min_size=1, max_size=30)


def named(claims: dict[str, Any], claim: str = "preferred_username") -> str:
    return user_name(claims, claim, "idp", "home")


def test_a_user_of_the_sites_own_home_keeps_the_plain_name() -> None:
    assert named({"preferred_username": "alice", "idp": "home"}) == "alice"


def test_a_user_of_another_home_carries_its_name() -> None:
    claims = {"preferred_username": "alice", "idp": "https://fnal.gov/login"}
    assert named(claims).startswith("alice~fnal.gov-")


@given(names, names, st.sampled_from(HOMES), st.sampled_from(HOMES))
def test_two_people_never_have_one_name(one: str, other: str, here: str, there: str) -> None:
    found = []
    for name, home in ((one, here), (other, there)):
        try:
            found.append(named({"preferred_username": name, "idp": home}))
        except LoginRefusedError:
            return
    # The hub's names do not differ by case; those of people do not either.
    same = one.lower() == other.lower() and here == there
    assert (found[0].lower() == found[1].lower()) == same


def test_nobody_can_choose_a_name_that_belongs_to_another_home() -> None:
    foreign = named({"preferred_username": "alice", "idp": "https://fnal.gov/login"})
    with pytest.raises(LoginRefusedError, match="can be nobody's"):
        named({"preferred_username": foreign, "idp": "home"})


def test_subjects_that_differ_by_case_are_two_people() -> None:
    one, other = (user_name({"sub": sub}, "sub") for sub in ("aXb", "axb"))
    assert one.lower() != other.lower()


def test_a_subject_may_be_a_url() -> None:
    sub = "http://cilogon.org/serverA/users/12"
    name = user_name({"sub": sub}, "sub")
    assert name.startswith("http:.cilogon.org.servera.users.12~")
    assert name != user_name({"sub": "http:.cilogon.org.servera.users.12"}, "sub")


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({}, "does not tell your name"),
        ({"preferred_username": ""}, "does not tell your name"),
        ({"preferred_username": ["alice"]}, "does not tell your name"),
        ({"preferred_username": "a b", "idp": "home"}, "can be nobody's"),
        ({"preferred_username": "../hub", "idp": "home"}, "can be nobody's"),
        ({"preferred_username": "x" * (MAX_NAME + 1), "idp": "home"}, "can be nobody's"),
        ({"preferred_username": "alice"}, "does not say where you are from"),
        ({"preferred_username": "alice", "idp": ""}, "does not say where you are from"),
    ],
)
def test_claims_that_name_nobody_are_refused_with_the_reason(
    claims: dict[str, Any], reason: str
) -> None:
    with pytest.raises(LoginRefusedError, match=reason):
        named(claims)


def test_an_address_that_was_not_verified_is_nobodys_name() -> None:
    assert user_name({"email": "alice@x.org", "email_verified": True}, "email") == "alice@x.org"
    with pytest.raises(LoginRefusedError, match="not verified"):
        user_name({"email": "alice@x.org", "email_verified": False}, "email")


def test_groups_come_as_a_list_or_as_a_single_one() -> None:
    assert user_groups(["cms", "staff"]) == {"cms", "staff"}
    assert user_groups("cms") == {"cms"}
    assert user_groups(None) == set()
    for odd in ({"cms": 1}, [1], 7):
        with pytest.raises(LoginRefusedError):
            user_groups(odd)
