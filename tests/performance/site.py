"""A site for measuring: a control plane, its namespace, keys and configuration."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import yaml

from casita.credentials.system import (
    new_idtoken_key,
    new_macaroon_key,
    new_root_key,
    new_system_authority,
)
from tests.cluster.addons import gateway_api
from tests.cluster.api import Api
from tests.cluster.control_plane import ControlPlane
from tests.cluster.wait import until
from tests.performance.processes import ROOT

NAMESPACE: Final = "bench"
CRD: Final = ROOT / "charts/casita/charts/operator/files/analysissession-crd.yaml"
TLS_ROUTE: Final = "gateway.networking.k8s.io_tlsroutes.yaml"


@dataclass(frozen=True)
class Bench:
    """A control plane that nobody used before.

    Attributes:
        plane: the API server; its audit log tells every request and when it was answered.
        config: the operator's site file.
        log: the operators' log.
    """

    plane: ControlPlane
    config: Path
    log: Path


@contextlib.contextmanager
def bench(folder: Path, kinds: Sequence[Path] = (CRD,)) -> Iterator[Bench]:
    """Start a control plane with these CRDs, a gateway's and one namespace.

    `folder` keeps keys and logs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    crds = [*kinds, gateway_api() / TLS_ROUTE]
    with ControlPlane(audit=True, manifests=crds) as plane:
        plane.kubectl("create", "namespace", NAMESPACE)
        account = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default"
        api = Api(plane.kubeconfig)
        until(lambda: api.status(account) == 200, "the namespace is usable", seconds=60.0)
        yield Bench(plane, _write_site(folder), folder / "operator.log")


def _write_site(folder: Path) -> Path:
    """Write a site with a pool and a cache, of which none answers: no session asks for them."""
    authority = new_system_authority(datetime.now(UTC))
    (folder / "tls.crt").write_bytes(authority.certificate_pem)
    keys = {
        "tls.key": authority.key_pem,
        "root": new_root_key(),
        "idtoken": new_idtoken_key(),
        "macaroon": new_macaroon_key(),
    }
    for name, content in keys.items():
        (folder / name).touch(0o600)
        (folder / name).write_bytes(content)
    values = {
        "domain": "af.test",
        "sessionNamespaces": [NAMESPACE],
        "gateway": {"probeAddress": "127.0.0.1", "port": 1},
        "reporting": {"url": "https://localhost:8443", "authorityDirectory": str(folder)},
        "rootKeyFile": str(folder / "root"),
        "batch": {
            "collector": "127.0.0.1:1",
            "schedd": "bench@bench",
            "trustDomain": "bench",
            "uidDomain": "bench",
            "keyFile": str(folder / "idtoken"),
        },
        "cache": {
            "host": "localhost",
            "port": 1,
            "keyFile": str(folder / "macaroon"),
            "authorityFile": str(folder / "tls.crt"),
        },
        "profiles": [
            {
                "name": "default",
                "image": "example.org/notebook:1",
                "pools": [{"pool": "local", "max": 8}],
            }
        ],
    }
    path = folder / "site.yaml"
    path.write_text(yaml.safe_dump(values))
    return path
