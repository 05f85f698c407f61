"""What a site check's answer means to sessions: a condition's status and reason."""

from collections.abc import Mapping
from typing import Final

from casita.api.conditions import Reason
from casita.clients.checking.request import CheckAnswer, CheckReason

CACHE_REASONS: Final[Mapping[CheckReason, Reason]] = {
    CheckReason.ANSWERED: Reason.READABLE,
    CheckReason.UNREACHABLE: Reason.CACHE_UNREACHABLE,
    CheckReason.NO_ANSWER: Reason.CACHE_UNREACHABLE,
    CheckReason.NOT_UNDERSTOOD: Reason.CACHE_UNREACHABLE,
    CheckReason.CERTIFICATE_REFUSED: Reason.CACHE_UNREACHABLE,
    CheckReason.TOKEN_REFUSED: Reason.CACHE_REFUSED,
    CheckReason.PERMISSION_DENIED: Reason.CACHE_REFUSED,
    CheckReason.NO_SUCH_FILE: Reason.ORIGIN_UNREACHABLE,
    CheckReason.ORIGIN_UNAVAILABLE: Reason.ORIGIN_UNREACHABLE,
    CheckReason.KEY_UNUSABLE: Reason.SIGNING_KEY_UNUSABLE,
    CheckReason.CHECK_FAILED: Reason.NOT_TRIED,
}

SCHEDD_REASONS: Final[Mapping[CheckReason, Reason]] = {
    CheckReason.ANSWERED: Reason.SERVED,
    CheckReason.UNREACHABLE: Reason.SCHEDD_UNREACHABLE,
    CheckReason.NO_ANSWER: Reason.SCHEDD_UNREACHABLE,
    CheckReason.NOT_UNDERSTOOD: Reason.SCHEDD_UNREACHABLE,
    CheckReason.NO_SUCH_SCHEDD: Reason.SCHEDD_UNREACHABLE,
    CheckReason.TOKEN_REFUSED: Reason.SCHEDD_REFUSED,
    CheckReason.PERMISSION_DENIED: Reason.SCHEDD_REFUSED,
    CheckReason.KEY_UNUSABLE: Reason.SIGNING_KEY_UNUSABLE,
    CheckReason.CHECK_FAILED: Reason.NOT_TRIED,
}


def told(
    answer: CheckAnswer | None, reasons: Mapping[CheckReason, Reason]
) -> tuple[bool | None, Reason, str]:
    """Return status, reason and message of a condition that rests on a check.

    Args:
        answer: the check's verdict; `None` before the first.
        reasons: `CACHE_REASONS` or `SCHEDD_REASONS`.
    """
    if answer is None:
        return None, Reason.NOT_TRIED, "being tried"
    reason = reasons[answer.reason]
    return None if reason is Reason.NOT_TRIED else answer.ok, reason, answer.message
