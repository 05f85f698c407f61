"""What a site check's answer means to sessions: a condition's status and reason."""

from collections.abc import Mapping
from typing import Final

from casita.api.conditions import Reason
from casita.clients.checking.request import CheckAnswer, CheckReason

Reasons = Mapping[CheckReason, Reason]

CACHE_REASONS: Final[Reasons] = {
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

SCHEDD_REASONS: Final[Reasons] = {
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


def _of_service(unreachable: Reason, refused: Reason) -> Reasons:
    return {
        CheckReason.ANSWERED: Reason.ANSWERED,
        CheckReason.UNREACHABLE: unreachable,
        CheckReason.NO_ANSWER: unreachable,
        CheckReason.NOT_UNDERSTOOD: unreachable,
        CheckReason.TOKEN_REFUSED: refused,
        CheckReason.CHECK_FAILED: Reason.NOT_TRIED,
    }


INFERENCE_REASONS: Final = _of_service(Reason.INFERENCE_UNREACHABLE, Reason.INFERENCE_UNREACHABLE)
TRACKING_REASONS: Final = _of_service(Reason.TRACKING_UNREACHABLE, Reason.TRACKING_REFUSED)
COLUMNS_REASONS: Final = _of_service(Reason.COLUMNS_UNREACHABLE, Reason.COLUMNS_REFUSED)


def told(answer: CheckAnswer | None, reasons: Reasons) -> tuple[bool | None, Reason, str]:
    """Return status, reason and message of a condition that rests on a check.

    Args:
        answer: the check's verdict; `None` before the first.
        reasons: those of the part, such as `CACHE_REASONS`.
    """
    if answer is None:
        return None, Reason.NOT_TRIED, "being tried"
    reason = reasons[answer.reason]
    return None if reason is Reason.NOT_TRIED else answer.ok, reason, answer.message
