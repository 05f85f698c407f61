"""What a session asks the operator for: the user's word if there is any, else what work needs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from casita.api.names import MAX_POOL_WORKERS
from casita.dask.standing import Standing, busy, retire_order, staying

MAX_CORES: Final = 10_000_000


class WishError(ValueError):
    """A wish that cannot be; the message says why and what can."""


@dataclass(frozen=True, slots=True)
class Wish:
    """The user's word. Without any the work decides.

    Attributes:
        workers: so many, over all pools.
        pools: so many of single pools.
        minimum, maximum: of workers over all pools, between which the work decides.
    """

    workers: int | None = None
    pools: Mapping[str, int] = field(default_factory=dict)
    minimum: int = 0
    maximum: int | None = None

    def words(self) -> str:
        """Return what is asked for, for people."""
        if self.workers is not None:
            return f"{self.workers} workers, by hand"
        if self.pools:
            named = ", ".join(f"{count} of {pool}" for pool, count in self.pools.items())
            return f"workers by hand: {named}"
        if self.minimum or self.maximum is not None:
            most = "any number" if self.maximum is None else self.maximum
            return f"as the work needs, {self.minimum} to {most} workers"
        return "as the work needs"


def scaled(before: Wish, workers: int | None, pools: Mapping[str, int] | None) -> Wish:
    """Return the wish after ``scale``: so many workers, or so many of some pools.

    Pools that are named one after the other add up to one wish.

    Raises:
        WishError: neither or both are given, or a number is none.
    """
    if (workers is None) == (not pools):
        raise WishError("scale(n) takes a number of workers, or scale(pool=n) pools; one of both")
    if workers is not None:
        return Wish(workers=_count(workers, "the number of workers"))
    counted = {str(pool): _count(n, f"pool {pool}") for pool, n in (pools or {}).items()}
    return Wish(pools={**before.pools, **counted})


def adapted(minimum: int | None, maximum: int | None) -> Wish:
    """Return the wish after ``adapt``.

    Raises:
        WishError: a number is none, or the minimum is above the maximum.
    """
    least = _count(minimum or 0, "minimum")
    most = None if maximum is None else _count(maximum, "maximum")
    if most is not None and least > most:
        raise WishError(f"minimum {least} is above maximum {most}")
    return Wish(minimum=least, maximum=most)


def _count(value: object, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise WishError(f"{what}: must be a whole number, got {value!r}")
    if not 0 <= value <= MAX_POOL_WORKERS:
        raise WishError(f"{what}: must be 0 to {MAX_POOL_WORKERS}, got {value}")
    return value


@dataclass(frozen=True, slots=True)
class Demand:
    """What goes into a report; the operator's side is ``casita.sessions.demand``."""

    cores: int | None = None
    minimum: int = 0
    maximum: int | None = None
    workers: int | None = None
    pools: Mapping[str, int] | None = None
    retire: tuple[str, ...] = ()
    busy: tuple[str, ...] = ()

    def body(self) -> dict[str, Any]:
        """Return it as JSON has it, without what is not asked for."""
        return {key: value for key, value in asdict(self).items() if value not in (None, ())}


def demand_of(wish: Wish, cores: int, workers: Sequence[Standing]) -> Demand:
    """Return what to ask for, and the names that matter if it is less than there is.

    Args:
        wish: the user's.
        cores: that the work could use, smoothed.
        workers: all that are registered.
    """
    present = staying(workers)
    if wish.pools:
        return Demand(pools=dict(wish.pools), retire=retire_order(present))
    if wish.workers is not None:
        fewer = wish.workers < len(present)
        return Demand(workers=wish.workers, retire=retire_order(present) if fewer else ())
    fewer = cores < sum(worker.cores for worker in present)
    if wish.maximum is not None:
        fewer = fewer or wish.maximum < len(present)
    return Demand(
        cores=min(cores, MAX_CORES),
        minimum=wish.minimum,
        maximum=wish.maximum,
        retire=retire_order(present) if fewer else (),
        busy=busy(present) if fewer else (),
    )


def worth_telling(told: Demand | None, now: Demand) -> bool:
    """Say whether a report should not wait for the next heartbeat.

    The work's own figure trembles all the time: a change of less than a tenth can wait.
    """
    if told is None:
        return True
    words = ("minimum", "maximum", "workers", "pools", "busy")
    if any(getattr(told, word) != getattr(now, word) for word in words):
        return True
    if told.cores is None or now.cores is None or 0 in (told.cores, now.cores):
        return told.cores != now.cores
    return abs(now.cores - told.cores) * 10 >= told.cores
