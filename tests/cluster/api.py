"""The few questions that the cluster's own start asks the API server."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import tempfile
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import yaml

SECONDS = 10.0


class Api:
    """A read-only client by the certificate in a kubeconfig; no proxy is ever asked."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        address = urlsplit(cluster["server"])
        self._host, self._port = cast("str", address.hostname), address.port
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._context = ssl.create_default_context(cadata=authority)
        # The ssl module reads client certificates from files only.
        with tempfile.NamedTemporaryFile() as pair:
            pair.write(base64.b64decode(user["client-certificate-data"]))
            pair.write(base64.b64decode(user["client-key-data"]))
            pair.flush()
            self._context.load_cert_chain(pair.name)

    def status(self, path: str) -> int | None:
        """HTTP status of a GET; None if the server does not answer."""
        return self._get(path)[0]

    def object(self, path: str) -> dict[str, Any] | None:
        """An object, or None if it does not exist or the server does not answer."""
        status, body = self._get(path)
        return cast("dict[str, Any]", json.loads(body)) if status == http.HTTPStatus.OK else None

    def _get(self, path: str) -> tuple[int | None, bytes]:
        connection = http.client.HTTPSConnection(
            self._host, self._port, context=self._context, timeout=SECONDS
        )
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError:
            return None, b""
        finally:
            connection.close()
