"""Sessions whose servers are gone: which are stopped, and when."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casita.hub.names import session_name, session_user
from casita.hub.sessions import Wanted, new_session
from casita.hub.status.orphans import GRACE_SECONDS, Orphans

GRACE = 60.0
Session = dict[str, Any]


def session(user: str = "alice", run: str = "run-1", hub: str = "casita", **spec: Any) -> Session:
    wanted = Wanted("casita", session_name(user), session_user(user), "default", run, hub, user, "")
    found = new_session(wanted)
    found["metadata"]["uid"] = f"uid of {user}"
    found["spec"] |= spec
    return found


@pytest.fixture
def orphans() -> Orphans:
    return Orphans("casita", GRACE)


def names(found: list[Mapping[str, Any]]) -> list[str]:
    return [each["metadata"]["name"] for each in found]


def test_a_session_without_a_server_is_stopped_when_its_grace_is_over(orphans: Orphans) -> None:
    alone = [session()]
    assert orphans.look(alone, (), 100.0) == []
    assert orphans.look(alone, (), 100.0 + GRACE - 1) == []
    assert orphans.look(alone, (), 100.0 + GRACE) == alone


def test_by_default_it_has_as_long_as_the_option_says() -> None:
    orphans = Orphans("casita")
    assert orphans.look([session()], (), 0.0) == []
    assert orphans.look([session()], (), GRACE_SECONDS - 1.0) == []
    assert orphans.look([session()], (), float(GRACE_SECONDS)) == [session()]


def test_what_could_not_be_stopped_is_told_again(orphans: Orphans) -> None:
    orphans.look([session()], (), 0.0)
    for later in (GRACE, GRACE + 5, GRACE + 500):
        assert names(orphans.look([session()], (), later)) == ["alice"]


def test_a_session_with_a_server_is_left_alone(orphans: Orphans) -> None:
    for now in (0.0, GRACE, 10 * GRACE):
        assert orphans.look([session()], {"alice"}, now) == []


def test_each_has_a_grace_of_its_own(orphans: Orphans) -> None:
    both = [session("alice"), session("bob")]
    orphans.look(both, {"bob"}, 0.0)
    orphans.look(both, (), GRACE / 2)
    assert names(orphans.look(both, (), GRACE)) == ["alice"]
    assert names(orphans.look(both, (), GRACE * 1.5)) == ["alice", "bob"]


def test_a_server_that_returns_clears_it(orphans: Orphans) -> None:
    orphans.look([session()], (), 0.0)
    orphans.look([session()], {"alice"}, GRACE - 1)
    assert orphans.look([session()], (), GRACE) == []
    assert orphans.look([session()], (), 2 * GRACE) == [session()]


def test_a_run_anew_begins_anew(orphans: Orphans) -> None:
    orphans.look([session(run="run-1")], (), 0.0)
    assert orphans.look([session(run="run-2")], (), GRACE) == []
    assert orphans.look([session(run="run-2")], (), 2 * GRACE) == [session(run="run-2")]


def test_another_session_of_the_same_name_begins_anew(orphans: Orphans) -> None:
    orphans.look([session()], (), 0.0)
    another = session()
    another["metadata"]["uid"] = "another"
    assert orphans.look([another], (), GRACE) == []


def test_a_stopped_session_is_left_alone_and_begins_anew_when_it_runs(orphans: Orphans) -> None:
    stopped = session(lifecycle="Stopped")
    orphans.look([session()], (), 0.0)
    assert orphans.look([stopped], (), GRACE) == []
    assert orphans.look([session()], (), GRACE) == []


def by_hand() -> Session:
    found = session()
    del found["metadata"]["labels"], found["metadata"]["annotations"]
    return found


def labelled_by_hand() -> Session:
    found = session()
    del found["metadata"]["annotations"]
    return found


def forged() -> Session:
    found = session("alice")
    found["metadata"]["annotations"] = session("bob")["metadata"]["annotations"]
    return found


@pytest.mark.parametrize(
    "foreign",
    [by_hand(), labelled_by_hand(), forged(), session(hub="another")],
    ids=["made by hand", "labelled by hand", "says it is bob's", "another hub's"],
)
def test_what_is_not_this_hubs_is_never_touched(orphans: Orphans, foreign: Session) -> None:
    for now in (0.0, GRACE, 100 * GRACE):
        assert orphans.look([foreign], (), now) == []


@given(
    st.lists(
        st.tuples(st.booleans(), st.floats(0.1, GRACE)),  # server up; seconds until the next look
        min_size=1,
        max_size=20,
    )
)
def test_only_who_was_alone_for_all_of_the_grace_is_stopped(
    looks: list[tuple[bool, float]],
) -> None:
    orphans, now, since = Orphans("casita", GRACE), 0.0, None
    for up, pause in looks:
        found = orphans.look([session()], {"alice"} if up else (), now)
        since = None if up else since if since is not None else now
        assert bool(found) == (since is not None and now - since >= GRACE)
        now += pause
