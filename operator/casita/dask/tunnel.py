"""The session's dashboard for a browser that has no certificate: a pipe of bytes into mutual TLS.

``python -m casita.dask.tunnel --socket PATH`` runs beside the user's Jupyter server, which lets
this user alone in and passes on what the browser asks (jupyter-server-proxy). Each connection is
led to the scheduler's dashboard with the client's certificate as its file holds it at that moment,
so a renewed one needs no restart. What passes is not read: pages and websockets do alike. And it
imports Python's own library alone, since it stands by in every notebook's pod.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import ssl
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

DIRECTORY: Final = Path("/etc/cmsaf-secrets")
"""As in `casita.dask.connect`, which needs all of distributed."""
DIAL_SECONDS: Final = 5.0
"""Until a silent scheduler is given up; less than a Jupyter server waits for this process."""
LINGER_SECONDS: Final = 10.0
"""Of silence, after which a dashboard has no more to say to a user who has ended."""
REFUSAL_SECONDS: Final = 2.0
"""In which a user may take a refusal."""

_CHUNK: Final = 65536  # bytes
_DISTRUST: Final = (
    "The scheduler and this server do not accept each other's certificates ({error}). They may be "
    "of different sessions, or no longer valid."
)
_REFUSAL: Final = """The Dask dashboard cannot be shown.

{reason}

Your notebook is not affected. Reload this page in a minute; if this stays, stop your server and
start it again.
"""


class TunnelError(Exception):
    """The dashboard cannot be reached; the message tells a user why, and holds no secret."""


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Where a session's dashboard is, and what to speak TLS with."""

    host: str
    port: int
    context: ssl.SSLContext


@dataclass(frozen=True, slots=True)
class Stream:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


