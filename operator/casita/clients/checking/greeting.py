"""Why XRootD's client got no connection: its words are few, and the same for different faults.

Speaks the first lines of the xroot protocol (version 5 specification, "Handshake" and
"kXR_protocol Request") and the TLS handshake that follows, as that client does.
"""

import socket
import ssl
import struct
from typing import Final

from casita.clients.checking.request import CheckAnswer, CheckReason

_HELLO: Final = struct.pack("!5i", 0, 0, 0, 4, 2012)
_PROTOCOL: Final = 3006
_VERSION: Final = 0x511
"""5.1.1: from 5.0 on, a server says what it wants of TLS."""
_ABLE_TLS: Final = 0x02
_EXPECT_LOGIN: Final = 0x03
_HAVE_TLS: Final = 0x80000000
_MAX_BODY: Final = 4096


class _NoXrootError(Exception):
    """Whoever answered does not speak the protocol."""


def diagnose(
    host: str, port: int, what: str, authority_pem: str, seconds: float
) -> CheckAnswer | None:
    """Connect once more and say what is wrong with the server, or `None` if nothing was found.

    Args:
        host: the server's name, which its certificate must carry.
        port: TCP.
        what: how messages call the server.
        authority_pem: certificates, one of which has signed the server's.
        seconds: how long any single step may take.
    """
    try:
        with socket.create_connection((host, port), seconds) as plain:
            flags = _greet(plain)
            if not flags & _HAVE_TLS:
                return CheckAnswer(
                    CheckReason.CERTIFICATE_REFUSED,
                    f"{what} offers no TLS, without which no token is sent",
                )
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(cadata=authority_pem)
            with context.wrap_socket(plain, server_hostname=host):
                return None
    except (OSError, UnicodeError, _NoXrootError) as error:
        reason, why = _explain(error)
        return CheckAnswer(reason, f"{what}: {why}")


def _greet(plain: socket.socket) -> int:
    """Return the flags by which the server says what it is and can."""
    request = struct.pack("!2sHiBB10xi", b"\0\1", _PROTOCOL, _VERSION, _ABLE_TLS, _EXPECT_LOGIN, 0)
    plain.sendall(_HELLO + request)
    _answer(plain)
    body = _answer(plain)
    if len(body) < 8:
        raise _NoXrootError
    flags: int = struct.unpack("!iI", body[:8])[1]
    return flags


def _answer(plain: socket.socket) -> bytes:
    _, status, length = struct.unpack("!2sHi", _read(plain, 8))
    if status != 0 or not 0 <= length <= _MAX_BODY:
        raise _NoXrootError
    return _read(plain, length)


def _read(plain: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        piece = plain.recv(size - len(found))
        if not piece:
            raise _NoXrootError
        found += piece
    return found


def _explain(error: Exception) -> tuple[CheckReason, str]:
    match error:
        case _NoXrootError():
            return CheckReason.NOT_UNDERSTOOD, "whoever answers there is no XRootD server"
        case ssl.SSLCertVerificationError():
            why = f"its certificate is not accepted: {error.verify_message}"
            return CheckReason.CERTIFICATE_REFUSED, why
        case ssl.SSLError():
            why = f"the TLS handshake failed: {error.reason or type(error).__name__}"
            return CheckReason.CERTIFICATE_REFUSED, why
        case ConnectionResetError() | BrokenPipeError():
            return CheckReason.NOT_UNDERSTOOD, "whoever answers there ends the connection"
        case TimeoutError():
            return CheckReason.NO_ANSWER, "no answer in time"
        case _:
            why = getattr(error, "strerror", None) or type(error).__name__
            return CheckReason.UNREACHABLE, f"no connection: {why}"
