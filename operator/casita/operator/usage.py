"""Who used what: core seconds of the sessions' workers, added up from what their statuses tell.

Nothing is asked of anybody: the statuses are at hand. Between two looks the cores are taken to have
changed evenly. What runs while no operator does is not counted.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from casita.api.conditions import ConditionType
from casita.api.session import Backend
from casita.config import Profile, Site
from casita.manifests.containers import INSTANT

LOOK_SECONDS: Final = 15.0
"""Between two looks: half of the usual time between two scrapes."""

MAX_ACCOUNTS_PER_USER: Final = 32
"""Names of pools and groups are the users' own words, and each combination is a series for ever."""

OTHER: Final = "other"
"""Pool and group of what a user runs beyond that."""

Session = tuple[Mapping[str, Any], Mapping[str, Any]]
"""Specification and status, as the API has them."""


class Account(NamedTuple):
    """On whose account cores are, and where."""

    user: str
    profile: str
    backend: str
    pool: str
    group: str
    """HTCondor's accounting group; empty where none is asked for."""


def cores_in_use(sessions: Iterable[Session], site: Site) -> dict[Account, int]:
    """Return the cores of ready workers; 0 for a pool without any.

    The worker in a scheduler's pod is there while the scheduler is ready.
    """
    found: dict[Account, int] = {}
    for spec, status in sessions:
        profile = site.profile(spec.get("profile"))
        if profile is not None:
            for account, cores in _of_session(spec, status, profile):
                found[account] = found.get(account, 0) + cores
    return found


def core_seconds(
    before: Mapping[Account, int], now: Mapping[Account, int], seconds: float
) -> dict[Account, float]:
    """Return what was used in the `seconds` between two looks: the mean of both, all that time."""
    return {
        account: (before.get(account, 0) + now.get(account, 0)) / 2 * seconds
        for account in before.keys() | now.keys()
    }


class Usage:
    """Looks now and then, and adds up.

    Args:
        sessions: returns those that are known.
        site: the site.
        count: is told what was used since the look before, 0 too: a series that begins at 0 before
            it rises loses nothing in ``increase()``.
        monotonic: the time in seconds.
    """

    def __init__(
        self,
        sessions: Callable[[], Iterable[Session]],
        site: Site,
        count: Callable[[Account, float], None],
        monotonic: Callable[[], float],
    ) -> None:
        self._sessions = sessions
        self._site = site
        self._count = count
        self._monotonic = monotonic
        self._before: dict[Account, int] = {}
        self._looked_at = monotonic()
        self._accounts: dict[str, set[Account]] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_SECONDS)

    def look(self) -> None:
        """Count what was used since the last look."""
        at, now = self._monotonic(), cores_in_use(self._sessions(), self._site)
        for account, used in core_seconds(self._before, now, at - self._looked_at).items():
            self._count(self._bounded(account), used)
        self._before, self._looked_at = now, at

    def _bounded(self, account: Account) -> Account:
        known = self._accounts.setdefault(account.user, set())
        if account not in known and len(known) >= MAX_ACCOUNTS_PER_USER:
            return account._replace(pool=OTHER, group=OTHER)
        known.add(account)
        return account


def _of_session(
    spec: Mapping[str, Any], status: Mapping[str, Any], profile: Profile
) -> Iterator[tuple[Account, int]]:
    user = str(spec["user"])
    ready = {entry["pool"]: int(entry["ready"]) for entry in status.get("workers") or ()}
    for pool, backend, group, cores in _pools(spec, profile):
        account = Account(user, profile.name, backend, pool, group)
        yield account, ready.get(pool, 0) * cores
    if profile.instant_worker.cores:
        account = Account(user, profile.name, Backend.KUBERNETES, INSTANT, "")
        yield account, profile.instant_worker.cores if _scheduler_ready(status) else 0


def _pools(spec: Mapping[str, Any], profile: Profile) -> Iterator[tuple[str, str, str, int]]:
    """Yield name, back end, group and cores of a worker; the API server has filled in defaults."""
    entries = spec.get("workers")
    if entries is None:
        for pool in profile.pools:
            yield pool.pool, pool.backend, pool.accounting_group or "", pool.cores
        return
    for entry in entries:
        group = entry.get("accountingGroup") or ""
        yield entry["pool"], entry["backend"], group, int(entry["cores"])


def _scheduler_ready(status: Mapping[str, Any]) -> bool:
    return any(
        condition["type"] == ConditionType.SCHEDULER_READY and condition["status"] == "True"
        for condition in status.get("conditions") or ()
    )
