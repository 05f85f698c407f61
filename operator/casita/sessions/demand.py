"""What a session's work asks for, as its scheduler tells it."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from casita.api.names import MAX_POOL_WORKERS, POOL_PATTERN
from casita.api.session import MAX_POOLS

MAX_WORKERS = 10_000
"""Most workers that one report tells of."""

Count = Annotated[int, Field(strict=True, ge=0, le=MAX_POOL_WORKERS)]
WorkerName = Annotated[str, Field(max_length=128)]
WorkerNames = Annotated[tuple[WorkerName, ...], Field(max_length=MAX_WORKERS)]
Pool = Annotated[str, Field(pattern=POOL_PATTERN, max_length=16)]


class Demand(BaseModel):
    """How many workers a session's work, or its user, asks for.

    Of `pools`, `workers` and `cores` one is given: the user's word for single pools, the user's
    word for all, or what the tasks at hand could use. All of it is clamped before it is acted upon.

    Attributes:
        cores: as many as the tasks at hand could use, by their number and the time that they are
            likely to take; already smoothed on the way down.
        minimum, maximum: bounds by the user, in workers over all pools, for `cores`.
        workers: over all pools, which fill in list order.
        pools: by pool; those that are not named keep what they have as their minimum.
        retire: names of workers in the order in which least is lost, for the case that some go.
        busy: names of workers that run a task now: with `cores` they are not told to go.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    cores: Annotated[int, Field(strict=True, ge=0, le=10_000_000)] | None = None
    minimum: Count = 0
    maximum: Count | None = None
    workers: Count | None = None
    pools: Annotated[Mapping[Pool, Count], Field(max_length=MAX_POOLS)] | None = None
    retire: WorkerNames = ()
    busy: WorkerNames = ()

    @model_validator(mode="after")
    def _one_of_three(self) -> "Demand":
        given = [name for name in ("cores", "workers", "pools") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"one of cores, workers and pools is needed, got {given}")
        if self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum} is greater than maximum {self.maximum}")
        return self

    def wish(self) -> "Demand":
        """Return what is asked for, without the names that change from one task to the next."""
        return self.model_copy(update={"retire": (), "busy": ()})
