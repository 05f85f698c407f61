"""What conditions are made of: a verdict, and what is known beside a session's children."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from casita.api.conditions import ConditionType, Reason
from casita.clients.checking.request import CheckAnswer


@dataclass(frozen=True, slots=True)
class Verdict:
    """One condition without its bookkeeping."""

    status: bool | None
    reason: Reason
    message: str = ""


def told_before(
    previous: Mapping[str, Any], kind: ConditionType, reasons: Collection[Reason]
) -> Verdict | None:
    """Return what the last status told of a condition, if it was by one of the checks' reasons.

    Before they have answered, a restarted operator knows no more.
    """
    for condition in previous.get("conditions") or ():
        found = condition["type"] == kind and condition["status"] != "Unknown"
        if found and condition["reason"] in reasons:
            status, reason = condition["status"] == "True", Reason(condition["reason"])
            return Verdict(status, reason, condition.get("message", ""))
    return None


@dataclass(frozen=True, slots=True)
class Probe:
    """What the last connection through the gateway met."""

    reached: bool
    reason: Reason = Reason.CONNECTED
    message: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    """What is known beside the children.

    Attributes:
        problems: what could not be done in this pass, by the condition that it concerns.
        probe: last proof of the route; `None` before the first.
        unreachable: workers that the scheduler cannot dial, with the error it met.
        answers: what the site's parts last answered the operator.
        mismatches: lines by the scheduler on versions that differ.
    """

    problems: Mapping[ConditionType, Verdict]
    probe: Probe | None = None
    unreachable: Mapping[str, str] | None = None
    answers: Mapping[str, CheckAnswer] = field(default_factory=dict)
    mismatches: tuple[str, ...] = ()
