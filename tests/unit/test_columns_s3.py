"""A user's keys of the object store: whose they are, and that they tell nothing of others'."""

from hypothesis import given
from hypothesis import strategies as st

from casita.api.names import USER_PATTERN
from casita.columns import s3
from casita.columns.s3 import Keys

ROOT = Keys("root", "r" * 64)
USERS = st.from_regex(USER_PATTERN, fullmatch=True)


def test_a_users_keys_are_the_same_each_time_and_follow_the_stores() -> None:
    keys = s3.own_keys(ROOT, "alice")
    assert keys.access == "casita-alice"
    assert s3.own_keys(ROOT, "alice") == keys
    assert s3.own_keys(Keys("root", "s" * 64), "alice").secret != keys.secret


@given(USERS, USERS)
def test_two_users_have_different_keys(one: str, other: str) -> None:
    first, second = s3.own_keys(ROOT, one), s3.own_keys(ROOT, other)
    assert (first == second) == (one == other)
    assert (first.secret == second.secret) == (one == other)


def test_no_secret_is_shown_in_a_log() -> None:
    keys = s3.own_keys(ROOT, "alice")
    assert keys.secret not in repr(keys)


def test_who_has_an_account_is_read_and_others_accounts_are_left_out() -> None:
    listed = (
        b'<?xml version="1.0"?><ListUserAccountsResult xmlns="http://s3.amazonaws.com/doc/">'
        b"<Accounts><Access>casita-alice</Access><Secret>x</Secret></Accounts>"
        b"<Accounts><Access>backup</Access></Accounts></ListUserAccountsResult>"
    )
    assert s3.users(listed) == {"alice"}
    assert s3.users(b"<ListUserAccountsResult></ListUserAccountsResult>") == frozenset()
