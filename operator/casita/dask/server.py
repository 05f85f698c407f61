"""What the preloads of scheduler and worker share: contexts, leaf, services."""

import logging
import ssl
from collections.abc import Callable, Iterable
from pathlib import Path

from distributed.core import Server
from distributed.security import Security
from tornado.httpserver import HTTPServer
from tornado.ioloop import PeriodicCallback

from casita.dask.certificates import LeafFiles, LeafWatch


class PreloadError(Exception):
    """A process was started in a way that a session's may not be; the message says what to do."""


def comm_contexts(server: Server) -> list[ssl.SSLContext]:
    """Return the contexts that a running scheduler or worker dials and listens with.

    Raises:
        PreloadError: it listens or dials without TLS.
    """
    found = [server.connection_args.get("ssl_context")]
    # A worker keeps one client for those of its tasks that start tasks.
    client = getattr(server, "_client", None)
    found += [client.connection_args.get("ssl_context")] if client is not None else []
    found += [listener.server_args.get("ssl_options") for listener in server.listeners]
    contexts = [context for context in found if isinstance(context, ssl.SSLContext)]
    if len(contexts) != len(found):
        raise PreloadError(
            f"{server.address}: every connection must be TLS; set distributed.comm.tls.* and "
            "start with --protocol tls or a tls:// address"
        )
    return contexts


def leaf_files(security: Security, role: str) -> LeafFiles:
    """Return the files of a role's leaf as Dask's own configuration names them.

    Raises:
        PreloadError: it names none, or holds the material itself.
    """
    names = security.get_tls_config_for_role(role)
    authority, certificate, key = names["ca_file"], names["cert"], names["key"]
    if not authority or not certificate or any("\n" in (name or "") for name in names.values()):
        raise PreloadError(
            f"distributed.comm.tls.ca-file and distributed.comm.tls.{role}.cert must name files"
        )
    # Absolute: a batch job names them in the folder that it begins in, and tasks change folders.
    return LeafFiles(
        Path(authority).absolute(),
        Path(certificate).absolute(),
        Path(key).absolute() if key else None,
    )


def watch_leaf(
    server: Server,
    role: str,
    contexts: Callable[[], Iterable[ssl.SSLContext]],
    seconds: float,
    logger: logging.Logger,
) -> None:
    """Load the role's leaf, whenever it changes, into what `contexts` returns at that time."""
    watch = LeafWatch(leaf_files(server.security, role), contexts, serves=True, logger=logger)
    watch.poll()
    # The server stops what it finds in this mapping when it closes.
    callback = PeriodicCallback(watch.poll, seconds * 1000)
    server.periodic_callbacks["casita-leaf"] = callback
    callback.start()


def serve_until_closed(server: Server, name: str, service: HTTPServer, port: int) -> None:
    """Let the server stop `service` when it closes; its other services are told apart by `name`."""
    service.port = port
    server.services[name] = service
