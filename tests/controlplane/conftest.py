"""The operator in process, against a real API server without nodes."""

import json
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest

from casita.clients.kubernetes import Connection
from casita.config import Site
from casita.credentials.system import new_root_key, new_system_authority
from casita.operator.connection import find_connection
from casita.operator.process import Ports
from casita.sessions import probing
from tests.cluster import ports
from tests.cluster.control_plane import ControlPlane
from tests.support.bed import Bed
from tests.support.cluster import Cluster
from tests.support.gateway import Gateway
from tests.support.hub import Hub
from tests.support.hub_account import make_account
from tests.support.operator import Operator

ROOT = Path(__file__).resolve().parents[2]
CRD = ROOT / "charts/casita/charts/operator/files/analysissession-crd.yaml"


def gateway_crds() -> Path:
    module = ["go", "mod", "download", "-json", "sigs.k8s.io/gateway-api@v1.5.1"]
    answer = subprocess.run(
        module, cwd=ROOT / "tests/cluster/go/traefik", check=True, capture_output=True
    )
    folder = Path(json.loads(answer.stdout)["Dir"]) / "config/crd/standard"
    return folder / "gateway.networking.k8s.io_tlsroutes.yaml"


@pytest.fixture(scope="session")
def plane() -> Iterator[ControlPlane]:
    """One for all; its collector is not slowed by the rate that protects real clusters."""
    faster = ["--kube-api-qps=200", "--kube-api-burst=400"]
    with ControlPlane(
        audit=True, manifests=[CRD, gateway_crds()], controller_manager_flags=faster
    ) as running:
        yield running


@pytest.fixture(scope="session")
def cluster(plane: ControlPlane) -> Cluster:
    return Cluster(plane.kubeconfig)


@pytest.fixture
def namespace(cluster: Cluster) -> str:
    name = f"t-{uuid4().hex[:8]}"
    cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name


@pytest.fixture
def bed(cluster: Cluster, namespace: str) -> Bed:
    """A fresh namespace and the words for it."""
    return Bed(cluster, namespace)


@pytest.fixture(scope="session")
def site_values(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("system")
    authority = new_system_authority(datetime.now(UTC))
    (folder / "tls.crt").write_bytes(authority.certificate_pem)
    (folder / "tls.key").write_bytes(authority.key_pem)
    (folder / "root").write_bytes(new_root_key())
    pools = [{"pool": "local", "max": 8}]
    return {
        "domain": "af.test",
        "gateway": {"probeAddress": "127.0.0.1", "port": 1},
        "reporting": {
            "url": "https://localhost:8443",
            "authorityDirectory": str(folder),
        },
        "rootKeyFile": str(folder / "root"),
        "profiles": [
            {"name": "default", "image": "example.org/notebook:1", "pools": pools},
            {
                "name": "small",
                "image": "example.org/notebook:1",
                "allowedImages": ["example.org/other:*"],
                "limits": {"workers": 2, "workerCores": 2, "schedulerCores": 1},
                "pools": pools,
            },
        ],
    }


SiteWith = Callable[..., Site]


@pytest.fixture
def site_with(site_values: dict[str, Any], namespace: str) -> SiteWith:
    """Builds a site with other values in some of its sections."""

    def build(**sections: Any) -> Site:
        values = {**site_values, "sessionNamespaces": [namespace]}
        for section, value in sections.items():
            both = isinstance(value, dict) and section in values
            values[section] = {**values[section], **value} if both else value
        return Site.model_validate(values)

    return build


@pytest.fixture
def site(site_with: SiteWith) -> Site:
    return site_with()


def connect(kubeconfig: Path) -> Connection:
    """Return the connection that the operator itself would find with this kubeconfig."""
    with patch.dict(os.environ, {"KUBECONFIG": str(kubeconfig)}):
        return find_connection()


Operate = Callable[..., Operator]


@pytest.fixture
def operate(plane: ControlPlane, site: Site) -> Operate:
    """Runs an operator for as long as a block; several one after the other are restarts."""

    def run(site: Site = site, connection: Connection | None = None, **options: Any) -> Operator:
        return Operator(site, connection or connect(plane.kubeconfig), **options)

    return run


@pytest.fixture
def free_ports() -> Ports:
    """Ports for an operator that a test talks to."""
    return Ports(*ports.free(2))


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    """A gateway on the loopback, whom a test tells which host leads where."""
    async with Gateway().listening() as listening:
        yield listening


@pytest.fixture
def routed(site_with: SiteWith, gateway: Gateway) -> Site:
    """The site whose gateway is `gateway`."""
    return site_with(gateway={"port": gateway.port})


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway is given less than its usual time to take up a new route."""
    monkeypatch.setattr(probing, "SETTLING_SECONDS", 0.5)


@pytest.fixture
def unrouted(site_with: SiteWith) -> Site:
    """A site without a gateway."""
    return site_with(gateway={"routeApi": "None"})


MakeHub = Callable[..., Hub]


@pytest.fixture
def account(plane: ControlPlane, bed: Bed, tmp_path: Path) -> Path:
    """A kubeconfig of the hub's service account, with the chart's rights in this namespace."""
    return make_account(plane, bed, tmp_path)


@pytest.fixture
def make_hub(tmp_path: Path, account: Path, unrouted: Site, namespace: str) -> MakeHub:
    """Builds a hub on this namespace; several one after the other are restarts."""

    def make(site: Site = unrouted, **options: Any) -> Hub:
        return Hub(tmp_path, account, site, namespace, **options)

    return make
