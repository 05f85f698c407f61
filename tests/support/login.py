"""The facility's hub with a real identity provider, for as long as a block.

Keycloak runs on the embedded cluster's node and is reached as users reach the hub: by the gateway,
under the hub's own host name. The hub itself asks it on the node, past the gateway.
"""

import contextlib
import json
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest

from tests.cluster import sandbox
from tests.cluster.choose import up_already
from tests.facility import RELEASE, rollback, upgrade
from tests.support import kubectl
from tests.support.hub_certificate import HOST
from tests.support.keycloak import REALM, Keycloak, User, keycloak

HUB_NAMESPACE: Final = "casita-hub"
GATEWAY_NAMESPACE: Final = "casita-gateway"
PORT: Final = 8180
NAME: Final = "test-provider"
PATHS: Final = ("/realms", "/resources")
"""Of Keycloak's pages; the hub has none that begin so."""

_RUN: Final = uuid4().hex[:4]
ANNA, BEN, CARL = (f"{name}-{_RUN}" for name in ("anna", "ben", "carl"))
USERS: Final = (
    User(ANNA, ("cms",)),
    User(BEN, ("cms", "admins")),
    User(CARL, ("cms",)),
    User("mallory", verified=False),
)
"""Nobody who was here before: the hub remembers who is an admin, and that a home was made."""

Json = dict[str, Any]


@contextlib.asynccontextmanager
async def real_provider() -> AsyncIterator[Keycloak]:
    """Let people log in at a real Keycloak, to homes that stay, and as before afterwards."""
    if up_already() != "embedded":
        pytest.skip("LEFT OUT: login at a real Keycloak is tried on the embedded cluster alone")
    with tempfile.TemporaryDirectory(prefix="casita-keycloak-") as folder, _way_there():
        async with keycloak(
            Path(folder) / "run",
            port=PORT,
            address=sandbox.NODE_IP,
            hostname_url=f"https://{HOST}",
            redirect_uri=f"https://{HOST}/hub/oauth_callback",
            users=USERS,
            prefix=("nsenter", f"--net={sandbox.NAMED_NETWORK}", "--"),
        ) as found:
            upgrade(_values(found))
            try:
                yield found
            finally:
                rollback()


def _values(provider: Keycloak) -> Json:
    inside = f"http://{sandbox.NODE_IP}:{PORT}/realms/{REALM}/protocol/openid-connect"
    config = {
        "JupyterHub": {"authenticator_class": "casita-oidc"},
        "Authenticator": {"allow_all": False, "admin_users": [], "auth_refresh_age": 5},
        "OidcAuthenticator": {
            "login_service": "the facility's Keycloak",
            "client_id": provider.client_id,
            "client_secret": provider.client_secret,
            "oauth_callback_url": f"https://{HOST}/hub/oauth_callback",
            "authorize_url": f"{provider.issuer}/protocol/openid-connect/auth",
            "token_url": f"{inside}/token",
            "userdata_url": f"{inside}/userinfo",
            "scope": ["openid", "profile", "email"],
            "username_claim": "preferred_username",
            "manage_groups": True,
            "auth_state_groups_key": "oauth_user.groups",
            "enable_auth_state": True,
            "allowed_groups": ["cms"],
            "admin_groups": ["admins"],
        },
    }
    egress = [{"cidr": f"{sandbox.NODE_IP}/32", "ports": [PORT]}]
    home = {"storage": {"type": "dynamic", "capacity": "1Gi"}}
    return {"jupyterhub": {"hub": {"config": config, "egress": egress}, "singleuser": home}}


@contextlib.contextmanager
def _way_there() -> Iterator[None]:
    """Lead the provider's pages through the gateway."""
    objects = {"apiVersion": "v1", "kind": "List", "items": [*_service(), _route(), _policy()]}
    kubectl.run("apply", "-f", "-", stdin=json.dumps(objects))
    try:
        yield
    finally:
        kubectl.run("delete", "-f", "-", "--ignore-not-found", stdin=json.dumps(objects))


def _service() -> tuple[Json, Json]:
    metadata = {"name": NAME, "namespace": HUB_NAMESPACE}
    port = {"name": "http", "port": PORT}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"ports": [{**port, "targetPort": PORT}]},
    }
    slice_ = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {**metadata, "labels": {"kubernetes.io/service-name": NAME}},
        "addressType": "IPv4",
        "ports": [port],
        "endpoints": [{"addresses": [sandbox.NODE_IP], "conditions": {"ready": True}}],
    }
    return service, slice_


def _route() -> Json:
    matches = [{"path": {"type": "PathPrefix", "value": path}} for path in PATHS]
    gateway = {"name": RELEASE, "namespace": GATEWAY_NAMESPACE, "sectionName": "https"}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {
            "name": NAME,
            "namespace": HUB_NAMESPACE,
            "labels": {"app.kubernetes.io/instance": RELEASE},
        },
        "spec": {
            "parentRefs": [gateway],
            "hostnames": [HOST],
            "rules": [{"matches": matches, "backendRefs": [{"name": NAME, "port": PORT}]}],
        },
    }


def _policy() -> Json:
    target = {"ipBlock": {"cidr": f"{sandbox.NODE_IP}/32"}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": NAME, "namespace": GATEWAY_NAMESPACE},
        "spec": {
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": "traefik"}},
            "policyTypes": ["Egress"],
            "egress": [{"to": [target], "ports": [{"port": PORT, "protocol": "TCP"}]}],
        },
    }
