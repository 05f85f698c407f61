"""Whether a service of the site answers one HTTP request as sessions need it to: in this process.

Unlike the clients of cache and pool, aiohttp holds neither the interpreter nor a token.
"""

import json
import os
import time
from dataclasses import replace
from typing import Final

import aiohttp

from casita.clients.checking.request import CheckAnswer, CheckReason, ServiceCheck
from casita.clients.process import clean

TIMEOUT_SECONDS: Final = 10.0

_MAX_BODY: Final = 4096
_MAX_WORDS: Final = 300
_REFUSALS: Final = frozenset({401, 403, 422})
"""422 is what ServiceX says to a token that is signed with another key."""


async def check_service(request: ServiceCheck, seconds: float = TIMEOUT_SECONDS) -> CheckAnswer:
    """Ask a service; whatever becomes of the request becomes an answer."""
    began = time.monotonic()
    answer = await _ask(request, seconds)
    secrets = (request.token,) if request.token else ()
    took = round(time.monotonic() - began, 3)
    return replace(answer, message=clean(answer.message, secrets), seconds=took)


async def _ask(request: ServiceCheck, seconds: float) -> CheckAnswer:
    headers = {"Authorization": f"Bearer {request.token}"} if request.token else {}
    timeout = aiohttp.ClientTimeout(total=seconds)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(
                request.method, request.url, headers=headers, allow_redirects=False
            ) as found,
        ):
            body = await found.content.read(_MAX_BODY)
            return _read(request, found.status, body)
    except TimeoutError:
        text = f"{request.what} gives no answer within {seconds:g} s"
        return CheckAnswer(CheckReason.NO_ANSWER, text)
    except (aiohttp.ClientError, OSError) as error:
        text = f"{request.what} is not reached: {_why(error)}"
        return CheckAnswer(CheckReason.UNREACHABLE, text)


def _read(request: ServiceCheck, status: int, body: bytes) -> CheckAnswer:
    if 200 <= status < 300:
        return CheckAnswer(CheckReason.ANSWERED, f"{request.what} answers")
    text = f"{request.what} says {status}"
    if words := _words(body):
        text += f": {words}"
    refused = request.token and status in _REFUSALS
    return CheckAnswer(CheckReason.TOKEN_REFUSED if refused else CheckReason.NOT_UNDERSTOOD, text)


def _words(body: bytes) -> str:
    """Return what a server says for people, in one line."""
    text = body.decode("utf-8", "replace")
    try:
        said = json.loads(text)
    except ValueError:
        said = None
    if isinstance(said, dict):
        found = (said.get(name) for name in ("message", "msg", "error"))
        text = next((word for word in found if isinstance(word, str)), text)
    return " ".join(text.split())[:_MAX_WORDS]


def _why(error: Exception) -> str:
    """Return why there was no connection, without addresses that change from time to time."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "there is no such name"
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, OSError) and cause.errno and cause.errno > 0:
        return os.strerror(cause.errno)  # asyncio's own words have the address
    return str(cause) or type(error).__name__
