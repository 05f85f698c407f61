"""Jobs as HTCondor tells them: which to ask for, and what their ads say.

Attributes and their numbers: HTCondor's manual, "Job ClassAd Attributes".
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from casita.clients.batch.directives import WORKER_ATTRIBUTE
from casita.clients.batch.jobs import (
    POOL_ATTRIBUTE,
    RUN_ATTRIBUTE,
    SESSION_ATTRIBUTE,
    Job,
    JobState,
)

PROJECTION: Final = (
    "ClusterId",
    "ProcId",
    "JobStatus",
    "EnteredCurrentStatus",
    "QDate",
    "NumJobStarts",
    "HoldReason",
    "HoldReasonCode",
    "LastRejMatchReason",
    "VacateReason",
    WORKER_ATTRIBUTE,
    RUN_ATTRIBUTE,
    POOL_ATTRIBUTE,
)

MAX_REASON: Final = 400

_HELD: Final = 5
_SPOOLING_INPUT: Final = 16
"""``HoldReasonCode`` of a job whose files are still to come."""

_STATES: Final = {
    1: JobState.IDLE,
    2: JobState.RUNNING,
    3: JobState.LEAVING,
    4: JobState.LEAVING,
    _HELD: JobState.HELD,
    6: JobState.LEAVING,
    7: JobState.RUNNING,
}
"""By ``JobStatus``: 3 is removed, 4 completed, 6 sends its output, 7 is suspended."""

_IDS_AT_ONCE: Final = 100
"""Expressions are read by recursion: so many terms are no strain for any version."""


def belongs_to(session: str, owner: str) -> str:
    """Return the constraint by which one session's jobs of its own user are found.

    Raises:
        ValueError: the session's uid or the user's name is malformed.
    """
    for text in (session, owner):
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", text):
            raise ValueError(f"no constraint of jobs can be made with {text!r}")
    return f'{SESSION_ATTRIBUTE} =?= "{session}" && Owner =?= "{owner}"'


def constraints(session: str, owner: str, ids: Iterable[str] | None) -> list[str]:
    """Return constraints that together mean jobs of a session, all of them for `None`.

    Raises:
        ValueError: an id is none of HTCondor's, or as in `belongs_to`.
    """
    ours = belongs_to(session, owner)
    if ids is None:
        return [ours]
    terms = [_term(text) for text in ids]
    return [
        f"{ours} && ({' || '.join(terms[start : start + _IDS_AT_ONCE])})"
        for start in range(0, len(terms), _IDS_AT_ONCE)
    ]


def _term(job: str) -> str:
    match = re.fullmatch(r"([0-9]{1,10})\.([0-9]{1,10})", job)
    if not match:
        raise ValueError(f"{job!r} is no id of a job")
    return f"(ClusterId == {match[1]} && ProcId == {match[2]})"


def read_job(ad: Mapping[str, Any]) -> Job:
    """Return what an ad says of a job."""
    state = _state(ad)
    starts = _number(ad, "NumJobStarts")
    queued_at = _number(ad, "QDate")
    return Job(
        id=f"{_number(ad, 'ClusterId')}.{_number(ad, 'ProcId')}",
        worker=_text(ad, WORKER_ATTRIBUTE),
        pool=_text(ad, POOL_ATTRIBUTE),
        run=_text(ad, RUN_ATTRIBUTE),
        state=state,
        since=_number(ad, "EnteredCurrentStatus") or queued_at,
        queued_at=queued_at,
        starts=starts,
        reason=_reason(ad, state, starts),
    )


def _state(ad: Mapping[str, Any]) -> JobState:
    number = _number(ad, "JobStatus")
    if number == _HELD and _number(ad, "HoldReasonCode") == _SPOOLING_INPUT:
        return JobState.SPOOLING
    # A status that only a later HTCondor knows is none in which the job has left.
    return _STATES.get(number, JobState.IDLE)


def _reason(ad: Mapping[str, Any], state: JobState, starts: int) -> str:
    match state:
        case JobState.HELD:
            text = _text(ad, "HoldReason")
        case JobState.IDLE if starts:
            text = _text(ad, "VacateReason")
        case JobState.IDLE:
            text = _text(ad, "LastRejMatchReason")
        case _:
            text = ""
    return " ".join(text.split())[:MAX_REASON]


def _number(ad: Mapping[str, Any], name: str) -> int:
    value = ad.get(name)
    return value if isinstance(value, int) else 0


def _text(ad: Mapping[str, Any], name: str) -> str:
    value = ad.get(name)
    return value if isinstance(value, str) else ""
