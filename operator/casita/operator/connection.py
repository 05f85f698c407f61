"""How the operator reaches the API server: its service account, or a kubeconfig beside."""

import os
from pathlib import Path
from typing import Final

import kopf

from casita.clients.kubernetes import Connection, TokenFile

_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class NoConnectionError(Exception):
    """There is nothing to connect with."""


def find_connection() -> Connection:
    """Return the connection of the pod's service account, or of the kubeconfig in use.

    Raises:
        NoConnectionError: neither is there.
    """
    settings = kopf.OperatorSettings()
    info = kopf.login_with_service_account(settings=settings)
    token = TokenFile(_ACCOUNT / "token") if info else None
    if info is None:
        info = kopf.login_with_kubeconfig(settings=settings)
    if info is None:
        raise NoConnectionError(
            "no service account is mounted and KUBECONFIG names no file: the operator runs in a "
            "pod of the chart, or with KUBECONFIG set"
        )
    headers = {} if token else info.as_http_headers()
    server = _in_cluster_server() if token else info.server
    return Connection(server, info.as_ssl_context(), headers, token)


def _in_cluster_server() -> str:
    """Return the API server's address, not its name: it is reached when DNS is not."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
