"""Quotas of cores, shared fairly: between users, and between the sessions of a user.

Max-min: nobody is given more than they ask for, and whoever is given less than they ask for has at
least as much as anybody else. A core that somebody's worker has, or was promised, is given to
another one when it is free again and no sooner.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from casita.config import Quotas
from casita.sessions.cache import SessionKey

K = TypeVar("K", str, SessionKey)


def fair_shares(asked: Mapping[K, int], total: int) -> dict[K, int]:
    """Share `total` cores between those who ask: max-min, in whole cores.

    What cannot be shared evenly goes to those who ask for most.
    """
    left, waiting = total, len(asked)
    shares: dict[K, int] = {}
    for name in sorted(asked, key=lambda name: (asked[name], name)):
        shares[name] = min(asked[name], left // waiting)
        left -= shares[name]
        waiting -= 1
    return shares


@dataclass(frozen=True, slots=True)
class Wish:
    """What a session asks of its quotas and what it has of them, in cores.

    Attributes:
        asked: what its workers could use; 0 if it does not run.
        held: what its workers have.
        leaving: what workers have that are on their way out.
    """

    asked: int
    held: int
    leaving: int


@dataclass(frozen=True, slots=True)
class _Claim:
    user: str
    wish: Wish
    granted: int = 0

    @property
    def taken(self) -> int:
        """Cores that are not free for others."""
        return max(self.wish.held, self.granted) + self.wish.leaving


_NOTHING: Final = Wish(0, 0, 0)


class Shares:
    """What quotas leave each session; `changed` is told of those for whom it is another now.

    Nothing is remembered across a restart: until every session that `expect` names has told what
    it asks for and has, none is given more than it has.
    """

    def __init__(self, quotas: Quotas, changed: Callable[[SessionKey], None]) -> None:
        self._quotas = quotas
        self._changed = changed
        self._claims: dict[SessionKey, _Claim] = {}
        self._fair: dict[SessionKey, int] | None = {}
        self._taken: Counter[str] = Counter()
        self._taken_of_all = 0
        self._expected: set[SessionKey] = set()

    @property
    def limited(self) -> bool:
        """Whether there is any quota."""
        return self._quotas.user_cores is not None or self._quotas.site_cores is not None

    def expect(self, keys: Iterable[SessionKey]) -> None:
        """Name the sessions that may have workers, before any of them is planned."""
        self._expected = set(keys) if self.limited else set()

    def open(self) -> None:
        """Wait no longer for those that were expected and have not told."""
        if self._expected:
            self._expected.clear()
            self._tell()

    def allowance(self, key: SessionKey, user: str, wish: Wish) -> int | None:
        """Return the cores that a session's workers may have; `None` is no limit."""
        if not self.limited:
            return None
        before = self._claims.get(key, _Claim(user, _NOTHING))
        if before.user != user:  # another session of this name
            self.forget(key)
            before = _Claim(user, _NOTHING)
        self._put(key, replace(before, wish=wish))
        if before.wish.asked != wish.asked:
            self._fair = None
        opens = self._expected == {key}
        self._expected.discard(key)
        granted = self._grant(key)
        self._put(key, replace(self._claims[key], granted=granted))
        same = (before.wish.asked, before.taken) == (wish.asked, self._claims[key].taken)
        if opens or not same:
            self._tell(besides=key)
        return granted

    def forget(self, key: SessionKey) -> None:
        """Drop a session that is gone."""
        claim = self._claims.pop(key, None)
        opens = self._expected == {key}
        self._expected.discard(key)
        if claim is not None:
            self._count(claim, -1)
            self._fair = None
        if opens or claim is not None:
            self._tell()

    def _put(self, key: SessionKey, claim: _Claim) -> None:
        before = self._claims.get(key)
        if before is not None:
            self._count(before, -1)
        self._count(claim, 1)
        self._claims[key] = claim

    def _count(self, claim: _Claim, sign: int) -> None:
        self._taken[claim.user] += sign * claim.taken
        self._taken_of_all += sign * claim.taken

    def _fair_shares(self) -> dict[SessionKey, int]:
        """Share out anew, among all that ask: only when it is needed, as it looks at everybody."""
        by_user: dict[str, dict[SessionKey, int]] = {}
        for key, claim in self._claims.items():
            by_user.setdefault(claim.user, {})[key] = claim.wish.asked
        most = self._quotas.user_cores
        users = {user: sum(asked.values()) for user, asked in by_user.items()}
        if most is not None:
            users = {user: min(asked, most) for user, asked in users.items()}
        if self._quotas.site_cores is not None:
            users = fair_shares(users, self._quotas.site_cores)
        return {
            key: share
            for user, asked in by_user.items()
            for key, share in fair_shares(asked, users[user]).items()
        }

    def _grant(self, key: SessionKey) -> int:
        """Return the session's fair share: what it has of it, and what is free of the rest."""
        wish = self._claims[key].wish
        if self._expected:
            return min(wish.asked, wish.held)
        if self._fair is None:
            self._fair = self._fair_shares()
        return min(self._fair.get(key, 0), max(wish.held, self._free(key)))

    def _free(self, key: SessionKey) -> int:
        """Return what the session could have, for all that others have or were promised."""
        claim = self._claims[key]
        apart = claim.wish.leaving - claim.taken
        quotas = (
            (self._quotas.site_cores, self._taken_of_all),
            (self._quotas.user_cores, self._taken[claim.user]),
        )
        return min(quota - taken - apart for quota, taken in quotas if quota is not None)

    def _tell(self, besides: SessionKey | None = None) -> None:
        if self._expected:
            return
        for key, claim in self._claims.items():
            if key != besides and self._grant(key) != claim.granted:
                self._changed(key)