def read_dashboard(directory: Path) -> Dashboard:
    """Return the dashboard that the session's files in `directory` name, with their certificate.

    The scheduler must have a certificate of the session's authority for the name that is dialled.

    Raises:
        TunnelError: a file is missing or malformed.
    """
    try:
        facts = json.loads((directory / "session.json").read_text())
        host, port = _host_and_port(facts["dashboardAddress"])
        context = ssl.create_default_context(cafile=directory / "ca.pem")
        # As distributed does (``distributed/security.py``); Python has it on from 3.13.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        # OpenSSL opens the file twice, for certificate and key: both in the same version of it.
        context.load_cert_chain((directory / "usercert.pem").resolve())
    except FileNotFoundError as error:
        raise TunnelError(
            f"This server belongs to no session: a file is missing in {directory}."
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TunnelError(
            f"The session's files in {directory} cannot be used ({type(error).__name__}: {error})."
        ) from error
    return Dashboard(host, port, context)


def _host_and_port(address: object) -> tuple[str, int]:
    parts = urlsplit(str(address))
    if parts.scheme != "https" or not parts.hostname or not parts.port:
        raise ValueError(f"dashboardAddress must be https://host:port, got {address!r}")
    return parts.hostname, parts.port


async def dial(dashboard: Dashboard) -> Stream:
    """Connect to the dashboard.

    Raises:
        TunnelError: nobody answers there, or not with the session's certificate.
    """
    host, port = dashboard.host, dashboard.port
    try:
        async with asyncio.timeout(DIAL_SECONDS):
            return Stream(*await asyncio.open_connection(host, port, ssl=dashboard.context))
    except ssl.SSLError as error:
        raise TunnelError(_DISTRUST.format(error=error)) from error
    except (OSError, ValueError) as error:
        raise TunnelError(
            f"The scheduler at {host}:{port} does not answer ({_why(error)}). It may still be "
            "starting, or the session has ended."
        ) from error


def _why(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)  # asyncio's own text repeats address and number
    return str(error) or f"silent for {DIAL_SECONDS:g} s"


async def exchange(user: Stream, dashboard: Stream) -> None:
    """Pass bytes both ways until the dashboard ends.

    That the user has ended cannot be passed on, as asyncio's TLS knows no half of an end: the user
    gets what the dashboard still says, until it is silent for `LINGER_SECONDS`.

    Raises:
        TunnelError: the dashboard ended before it answered anything.
        OSError: the user's side is gone.
    """
    answered = False
    asking = asyncio.create_task(_ask(user.reader, dashboard.writer))
    try:
        while chunk := await _next(dashboard.reader, asking):
            answered = True
            user.writer.write(chunk)
            await user.writer.drain()
    except TunnelError:
        if not answered:
            raise
        # Half an answer stays half: its length, or its last chunk, tells that to the browser.
    finally:
        asking.cancel()
        await asyncio.wait({asking})
    if not answered:
        raise TunnelError("The scheduler ended the connection without an answer.")


async def _ask(user: asyncio.StreamReader, dashboard: asyncio.StreamWriter) -> None:
    """Pass on what the user sends; that either of them is gone is found where answers pass."""
    with contextlib.suppress(OSError):
        while chunk := await user.read(_CHUNK):
            dashboard.write(chunk)
            await dashboard.drain()


async def _next(dashboard: asyncio.StreamReader, asking: asyncio.Task[None]) -> bytes:
    """Return what comes next; nothing at the end, or if a user who has ended waits in vain.

    Raises:
        TunnelError: the connection broke; with TLS 1.3 also if the certificate was refused.
    """
    reading = asyncio.create_task(dashboard.read(_CHUNK))
    try:
        await asyncio.wait({reading, asking}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({reading}, timeout=LINGER_SECONDS)
        return await reading if reading.done() else b""
    except ssl.SSLError as error:
        raise TunnelError(_DISTRUST.format(error=error)) from error
    except OSError as error:
        raise TunnelError(f"The connection to the scheduler broke ({error}).") from error
    finally:
        reading.cancel()


async def refuse(user: Stream, reason: str) -> None:
    """Answer ``502 Bad Gateway`` with `reason`, whatever was asked.

    Raises:
        OSError: the user's side is gone.
    """
    body = _REFUSAL.format(reason=reason).encode()
    head = (
        "HTTP/1.1 502 Bad Gateway\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\n"
        "Connection: close\r\n\r\n"
    )
    user.writer.write(head.encode() + body)
    await user.writer.drain()
    user.writer.write_eof()
    # Closed with a request that is unread, a connection is reset, and the answer may be lost.
    async with asyncio.timeout(REFUSAL_SECONDS):
        while await user.reader.read(_CHUNK):
            pass


async def lead(user: Stream, directory: Path) -> None:
    """Lead one connection to the dashboard, to its end; tell the user if there is no way."""
    try:
        try:
            dashboard = await dial(read_dashboard(directory))
            try:
                await exchange(user, dashboard)
            finally:
                dashboard.writer.transport.abort()
        except TunnelError as error:
            await refuse(user, str(error))
        user.writer.close()
        await user.writer.wait_closed()
    except OSError:
        pass  # the user is gone, and nobody else is waiting for this connection
    finally:
        user.writer.transport.abort()


def listen_at(path: Path) -> socket.socket:
    """Return a socket at `path` that nobody but this user may connect to.

    Raises:
        OSError: something else lies there, or the folder cannot be written.
    """
    if path.is_socket():
        path.unlink()  # left behind by a process that was killed
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.bind(str(path))
        path.chmod(0o600)  # in time: nobody can connect before it listens
    except BaseException:
        bound.close()
        raise
    return bound


async def serve(bound: socket.socket, directory: Path) -> None:
    """Lead whoever connects to the dashboard, until cancelled, which ends all connections."""
    async with asyncio.TaskGroup() as connections:

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections.create_task(lead(Stream(reader, writer), directory))

        server = await asyncio.start_server(accept, sock=bound)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            server.close()


async def _serve_until_terminated(bound: socket.socket, directory: Path) -> None:
    serving = asyncio.create_task(serve(bound, directory))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, serving.cancel)
    await serving


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until a signal ends it; return as a shell tells that, for who would start it again."""
    parser = argparse.ArgumentParser(prog="casita.dask.tunnel", description=__doc__.split("\n")[0])
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--socket", type=Path, help="listen there, for this user alone")
    place.add_argument("--port", type=int, help="listen on 127.0.0.1, for all who reach that")
    parser.add_argument(
        "--directory", type=Path, default=DIRECTORY, help="holds the session's files (%(default)s)"
    )
    options = parser.parse_args(arguments)
    try:
        if options.socket:
            bound = listen_at(options.socket)
        else:
            bound = socket.create_server(("127.0.0.1", options.port))
    except OSError as error:
        raise SystemExit(f"casita.dask.tunnel: cannot listen: {error}") from error
    try:
        asyncio.run(_serve_until_terminated(bound, options.directory))
    except asyncio.CancelledError:
        return 128 + signal.SIGTERM
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    finally:
        if options.socket:
            options.socket.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
