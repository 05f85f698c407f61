"""Kubeconfig files with everything inside them, so that they can be moved."""

from __future__ import annotations

import base64
from pathlib import Path

import yaml

from tests.cluster.certificates import Pair, write_private


def write(path: Path, *, server: str, authority: bytes, client: Pair, user: str) -> Path:
    """Write a kubeconfig (mode 0600) for one user of one server.

    Args:
        path: the file; its folder is made.
        server: URL of the API server.
        authority: PEM of the certificate authority that signed the server's certificate.
        client: the user's certificate and key.
        user: a name for the entry; the API server reads the real one from the certificate.
    """
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "casita",
                "cluster": {"server": server, "certificate-authority-data": _text(authority)},
            }
        ],
        "users": [
            {
                "name": user,
                "user": {
                    "client-certificate-data": _text(client.certificate),
                    "client-key-data": _text(client.key),
                },
            }
        ],
        "contexts": [{"name": "casita", "context": {"cluster": "casita", "user": user}}],
        "current-context": "casita",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, yaml.safe_dump(config, sort_keys=False).encode())
    return path


def _text(pem: bytes) -> str:
    return base64.b64encode(pem).decode()
