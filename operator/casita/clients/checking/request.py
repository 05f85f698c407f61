"""What to check and what came of it, as both sides of a check's pipe know it.

Standard library only: the program that checks starts anew for each check and imports this.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final


class CheckReason(StrEnum):
    """Why a check ended as it did: machine-readable; the message is for people."""

    ANSWERED = "Answered"
    """The part did what sessions need of it."""
    UNREACHABLE = "Unreachable"
    """No connection: no such name, refused, or no route."""
    NO_ANSWER = "NoAnswer"
    """A connection, and silence until the time was up."""
    NOT_UNDERSTOOD = "NotUnderstood"
    """Whoever answered does not speak the protocol, or says what the client does not know."""
    CERTIFICATE_REFUSED = "CertificateRefused"
    """The server's certificate is not of the authority, not of this host, or not valid now."""
    TOKEN_REFUSED = "TokenRefused"  # noqa: S105
    """The server does not accept the operator's token: other key, other domain, other clock."""
    PERMISSION_DENIED = "PermissionDenied"
    """The token was accepted and does not open what was asked for."""
    NO_SUCH_FILE = "NoSuchFile"
    """There is no file at the probe path."""
    ORIGIN_UNAVAILABLE = "OriginUnavailable"
    """The cache works, and where it gets its files from does not."""
    NO_SUCH_SCHEDD = "NoSuchSchedd"
    """The collector knows no schedd of this name."""
    KEY_UNUSABLE = "KeyUnusable"
    """No token could be made: the site's signing key is missing or damaged."""
    CHECK_FAILED = "CheckFailed"
    """The checking program itself failed; nothing is known of the part."""


@dataclass(frozen=True, slots=True)
class CacheCheck:
    """Whether data can be read through the XCache.

    Attributes:
        host: the cache, as sessions name it; its certificate must carry the name.
        port: TCP.
        token: macaroon.
        authority_pem: certificates, one of which has signed the cache's.
        path: file of which the first bytes are read.
        origin_path: a name that the origin does not hold, to hear of the origin itself: a file
            that the cache holds can be read although the origin is down.
    """

    host: str
    port: int
    token: str = field(repr=False)
    authority_pem: str = field(repr=False)
    path: str | None = None
    origin_path: str | None = None

    @property
    def what(self) -> str:
        """What is checked, in messages."""
        return f"the data cache {self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class ScheddCheck:
    """Whether the schedd can be found and lets a token's holder do what sessions do.

    Attributes:
        collector: ``host:port``.
        schedd: the ``Name`` of its ad, in full.
        token: IDTOKEN.
        levels: authorization levels that the schedd must grant.
    """

    collector: str
    schedd: str
    token: str = field(repr=False)
    levels: tuple[str, ...] = ("READ",)

    @property
    def what(self) -> str:
        """What is checked, in messages."""
        return f"the schedd {self.schedd} of the collector {self.collector}"


@dataclass(frozen=True, slots=True)
class Pods:
    """The pods behind a service, to say why it does not answer."""

    namespace: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ServiceCheck:
    """Whether a service answers one HTTP request as sessions need it to.

    Attributes:
        service: how messages call it.
        url: what is asked for.
        method: of HTTP.
        token: shown as a bearer's; empty if none is.
        pods: those behind it, if the operator may look at them.
    """

    service: str
    url: str
    method: str = "GET"
    token: str = field(default="", repr=False)
    pods: Pods | None = None

    @property
    def what(self) -> str:
        """What is checked, in messages."""
        return f"{self.service} at {self.url.partition('?')[0]}"


ProcessCheck = CacheCheck | ScheddCheck
"""A check that is a process of its own."""
CheckRequest = ProcessCheck | ServiceCheck

KINDS: Final[dict[str, type[CacheCheck] | type[ScheddCheck]]] = {
    "cache": CacheCheck,
    "schedd": ScheddCheck,
}


@dataclass(frozen=True, slots=True)
class CheckAnswer:
    """What a check found.

    Attributes:
        reason: in one word.
        message: for people; names host and path, no secret, and the same each time.
        seconds: how long it took.
    """

    reason: CheckReason
    message: str
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the part does what sessions need of it."""
        return self.reason is CheckReason.ANSWERED


def encode_request(request: ProcessCheck, seconds: float) -> bytes:
    """Return the program's input: a check that may take `seconds`."""
    kind = next(name for name, model in KINDS.items() if isinstance(request, model))
    return json.dumps({"check": kind, "timeout": seconds, **asdict(request)}).encode()


def decode_request(text: bytes) -> tuple[ProcessCheck, float]:
    """Read the program's input.

    Raises:
        ValueError: it is none.
    """
    try:
        fields: dict[str, Any] = json.loads(text)
        kind, seconds = KINDS[fields.pop("check")], float(fields.pop("timeout"))
        if "levels" in fields:
            fields["levels"] = tuple(fields["levels"])
        return kind(**fields), seconds
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"no request of a check: {type(error).__name__}") from error


def encode_answer(answer: CheckAnswer) -> str:
    """Return the program's last line of output."""
    return json.dumps({"ok": answer.ok, **asdict(answer)})


def decode_answer(line: str) -> CheckAnswer:
    """Read the program's last line of output.

    Raises:
        ValueError: it is no answer.
    """
    try:
        fields = json.loads(line)
        return CheckAnswer(
            CheckReason(fields["reason"]), str(fields["message"]), float(fields["seconds"])
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"no answer of a check: {line[:80]!r}") from error
