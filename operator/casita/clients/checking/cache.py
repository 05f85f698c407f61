"""The check of the data cache: what a worker does, by the client that it does it with.

Tokens go by ``ztn``: the client looks for ``bt_u<uid>`` in ``$XDG_RUNTIME_DIR``, wants it private,
and sends it over TLS alone (``src/XrdSecztn`` of XRootD).
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from casita.clients.checking.greeting import diagnose
from casita.clients.checking.request import CacheCheck, CheckAnswer, CheckReason

BYTES: Final = 1024
"""Read the probe file; XRootD's smallest unit of caching is larger."""

_DIAGNOSIS_SECONDS: Final = 5.0
_CONNECT_SECONDS: Final = 10

_ERROR_RESPONSE: Final = 400
_TLS_ERROR: Final = 110
_LOGIN_FAILED: Final = frozenset({203, 204})
_TIMED_OUT: Final = frozenset({103, 206})
"""The client's own codes (``src/XrdCl/XrdClStatus.hh``)."""

_NOT_AUTHORIZED: Final = 3010
_NOT_FOUND: Final = 3011
_IS_DIRECTORY: Final = 3016
_BEHIND: Final = frozenset({3005, 3007, 3012, 3014, 3029, 3034, 3035})
"""How a proxy passes on that the server behind it was not reached, failed, or gave no answer in
time (``XErrorCode`` of ``src/XProtocol/XProtocol.hh``, as the other numbers)."""


def check_cache(request: CacheCheck, seconds: int, step: Callable[[str], None]) -> CheckAnswer:
    """Read the probe file, and ask the origin for a name; whichever of them is configured.

    Args:
        request: what to check.
        seconds: how long one answer may take.
        step: is told what is about to be done.
    """
    _prepare(request, seconds)
    # Only now: the library reads its environment when it is loaded.
    from XRootD import client

    root = f"root://{request.host}:{request.port}/"
    done = []
    if request.path is not None:
        step(f"read {request.path} from {request.what}")
        file = client.File()
        status, _ = file.open(f"{root}{request.path}", 0, 0, seconds)
        if status.ok:
            status, data = file.read(0, BYTES, seconds)
            if status.ok and not data:
                return CheckAnswer(
                    CheckReason.NO_SUCH_FILE, f"{request.path} at {request.what} is empty"
                )
        if not status.ok:
            return _failure(request, request.path, status)
        done.append(f"{request.what} gave {request.path}")
    if request.origin_path is not None:
        step(f"ask {request.what} for {request.origin_path}")
        status, _ = client.FileSystem(root).stat(request.origin_path, seconds)
        if not (status.ok or status.errno == _NOT_FOUND):
            return _failure(request, request.origin_path, status)
        done.append(f"the origin behind {request.what} answers")
    return CheckAnswer(CheckReason.ANSWERED, "; ".join(done) or f"{request.what}: nothing to read")


def _prepare(request: CacheCheck, seconds: int) -> None:
    private = Path(os.environ["XDG_RUNTIME_DIR"])
    authority = private / "ca.pem"
    authority.write_text(request.authority_pem)
    token = private / f"bt_u{os.geteuid()}"
    with os.fdopen(os.open(token, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(request.token)
    os.environ.update(
        X509_CERT_FILE=str(authority),
        XrdSecPROTOCOL="ztn",
        XRD_CONNECTIONWINDOW=str(min(seconds, _CONNECT_SECONDS)),
        XRD_CONNECTIONRETRY="1",
        XRD_REQUESTTIMEOUT=str(seconds),
        XRD_STREAMTIMEOUT=str(seconds),
        XRD_STREAMERRORWINDOW="0",
        XRD_TIMEOUTRESOLUTION="1",
    )


def _failure(request: CacheCheck, path: str, status: Any) -> CheckAnswer:
    if status.code == _ERROR_RESPONSE:
        return _refusal(request, path, status.errno, _words(status))
    # Not that the server said no, but that there was no talk: a second look tells why.
    found = diagnose(
        request.host, request.port, request.what, request.authority_pem, _DIAGNOSIS_SECONDS
    )
    if found is not None:
        return found
    if status.code in _LOGIN_FAILED:
        return CheckAnswer(
            CheckReason.TOKEN_REFUSED,
            f"{request.what} refuses the operator's token: another key, another site name, a life "
            "longer than its macaroons.maxduration, or clocks apart",
        )
    if status.code == _TLS_ERROR:
        return CheckAnswer(
            CheckReason.CERTIFICATE_REFUSED,
            f"{request.what}: its certificate is not accepted by XRootD's client",
        )
    if status.code in _TIMED_OUT:
        return CheckAnswer(CheckReason.NO_ANSWER, f"{request.what} gave no answer for {path}")
    return CheckAnswer(CheckReason.NOT_UNDERSTOOD, f"{request.what}, {path}: {_words(status)}")


def _refusal(request: CacheCheck, path: str, number: int, words: str) -> CheckAnswer:
    if number == _NOT_AUTHORIZED:
        return CheckAnswer(
            CheckReason.PERMISSION_DENIED,
            f"{request.what} accepts the operator's token and does not open {path}: the "
            "path is not exported, or the origin denies it to the cache",
        )
    if number == _NOT_FOUND:
        return CheckAnswer(
            CheckReason.NO_SUCH_FILE,
            f"{request.what} and its origin answer, and have no file {path}",
        )
    if number == _IS_DIRECTORY:
        return CheckAnswer(
            CheckReason.NO_SUCH_FILE, f"{path} at {request.what} is a directory, not a file"
        )
    if number in _BEHIND:
        return CheckAnswer(
            CheckReason.ORIGIN_UNAVAILABLE,
            f"{request.what} answers, and cannot get {path} from its origin: {words}",
        )
    return CheckAnswer(CheckReason.NOT_UNDERSTOOD, f"{request.what}, {path}: {words}")


def _words(status: Any) -> str:
    """Return the server's own words, on one line."""
    return " ".join(str(status.message).split())[:300]
