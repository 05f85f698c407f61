"""The certificate of the facility's HTTPS, as a site's own authority would give it."""

import base64
import json
from datetime import UTC, datetime, timedelta

from casita.credentials.x509 import BACKDATE, Role, issue_leaf, new_authority
from tests.cluster.locations import DOMAIN
from tests.support import kubectl

NAMESPACE = "casita-gateway"
NAME = "casita-hub-tls"
HOST = f"hub.{DOMAIN}"
LIFE = timedelta(days=365)


def install() -> None:
    """Give the gateway a certificate for the hub's host, unless it has one."""
    if kubectl.run("-n", NAMESPACE, "get", "secret", NAME, "--ignore-not-found"):
        return
    now = datetime.now(UTC)
    authority = new_authority("authority of the tests", now - BACKDATE, LIFE + BACKDATE)
    leaf = issue_leaf(authority, Role.ENDPOINT, [HOST], now, LIFE)
    files = {"tls.crt": leaf.certificate_pem, "tls.key": leaf.key_pem}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "type": "kubernetes.io/tls",
        "data": {name: base64.b64encode(text).decode() for name, text in files.items()},
    }
    kubectl.run("apply", "-f", "-", stdin=json.dumps(secret))


def leaf_pem() -> bytes:
    """Return the certificate that the gateway shows."""
    found = kubectl.run("-n", NAMESPACE, "get", "secret", NAME, "-o", "json")
    return base64.b64decode(json.loads(found)["data"]["tls.crt"])
