"""What others need of the cluster that is up: its kubeconfig, its programs, its images."""

from __future__ import annotations

from pathlib import Path

from tests.cluster import embedded, kind, sandbox
from tests.cluster.binaries import binary
from tests.cluster.choose import up_already
from tests.cluster.errors import ClusterError
from tests.cluster.images import known_references
from tests.cluster.kubectl import Kubectl
from tests.cluster.locations import state
from tests.cluster.steps import Steps


def kubeconfig() -> Path:
    """The kubeconfig of the cluster.

    Raises:
        ClusterError: none is up.
    """
    path = state() / "kubeconfig"
    if not path.exists():
        raise ClusterError(f"no {path}; run `make up` first")
    return path


def kubectl() -> Path:
    """The kubectl of the cluster's own version."""
    return binary("kubectl", Steps(quiet=True))


def helm() -> Path:
    """Helm."""
    return binary("helm", Steps(quiet=True))


def gateway_address() -> str | None:
    """The address that the zone's names have inside the cluster.

    The gateway's Service has it among its `externalIPs`. None on a cluster that casita did not
    make: there the site's DNS and load balancer decide.
    """
    match up_already():
        case "embedded":
            return sandbox.NODE_IP
        case "kind":
            return kind.gateway_address(Kubectl(kubectl(), kubeconfig()))
        case _:
            return None


def gateway_on_host(port: int) -> tuple[str, int] | None:
    """Host and port at which this machine reaches a port of the gateway; None as above."""
    match up_already():
        case "embedded":
            return "127.0.0.1", int(embedded.record()["gateway"][str(port)])
        case "kind":
            return "127.0.0.1", sandbox.GATEWAY_PORTS[port]
        case _:
            return None


def image_references() -> dict[str, str]:
    """Full names of the images that the cluster has, by name."""
    return known_references()
