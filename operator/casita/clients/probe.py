"""Proof of a route: a TLS connection through the gateway by the session's host name."""

import asyncio
import ssl
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

TIMEOUT_SECONDS: Final = 5.0


class Meeting(Enum):
    """What a probe met at the other end."""

    OURS = auto()
    STRANGER = auto()
    NOBODY = auto()


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """What a probe met, and the error's words."""

    meeting: Meeting
    message: str = ""


async def probe(address: str, port: int, host: str, authority_der: bytes) -> ProbeAnswer:
    """Connect to the gateway, name `host` by SNI, and see whose certificate answers.

    The certificate must be of the session's own authority and carry `host`, by the strict rules of
    RFC 5280. No client certificate is sent: under TLS 1.3 the server has proven itself before it
    asks, so the answer is known although the scheduler then ends the connection.
    """
    try:
        context = _context(authority_der)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            _, writer = await asyncio.open_connection(
                address, port, ssl=context, server_hostname=host
            )
            writer.close()  # not awaited: the scheduler's refusal of a nameless client is no news
    except ssl.SSLCertVerificationError as error:
        return ProbeAnswer(
            Meeting.STRANGER, f"{host} met another certificate: {error.verify_message}"
        )
    except TimeoutError:
        return ProbeAnswer(
            Meeting.NOBODY, f"{address}:{port} gave no answer for {host} in {TIMEOUT_SECONDS:g} s"
        )
    except (OSError, ssl.SSLError, UnicodeError) as error:
        return ProbeAnswer(
            Meeting.NOBODY, f"{address}:{port} for {host}: {str(error) or repr(error)}"
        )
    return ProbeAnswer(Meeting.OURS)


def _context(authority_der: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_verify_locations(cadata=authority_der)
    return context
