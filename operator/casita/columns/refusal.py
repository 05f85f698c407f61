"""How the front door says no: one error, with a word for metrics and plain words for people."""

from enum import StrEnum


class Reason(StrEnum):
    """Why something was refused, as metrics count it."""

    NO_TOKEN = "no-token"  # noqa: S105 - a word
    TOKEN = "token"  # noqa: S105 - a word
    EXPIRED = "expired"
    SESSION_OVER = "session-over"
    NOT_YOURS = "not-yours"
    NOT_SERVED = "not-served"
    INTERNAL = "internal"
    IMAGE = "image"
    REQUEST = "request"
    TOO_LARGE = "too-large"
    UNAVAILABLE = "unavailable"


class RefusedError(Exception):
    """A call that is not served; the message is for whoever made it, and holds no secret."""

    def __init__(self, status: int, reason: Reason, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.reason = reason
        self.words = words
