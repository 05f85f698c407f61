"""Quotas are kept at every moment, and shared fairly in the end."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casita.config import Quotas
from casita.sessions.cache import SessionKey
from casita.sessions.shares import Shares, Wish, fair_shares

wishes = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 50), max_size=8)


@pytest.mark.parametrize(
    ("asked", "total", "expected"),
    [
        ({}, 5, {}),
        ({"a": 3, "b": 4}, 10, {"a": 3, "b": 4}),
        ({"a": 2, "b": 10, "c": 10}, 12, {"a": 2, "b": 5, "c": 5}),
        ({"a": 10, "b": 10}, 7, {"a": 3, "b": 4}),
        ({"a": 1, "b": 1}, 0, {"a": 0, "b": 0}),
    ],
)
def test_who_asks_for_less_than_a_fair_share_has_it_all(
    asked: dict[str, int], total: int, expected: dict[str, int]
) -> None:
    assert fair_shares(asked, total) == expected


@settings(max_examples=300, deadline=None)
@given(wishes, st.integers(0, 200))
def test_shares_are_fair(asked: dict[str, int], total: int) -> None:
    shares = fair_shares(asked, total)
    assert sum(shares.values()) == min(total, sum(asked.values()))
    assert all(0 <= shares[name] <= asked[name] for name in asked)
    even = total // len(asked) if asked else 0
    assert all(shares[name] >= min(asked[name], even) for name in asked)
    # Whoever goes short has as much as anybody else, but for the core that cannot be divided.
    short = [shares[name] for name in asked if shares[name] < asked[name]]
    assert all(each >= other - 1 for each in short for other in shares.values())


@settings(max_examples=300, deadline=None)
@given(wishes, st.integers(0, 200), st.integers(0, 20))
def test_more_to_share_gives_nobody_less(asked: dict[str, int], total: int, more: int) -> None:
    before, after = fair_shares(asked, total), fair_shares(asked, total + more)
    assert all(after[name] >= before[name] for name in asked)


@dataclass
class Facility:
    """Sessions of one core a worker that do as they are allowed, and take their time to drain."""

    quotas: Quotas
    asked: dict[SessionKey, int] = field(default_factory=dict)
    held: dict[SessionKey, int] = field(default_factory=dict)
    leaving: dict[SessionKey, int] = field(default_factory=dict)
    queue: list[SessionKey] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shares = Shares(self.quotas, self.queue.append)

    def look(self, key: SessionKey) -> None:
        held, leaving = self.held.get(key, 0), self.leaving.get(key, 0)
        wish = Wish(self.asked.get(key, 0), held, leaving)
        allowed = self.shares.allowance(key, key[1][0], wish)
        assert allowed is not None
        wanted = min(self.asked.get(key, 0), allowed)
        self.held[key] = wanted
        self.leaving[key] = leaving + max(0, held - wanted)

    def ask(self, key: SessionKey, cores: int) -> None:
        self.asked[key] = cores
        self.look(key)

    def gone(self, key: SessionKey) -> None:
        self.leaving[key] = 0
        self.look(key)

    def settle(self) -> None:
        for _ in range(1000):
            draining = [key for key, count in self.leaving.items() if count]
            if not self.queue and not draining:
                return
            for key in draining:
                self.gone(key)
            while self.queue:
                self.look(self.queue.pop())
        raise AssertionError("no end")

    def taken(self) -> dict[str, int]:
        users: dict[str, int] = {}
        for counts in (self.held, self.leaving):
            for key, count in counts.items():
                users[key[1][0]] = users.get(key[1][0], 0) + count
        return users


def key(name: str) -> SessionKey:
    """Name a session; its first letter is its user."""
    return "casita", name


names = st.sampled_from(["a1", "a2", "a3", "b1", "b2", "c1"])
steps = st.lists(st.tuples(st.sampled_from(["ask", "gone", "look"]), names, st.integers(0, 20)))
limits = st.none() | st.integers(0, 30)


def fair(asked: Mapping[SessionKey, int], quotas: Quotas) -> dict[str, int]:
    """Return what each user has in the end, by the definition."""
    users: dict[str, int] = {}
    for (_, name), count in asked.items():
        users[name[0]] = users.get(name[0], 0) + count
    if quotas.user_cores is not None:
        users = {user: min(count, quotas.user_cores) for user, count in users.items()}
    return users if quotas.site_cores is None else fair_shares(users, quotas.site_cores)


@settings(max_examples=200, deadline=None)
@given(steps, limits, limits)
def test_no_quota_is_ever_exceeded_and_in_the_end_everybody_has_a_fair_share(
    did: list[tuple[str, str, int]], user: int | None, site: int | None
) -> None:
    quotas = Quotas(user_cores=user, site_cores=site)
    if user is None and site is None:
        return
    facility = Facility(quotas)
    for what, name, cores in did:
        if what == "ask":
            facility.ask(key(name), cores)
        elif what == "gone":
            facility.gone(key(name))
        elif facility.queue:
            facility.look(facility.queue.pop(0))
        taken = facility.taken()
        assert user is None or all(count <= user for count in taken.values())
        assert site is None or sum(taken.values()) <= site
    facility.settle()
    assert {u: n for u, n in facility.taken().items() if n} == {
        u: n for u, n in fair(facility.asked, quotas).items() if n
    }


def test_without_a_quota_nothing_is_counted() -> None:
    told: list[SessionKey] = []
    shares = Shares(Quotas(), told.append)
    shares.expect([key("a1")])
    assert shares.allowance(key("a1"), "a", Wish(100, 100, 0)) is None
    assert not shares.limited
    shares.open()
    shares.forget(key("a1"))
    assert told == []


def test_a_session_that_leaves_makes_room_for_others() -> None:
    told: list[SessionKey] = []
    shares = Shares(Quotas(user_cores=8), told.append)
    assert shares.allowance(key("a1"), "a", Wish(8, 8, 0)) == 8
    assert shares.allowance(key("a2"), "a", Wish(8, 0, 0)) == 0
    assert told == [key("a1")]  # it has more than its share now
    assert shares.allowance(key("b1"), "b", Wish(8, 0, 0)) == 8
    told.clear()
    shares.forget(key("a1"))
    assert told == [key("a2")]
    assert shares.allowance(key("a2"), "a", Wish(8, 0, 0)) == 8


def test_after_a_restart_nobody_is_given_more_before_all_have_told_what_they_have() -> None:
    told: list[SessionKey] = []
    shares = Shares(Quotas(user_cores=8), told.append)
    shares.expect([key("a1"), key("a2"), key("gone")])
    assert shares.allowance(key("a1"), "a", Wish(8, 4, 0)) == 4
    assert shares.allowance(key("a2"), "a", Wish(3, 3, 0)) == 3
    assert told == []
    shares.forget(key("gone"))
    assert told == [key("a1")]
    assert shares.allowance(key("a1"), "a", Wish(8, 4, 0)) == 5


def test_who_does_not_tell_after_a_restart_is_not_waited_for_for_ever() -> None:
    told: list[SessionKey] = []
    shares = Shares(Quotas(site_cores=8), told.append)
    shares.expect([key("a1"), key("stuck")])
    assert shares.allowance(key("a1"), "a", Wish(8, 0, 0)) == 0
    shares.open()
    assert told == [key("a1")]
    assert shares.allowance(key("a1"), "a", Wish(8, 0, 0)) == 8


def test_a_smaller_quota_leaves_everybody_a_share_of_what_they_have() -> None:
    facility = Facility(Quotas(site_cores=8))
    facility.held.update({key("a1"): 16, key("b1"): 16})
    for name in ("a1", "b1"):
        facility.ask(key(name), 16)
    facility.settle()
    assert facility.taken() == {"a": 4, "b": 4}


def test_a_session_of_the_same_name_may_be_another_users() -> None:
    told: list[SessionKey] = []
    shares = Shares(Quotas(user_cores=8), told.append)
    assert shares.allowance(key("x"), "a", Wish(8, 8, 0)) == 8
    assert shares.allowance(key("x"), "b", Wish(8, 0, 0)) == 8
    assert shares.allowance(key("y"), "a", Wish(8, 0, 0)) == 8
    assert shares.allowance(key("z"), "b", Wish(8, 0, 0)) == 0
