"""Asking an XRootD server, without logging in, whether it speaks, and by which certificate.

The messages are those of "XRootD Protocol Specification" 5.2: handshake (section 2.2) and
``kXR_protocol`` (section 4.19); integers are big-endian.
"""

import socket
import ssl
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

_HANDSHAKE: Final = struct.pack(">5i", 0, 0, 0, 4, 2012)
_PROTOCOL: Final = 3006
_VERSION: Final = 0x520
_ABLE_TLS: Final = 0x02
_WANT_TLS: Final = 0x04
_EXPECT_LOGIN: Final = 3
_GOTO_TLS: Final = 0x40000000
_HEADER: Final = struct.Struct(">2sHi")
_LARGEST_ANSWER: Final = 4096


class ProbeError(Exception):
    """The server does not answer as an XRootD server does; the message says how far it came."""


@dataclass(frozen=True)
class Answer:
    """What a server said of itself.

    Attributes:
        version: protocol version, for instance 0x520.
        certificate: the certificate that it showed, as DER; `None` if it was not asked for TLS.
    """

    version: int
    certificate: bytes | None = None


def ask(host: str, port: int, *, timeout: float, tls: bool = False) -> Answer:
    """Speak to a server up to where it would want a login.

    The certificate is shown, not verified: whether it is the right one is the caller's question.

    Raises:
        ProbeError: no answer in time, no XRootD server, or no TLS though it was asked for.
    """
    step = "connecting"
    try:
        with socket.create_connection((host, port), timeout) as raw:
            step = "handshake"
            wanted = _ABLE_TLS | _WANT_TLS if tls else 0
            request = struct.pack(
                ">2sHiBB10xi", b"\0\0", _PROTOCOL, _VERSION, wanted, _EXPECT_LOGIN, 0
            )
            raw.sendall(_HANDSHAKE + request)
            _read_answer(raw)
            step = "protocol"
            version, flags = struct.unpack(">iI", _read_answer(raw)[:8])
            if not tls:
                return Answer(version)
            if not flags & _GOTO_TLS:
                raise ProbeError(f"{host}:{port} does not offer TLS")
            step = "TLS handshake"
            with _context().wrap_socket(raw, server_hostname=host) as secured:
                certificate = secured.getpeercert(binary_form=True)
                with suppress(OSError):
                    secured.unwrap()  # a server writes an error for a client that just goes
                return Answer(version, certificate)
    except (OSError, struct.error) as error:
        raise ProbeError(f"{host}:{port} fails at {step}: {error}") from error


def _read_answer(raw: socket.socket) -> bytes:
    _, status, length = _HEADER.unpack(_read(raw, _HEADER.size))
    if status != 0 or not 0 <= length <= _LARGEST_ANSWER:
        raise ProbeError(f"answer with status {status} and {length} bytes")
    return _read(raw, length)


def _read(raw: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        more = raw.recv(size - len(found))
        if not more:
            raise ProbeError(f"the connection was closed after {len(found)} of {size} bytes")
        found += more
    return found


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
