"""What users are told to have used is what their workers were there for."""

from collections.abc import Iterable
from typing import Any

import pytest

from casita.config import Site
from casita.operator.usage import (
    MAX_ACCOUNTS_PER_USER,
    OTHER,
    Account,
    Session,
    Usage,
    cores_in_use,
)

GROUP = "group_cms"
SITE = Site.model_validate(
    {
        "domain": "af.test",
        "profiles": [
            {"name": "default", "image": "any", "pools": [{"pool": "local", "max": 8, "cores": 2}]},
            {"name": "gpu", "image": "any", "instantWorker": {"cores": 3}},
        ],
    }
)
LOCAL = Account("alice", "default", "Kubernetes", "local", "")


class Ticking:
    """A look at sessions whenever a test says so, and what was counted so far."""

    def __init__(self, *sessions: Session) -> None:
        self.sessions: Iterable[Session] = sessions
        self.seconds = 100.0
        self.counted: dict[Account, float] = {}
        self._usage = Usage(lambda: self.sessions, SITE, self._count, lambda: self.seconds)

    def look(self, after: float) -> dict[Account, float]:
        self.seconds += after
        self._usage.look()
        return dict(self.counted)

    def _count(self, account: Account, seconds: float) -> None:
        assert seconds >= 0
        self.counted[account] = self.counted.get(account, 0) + seconds


def session(spec: dict[str, Any] | None = None, **ready: int) -> Session:
    workers = [
        {"pool": pool, "desired": 9, "requested": 9, "ready": n} for pool, n in ready.items()
    ]
    return {"user": "alice", **(spec or {})}, {"workers": workers}


def pool(name: str, **more: Any) -> dict[str, Any]:
    """Return a pool as the API server stores it, defaults filled in."""
    return {"pool": name, "backend": "Kubernetes", "min": 0, "max": 9, "cores": 1, **more}


def test_ready_workers_count_by_their_cores() -> None:
    batch = pool("batch", backend="HTCondor", cores=4, accountingGroup=GROUP)
    both = session({"workers": [pool("local"), batch]}, local=3, batch=5)
    assert cores_in_use([both, session(local=2)], SITE) == {
        LOCAL: 3 * 1 + 2 * 2,
        Account("alice", "default", "HTCondor", "batch", GROUP): 20,
    }


def test_sessions_of_one_user_add_up_and_those_of_others_stay_apart() -> None:
    found = cores_in_use(
        [session(local=1), session(local=2), session({"user": "bob"}, local=4)], SITE
    )
    assert {account.user: cores for account, cores in found.items()} == {"alice": 6, "bob": 8}


@pytest.mark.parametrize(("status", "cores"), [("True", 3), ("False", 0)])
def test_the_worker_beside_the_scheduler_counts_while_the_scheduler_is_ready(
    status: str, cores: int
) -> None:
    conditions = [{"type": "SchedulerReady", "status": status}]
    found = cores_in_use([({"user": "alice", "profile": "gpu"}, {"conditions": conditions})], SITE)
    assert found == {Account("alice", "gpu", "Kubernetes", "instant", ""): cores}


def test_a_session_that_has_nothing_yet_or_no_profile_counts_nothing() -> None:
    refused = session({"profile": "none"}, local=1)
    assert cores_in_use([({"user": "alice"}, {}), refused], SITE) == {LOCAL: 0}


def test_a_pool_begins_at_nothing_and_grows_with_time_and_cores() -> None:
    ticking = Ticking(session())
    assert ticking.look(15) == {LOCAL: 0.0}
    ticking.sessions = [session(local=4)]
    assert ticking.look(10) == {LOCAL: 40.0}  # they came at some moment of it
    assert ticking.look(10) == {LOCAL: 120.0}
    ticking.sessions = []
    assert ticking.look(10) == {LOCAL: 160.0}
    assert ticking.look(1000) == {LOCAL: 160.0}


def test_what_ran_before_the_operator_did_is_not_guessed() -> None:
    ticking = Ticking(session(local=4))
    assert ticking.look(0) == {LOCAL: 0.0}


def test_invented_names_make_no_end_of_series_and_nothing_is_lost() -> None:
    ticking = Ticking()
    for number in range(3 * MAX_ACCOUNTS_PER_USER):
        name = f"p{number}"
        ticking.sessions = [session({"workers": [pool(name)]}, **{name: 1}), session(local=1)]
        ticking.look(10)
    ticking.sessions = []
    counted = ticking.look(10)
    other = Account("alice", "default", "Kubernetes", OTHER, OTHER)
    assert len(counted) == MAX_ACCOUNTS_PER_USER + 1
    assert counted[other] > 0
    assert counted[LOCAL] == 2 * 10 * 3 * MAX_ACCOUNTS_PER_USER
    assert sum(counted.values()) - counted[LOCAL] == 10 * 3 * MAX_ACCOUNTS_PER_USER
