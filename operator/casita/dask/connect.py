"""Connecting to a session from what its client's Secret holds.

In the session's own notebook ``distributed.Client()`` needs none of this: ``DASK_CONFIG`` points to
the Secret's ``dask.yaml``. Elsewhere: save the Secret's files into a folder and `connect` to it.
"""

import json
import ssl
from pathlib import Path
from typing import Any, Final

from distributed import Client
from distributed.security import Security

from casita.dask import client as client_preload

DEFAULT_DIRECTORY: Final = Path("/etc/cmsaf-secrets")


class ConnectError(Exception):
    """A session's files cannot be used; the message says which and why."""


class ClientSecurity(Security):  # type: ignore[misc] # distributed has no types
    """A client's way to speak TLS: by one context, so that a renewed certificate reaches all."""

    def __init__(self, stock: Security) -> None:
        for name in Security.__slots__:
            setattr(self, name, getattr(stock, name))
        self._arguments: dict[str, Any] = stock.get_connection_args("client")

    @property
    def context(self) -> ssl.SSLContext:
        """The context."""
        context: ssl.SSLContext = self._arguments["ssl_context"]
        return context

    def get_connection_args(self, role: str) -> dict[str, Any]:
        """Return what to connect with; a session's files hold a client's certificate alone."""
        return dict(self._arguments) if role == "client" else super().get_connection_args(role)


def client_security(directory: Path | str = DEFAULT_DIRECTORY) -> Security:
    """Return what a client of the session in `directory` speaks TLS with.

    Raises:
        ConnectError: a file is missing.
    """
    authority, certificate = Path(directory, "ca.pem"), Path(directory, "usercert.pem")
    for path in (authority, certificate):
        if not path.is_file():
            raise ConnectError(f"{path}: there is no such file; is {directory} a session's folder?")
    return Security(
        tls_ca_file=str(authority),
        tls_client_cert=str(certificate),  # holds the key as well
        require_encryption=True,
    )


def session_facts(directory: Path | str = DEFAULT_DIRECTORY) -> dict[str, Any]:
    """Return what the session's files say of it: its name, and its addresses.

    Raises:
        ConnectError: the file is missing or malformed.
    """
    path = Path(directory, "session.json")
    try:
        facts = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConnectError(f"{path}: {type(error).__name__}: {error}") from error
    if not isinstance(facts, dict):
        raise ConnectError(f"{path}: must hold an object")
    return facts


def scheduler_address(directory: Path | str = DEFAULT_DIRECTORY, *, external: bool = False) -> str:
    """Return the scheduler's address, as seen in the cluster or, `external`, through the gateway.

    Raises:
        ConnectError: the session's file is missing or malformed, or the session has no route.
    """
    key = "externalAddress" if external else "address"
    facts = session_facts(directory)
    if key not in facts:
        raise ConnectError(f"{Path(directory, 'session.json')}: {key} is missing")
    if not facts[key]:
        raise ConnectError(
            f"{Path(directory, 'session.json')}: {key} is empty; "
            "this site gives sessions no route from outside"
        )
    return str(facts[key])


def connect(
    directory: Path | str | None = None,
    *,
    external: bool = False,
    **options: Any,
) -> Client:
    """Return a client of the session whose files are in `directory`.

    Args:
        directory: holds ca.pem, usercert.pem and session.json; ``/etc/cmsaf-secrets`` if absent.
        external: connect through the gateway, from outside the cluster.
        options: further arguments of `distributed.Client`.

    Raises:
        ConnectError: a file is missing or malformed, or the session has no route.
        OSError: the scheduler does not answer, or refuses the certificate.
    """
    where = DEFAULT_DIRECTORY if directory is None else Path(directory)
    client = Client(
        scheduler_address(where, external=external), security=client_security(where), **options
    )
    client.loop.add_callback(client_preload.dask_setup, client)
    return client
