"""Questions to a Prometheus server, by its HTTP API (prometheus.io, "HTTP API", v1).

An answer is ``{"status": "success", "data": {"resultType": "vector", "result": [{"metric": {label:
value}, "value": [time, "number"]}]}}``; an error, with status 400, 422 or 503, is ``{"status":
"error", "errorType": ..., "error": ...}``.
"""

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

TIMEOUT_SECONDS: Final = 120.0
"""Prometheus itself gives up a query after two minutes."""


class PrometheusError(Exception):
    """The server was not reached, refused, or is none; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One row of an instant vector."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Server:
    """A Prometheus server, or what speaks its API.

    Attributes:
        url: its address, with a path where it is not at the root.
        token_file: holds a bearer token, where one is asked for.
        authority_file: PEM, where the system's authorities are not the server's.
    """

    url: str
    token_file: Path | None = None
    authority_file: Path | None = None


async def query(server: Server, expression: str, at: datetime) -> list[Sample]:
    """Return the vector that an expression has at a moment.

    Raises:
        PrometheusError: there is no such answer.
    """
    target = f"{server.url.rstrip('/')}/api/v1/query"
    form = {"query": expression, "time": f"{at.timestamp():.3f}"}
    headers, context = _headers(server), _context(server)
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(TIMEOUT_SECONDS)) as session,
            session.post(
                target, data=form, headers=headers, ssl=context, allow_redirects=False
            ) as answer,
        ):
            return _samples(target, answer.status, await answer.read())
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        text = str(error) or f"no answer within {TIMEOUT_SECONDS:g} s"
        raise PrometheusError(
            f"{target}: {text}; is it Prometheus' address, and can it be reached from here? "
            "Inside a cluster, `kubectl port-forward` to its Service leads there"
        ) from error


def _headers(server: Server) -> dict[str, str]:
    if server.token_file is None:
        return {}
    if urlsplit(server.url).scheme != "https":
        raise PrometheusError(f"{server.url}: a token is sent by https:// alone")
    try:
        return {"Authorization": f"Bearer {server.token_file.read_text('ascii').strip()}"}
    except (OSError, UnicodeDecodeError):
        raise PrometheusError(f"{server.token_file}: no token can be read from it") from None


def _context(server: Server) -> ssl.SSLContext | bool:
    if server.authority_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=server.authority_file)
    except OSError as error:  # the ssl module's own, too, which name no file
        raise PrometheusError(f"{server.authority_file}: no certificates: {error}") from error


def _samples(target: str, status: int, body: bytes) -> list[Sample]:
    try:
        answer = json.loads(body)
        if answer["status"] == "success" and answer["data"]["resultType"] == "vector":
            return [_sample(row) for row in answer["data"]["result"]]
        said = f"{answer['errorType']}: {answer['error']}"
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise PrometheusError(f"{target}: {_stranger(status)}") from error
    raise PrometheusError(f"{target} answers {status}, {said}")


def _sample(row: Mapping[str, Any]) -> Sample:
    return Sample(dict(row["metric"]), float(row["value"][1]))


def _stranger(status: int) -> str:
    if status in (401, 403):
        return f"it answers {status}: give a file with a bearer token that it accepts"
    if status in (404, 405):
        return f"it answers {status}: give the address before /api/v1, its path included"
    return f"it answers {status} and not as Prometheus does; is this its address?"
