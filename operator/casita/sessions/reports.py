"""What schedulers report of their workers, and of what their work asks for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from casita.sessions.cache import SessionKey
from casita.sessions.demand import MAX_WORKERS, Demand, WorkerName

MIN_INTERVAL_SECONDS: Final = 0.2
"""Between two reports of a session; faster ones are told to wait."""

SILENT_SECONDS: Final = 180.0
"""Three heartbeats: of a scheduler that is silent for longer it is not known whether it is idle."""

_NEVER: Final = datetime.min.replace(tzinfo=UTC)

_SAME_SECONDS: Final = 5.0
"""By how much a session's last use may seem to move between reports: they are some time on their
way."""


def _printable(text: str) -> str:
    """What ends in a status is read in terminals."""
    return "".join(c if c.isprintable() else "?" for c in text)


Line = Annotated[str, Field(max_length=300), AfterValidator(_printable)]


class WorkerReport(BaseModel):
    """One worker as its scheduler sees it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: WorkerName
    address: Annotated[str, Field(max_length=300)] = ""
    reachable: bool
    error: Line = ""


class Report(BaseModel):
    """One report; whatever a scheduler sends is bounded, since its image is the user's choice."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    run: Annotated[str, Field(pattern=r"^[0-9a-f]{1,64}$")]
    workers: Annotated[tuple[WorkerReport, ...], Field(max_length=MAX_WORKERS)] = ()
    demand: Demand | None = None
    idle_seconds: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)] | None = Field(
        default=None, alias="idleSeconds"
    )
    mismatches: Annotated[tuple[Line, ...], Field(max_length=5)] = ()


@dataclass(frozen=True, slots=True)
class _Heard:
    """The last report of a session, as decisions need it."""

    run: str
    at: datetime
    unreachable: Mapping[str, str] = field(default_factory=dict)
    registered: frozenset[str] = frozenset()
    demand: Demand | None = None
    idle_since: datetime | None = None
    mismatches: tuple[str, ...] = ()


class Reports:
    """The last report of each session; a change enters by the queue.

    All that is told belongs to the run that the report is of: of another nothing is known.
    """

    def __init__(
        self,
        changed: Callable[[SessionKey], None],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._changed = changed
        self._clock = clock
        self._heard: dict[SessionKey, _Heard] = {}
        self._taken_at: dict[SessionKey, float] = {}

    def take(self, key: SessionKey, report: Report, now: float) -> bool:
        """Keep what a report says.

        Returns false, and keeps nothing, if the session's last one came less than
        `MIN_INTERVAL_SECONDS` before `now` (monotonic seconds).
        """
        if now - self._taken_at.get(key, -MIN_INTERVAL_SECONDS) < MIN_INTERVAL_SECONDS:
            return False
        self._taken_at[key] = now
        before, heard = self._heard.get(key), _heard(report, self._clock())
        self._heard[key] = heard
        if before is None or _matters(before, heard):
            self._changed(key)
        return True

    def unreachable(self, key: SessionKey, run: str) -> Mapping[str, str]:
        """Return the workers that cannot be reached, each with the error that was met."""
        return self._of(key, run).unreachable

    def registered(self, key: SessionKey, run: str) -> frozenset[str]:
        """Return the names of the workers that the scheduler has and can reach."""
        return self._of(key, run).registered

    def demand(self, key: SessionKey, run: str) -> Demand | None:
        """Return what the session's work asks for, or `None` before its scheduler has told."""
        return self._of(key, run).demand

    def idle_since(self, key: SessionKey, run: str) -> datetime | None:
        """Return since when there is no client and no task.

        `None` while there is one, and while nobody knows: a scheduler that is silent is not idle.
        """
        heard = self._of(key, run)
        return None if _silent(heard, self._clock()) else heard.idle_since

    def mismatches(self, key: SessionKey, run: str) -> tuple[str, ...]:
        """Return the scheduler's lines on versions that differ."""
        return self._of(key, run).mismatches

    def forget(self, key: SessionKey) -> None:
        """Drop the reports of a session that is gone."""
        self._heard.pop(key, None)
        self._taken_at.pop(key, None)

    def _of(self, key: SessionKey, run: str) -> _Heard:
        heard = self._heard.get(key)
        return (
            heard if heard and heard.run == run else _Heard(run, datetime.min.replace(tzinfo=UTC))
        )


def _heard(report: Report, now: datetime) -> _Heard:
    idle = report.idle_seconds
    return _Heard(
        run=report.run,
        at=now,
        unreachable={
            w.name: w.error or "it does not answer" for w in report.workers if not w.reachable
        },
        registered=frozenset(w.name for w in report.workers if w.reachable),
        demand=report.demand,
        idle_since=None if idle is None else now - timedelta(seconds=idle),
        mismatches=report.mismatches,
    )


def _matters(before: _Heard, heard: _Heard) -> bool:
    """Say whether a decision or the status may differ now.

    Which workers are busy, and what is lost with each, is looked up when some are to go.
    """
    if _silent(before, heard.at):
        return True
    return _told(before) != _told(heard) or not _same_time(before.idle_since, heard.idle_since)


def _silent(heard: _Heard, now: datetime) -> bool:
    return now - heard.at > timedelta(seconds=SILENT_SECONDS)


def _told(heard: _Heard) -> tuple[object, ...]:
    wish = heard.demand.wish() if heard.demand else None
    return heard.run, heard.unreachable, heard.registered, wish, heard.mismatches


def _same_time(one: datetime | None, other: datetime | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs((one - other).total_seconds()) < _SAME_SECONDS
