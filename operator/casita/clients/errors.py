"""One error for whatever the Kubernetes API answers, naming the object it was about."""

import json


class ApiError(Exception):
    """The API server refused, failed or was not reached.

    Attributes:
        status: HTTP status, 0 if no answer came.
        reason: the server's machine-readable reason, e.g. ``AlreadyExists``.
        causes: reasons of the details, e.g. ``NamespaceTerminating``.
        retry_after: seconds that the server asks to wait, if it does.
    """

    def __init__(
        self,
        what: str,
        status: int,
        reason: str = "",
        message: str = "",
        causes: tuple[str, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{what}: {status or 'no answer'} {reason} {message}".strip())
        self.status = status
        self.reason = reason
        self.message = message
        self.causes = causes
        self.retry_after = retry_after

    @property
    def name_exists(self) -> bool:
        """Whether an object could not be created because its name is taken."""
        return self.status == 409 and self.reason == "AlreadyExists"

    @property
    def namespace_is_terminating(self) -> bool:
        """Whether it was refused because the namespace is being deleted."""
        return "NamespaceTerminating" in self.causes


def from_answer(what: str, status: int, body: bytes, retry_after: str | None) -> ApiError:
    """Build the error from an HTTP answer whose body is (usually) a ``Status`` object."""
    try:
        answer = json.loads(body)
    except ValueError:
        answer = {"message": body[:200].decode(errors="replace")}
    causes = (answer.get("details") or {}).get("causes") or ()
    return ApiError(
        what,
        status,
        answer.get("reason", ""),
        answer.get("message", ""),
        tuple(cause.get("reason", "") for cause in causes),
        float(retry_after) if retry_after and retry_after.isdigit() else None,
    )
