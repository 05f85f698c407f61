"""The user's hand on the scheduler: `casita.dask.Cluster` asks here, over the session's own TLS.

Whoever holds a certificate of the session may ask; that is what may run code in it anyway. Asking
changes what the scheduler reports; the operator alone makes and removes workers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from distributed import Scheduler

from casita.dask.adaptive import Adaptive
from casita.dask.answer import Answer
from casita.dask.departures import Departure
from casita.dask.report import Reporter
from casita.dask.wish import Wish, WishError, adapted, scaled

SCALE: Final = "casita_scale"
STATUS: Final = "casita_status"

MANUAL: Final = "Manual"


class Hand:
    """Answers what a notebook asks of one scheduler."""

    def __init__(
        self,
        scheduler: Scheduler,
        adaptive: Adaptive,
        reporter: Reporter | None,
        departures: Callable[[], Sequence[Departure]],
        mismatches: Callable[[], Sequence[str]],
    ) -> None:
        """Answer for `scheduler`; without a `reporter` nobody makes workers for it."""
        self._scheduler = scheduler
        self._adaptive = adaptive
        self._reporter = reporter
        self._departures = departures
        self._mismatches = mismatches

    def install(self) -> None:
        """Let the scheduler take these questions."""
        self._scheduler.handlers[SCALE] = self.scale
        self._scheduler.handlers[STATUS] = self.status

    def scale(
        self,
        workers: int | None = None,
        pools: Mapping[str, int] | None = None,
        adapt: Mapping[str, int | None] | None = None,
    ) -> dict[str, Any]:
        """Take the user's word; return the status, with an ``error`` if it was refused.

        Args:
            workers: so many over all pools.
            pools: so many of single pools.
            adapt: as the work needs, within ``minimum`` and ``maximum``.
        """
        # Told, not raised: a user's slip is no failure of the scheduler, which would log it.
        try:
            if adapt is not None:
                wish = adapted(adapt.get("minimum"), adapt.get("maximum"))
            else:
                wish = scaled(self._adaptive.wish, workers, pools)
            self._refuse(wish)
        except WishError as error:
            return {**self.status(), "error": str(error)}
        self._adaptive.ask(wish)
        return self.status()

    def _refuse(self, wish: Wish) -> None:
        """Raise `WishError` for what the operator would not do."""
        if self._reporter is None:
            raise WishError("nothing makes workers for this scheduler: no operator is named to it")
        answer = self._reporter.answer or Answer()
        target = self._reporter.target
        if answer.mode == MANUAL:
            raise WishError(
                f"this session's scaling mode is Manual, its number of workers is in its spec: "
                f"kubectl scale -n {target.namespace} analysissession/{target.name} --replicas=N"
            )
        known = [pool.pool for pool in answer.pools]
        unknown = [pool for pool in wish.pools if known and pool not in known]
        if unknown:
            raise WishError(
                f"there is no pool {', '.join(unknown)}; this session has {', '.join(known)}"
            )

    def status(self) -> dict[str, Any]:
        """Return how it stands, as plain data."""
        adaptive, reporter = self._adaptive, self._reporter
        workers = self._scheduler.running
        answer = (reporter.answer if reporter is not None else None) or Answer()
        return {
            **answer.body(),
            "asked": adaptive.wish.words(),
            "usefulCores": adaptive.useful,
            "workers": len(workers),
            "cores": sum(worker.nthreads for worker in workers),
            "trouble": reporter.trouble if reporter is not None else "",
            "mismatches": list(self._mismatches()),
            "departures": [asdict(departure) for departure in self._departures()],
        }
