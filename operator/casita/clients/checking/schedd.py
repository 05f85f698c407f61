"""The check of the schedd: found at the collector and asked, with an IDTOKEN and nothing else.

HTCondor's bindings hold the interpreter while they wait, and their errors do not say why; the
library's own log does, so its lines are read (``src/condor_io``: ``condor_secman.cpp``,
``condor_auth_passwd.cpp``, ``sock.cpp``). Lines of another version that say it otherwise make the
message poorer, not wrong.
"""

import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from casita.clients.checking.request import CheckAnswer, CheckReason, ScheddCheck

SETTINGS: Final = {
    "CONDOR_CONFIG": "/dev/null",
    "_condor_SEC_CLIENT_AUTHENTICATION": "REQUIRED",
    "_condor_SEC_CLIENT_AUTHENTICATION_METHODS": "IDTOKENS",
    "_condor_SEC_CLIENT_ENCRYPTION": "REQUIRED",
    "_condor_TOOL_DEBUG": "D_SECURITY",
}
"""Authentication is required by the client, or a pool that asks none of readers would prove
nothing."""

_MAX_LOG: Final = 65_536

T = TypeVar("T")


class RefusedError(Exception):
    """HTCondor's library could not do it; holds what its log says, and its own words."""

    def __init__(self, reason: CheckReason, why: str, words: str) -> None:
        super().__init__(why)
        self.reason = reason
        self.words = words


def check_schedd(request: ScheddCheck, log: Path, step: Callable[[str], None]) -> CheckAnswer:
    """Find the schedd and let it say who the token's holder is, on each level asked for.

    Args:
        request: what to check.
        log: where this process's error output goes.
        step: is told what is about to be done.
    """
    private = Path(os.environ["XDG_RUNTIME_DIR"]) / "tokens.d"
    private.mkdir(mode=0o700)
    os.environ.update(SETTINGS, _condor_SEC_TOKEN_DIRECTORY=str(private))
    # Only now: the library reads its environment when it is loaded.
    import htcondor2

    htcondor2.enable_debug()
    # By value: HTCondor needs no file of it.
    security = htcondor2.SecurityContext(request.token)

    ask = partial(told, log)
    where = f"the collector {request.collector}"
    try:
        step(f"find {request.what}")
        collector = htcondor2.Collector(request.collector, security)
        found = ask(partial(collector.locate, htcondor2.DaemonType.Schedd, request.schedd))
        if found is None:
            others = ask(partial(collector.locateAll, htcondor2.DaemonType.Schedd))
            return CheckAnswer(
                CheckReason.NO_SUCH_SCHEDD, no_such(request.collector, request.schedd, others)
            )
        for level in request.levels:
            step(f"ask {request.what} for {level}")
            where = f"{request.what} at {address(found)}, asked for {level}"
            ask(partial(htcondor2.ping, found, level, security))
    except RefusedError as error:
        return CheckAnswer(error.reason, f"{where}: {error}")
    levels = " and ".join(request.levels)
    return CheckAnswer(CheckReason.ANSWERED, f"{request.what} grants {levels} to the operator")


def told(log: Path, call: Callable[[], T]) -> T:
    """Let HTCondor's library do something; if it fails, find the reason in its log.

    Args:
        log: where the library writes.
        call: what it is to do.

    Raises:
        RefusedError: it failed.
    """
    # Only here: the library reads its environment when it is loaded.
    import htcondor2

    begin = log.stat().st_size
    try:
        return call()
    except htcondor2.HTCondorException as error:
        words = " ".join(str(error).split())
        raise RefusedError(*explain(_since(log, begin), words), words) from None


def _since(log: Path, begin: int) -> str:
    with log.open("rb") as file:
        file.seek(begin)
        return file.read(_MAX_LOG).decode(errors="replace")


def explain(log: str, error: str) -> tuple[CheckReason, str]:
    """Return why the library failed, of the lines that it has logged meanwhile.

    Args:
        log: the lines.
        error: the exception's words, for what no line explains.
    """
    for pattern, reason, text in _MEANINGS:
        match = re.search(pattern, log)
        if match:
            return reason, text.format(*match.groups())
    return CheckReason.NOT_UNDERSTOOD, error.strip() or "failed without a word"


_MEANINGS: Final = (
    (
        r"token as it is from trust domain (\S{1,200}) \(server trust domain is ([^)\s]{1,200})\)",
        CheckReason.TOKEN_REFUSED,
        "tokens are made for the trust domain {0}, and the pool's is {1}",
    ),
    (
        r"token as it was signed with key (\S{1,200}) \(not known to the server\)",
        CheckReason.TOKEN_REFUSED,
        "the pool has no signing key named {0}",
    ),
    (
        r"Hash supplied by server doesn't match",
        CheckReason.TOKEN_REFUSED,
        "the pool's signing key of that name is another than the operator's",
    ),
    (
        r'Received "DENIED" from server for user (\S{1,200})',
        CheckReason.PERMISSION_DENIED,
        "it accepts the token and denies {0}; see ALLOW_READ and ALLOW_WRITE in its configuration",
    ),
    (
        r"AUTHENTICATE:100[34]",
        CheckReason.TOKEN_REFUSED,
        "the token is refused: revoked, clocks apart, or IDTOKENS not among the pool's methods",
    ),
    (
        r"attempt to connect to \S{1,300} failed: ([^(\n]{1,100}?) \(",
        CheckReason.UNREACHABLE,
        "no connection: {0}",
    ),
    (r"Can't resolve ", CheckReason.UNREACHABLE, "no connection: no such name"),
    (r"timeout reading", CheckReason.NO_ANSWER, "no answer"),
    (
        r"no classad from server|Failed to read packet header|IO: ",
        CheckReason.NOT_UNDERSTOOD,
        "whoever answers there does not speak HTCondor's protocol",
    ),
)
"""First match counts: the particular before the general."""


def address(ad: Any) -> str:
    """Return host and port of a daemon's address, which has more in it that changes."""
    match = re.match(r"<([^?>]{1,200})", str(ad.get("MyAddress", "")))
    return match.group(1) if match else "an unknown address"


def no_such(collector: str, schedd: str, others: list[Any]) -> str:
    """Return what to tell of a schedd that a collector does not know; it knows `others`."""
    names = sorted(str(ad.get("Name")) for ad in others)
    known = f"it knows {', '.join(names[:5])}" if names else "it knows none"
    return f"the collector {collector} knows no schedd named {schedd}; {known}"
