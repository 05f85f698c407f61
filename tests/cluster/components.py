"""The control plane's certificates and command lines, alike with nodes and without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import kubeconfig
from tests.cluster.certificates import Authority, signing_key, write_private

SERVICE_CIDR = "10.96.0.0/16"
API_SERVICE = "10.96.0.1"
ADMINS = "system:masters"
AGGREGATOR = "aggregator"
"""As whom the API server asks the servers of further APIs, by which replicas follow a load."""


@dataclass(frozen=True)
class Settings:
    """What the control plane's parts need to know of each other."""

    programs: Path
    """Folder with kube-apiserver and its like."""
    folder: Path
    """Certificates, kubeconfigs and etcd's data."""
    address: str
    """IP address at which pods or tests reach the API server."""
    bind: str
    port: int
    etcd_port: int
    etcd_peer_port: int
    controller_manager_port: int

    @property
    def url(self) -> str:
        """The API server as seen on its own machine; also what the kubeconfigs say."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca_file(self) -> Path:
        """The certificate authority of the API server and of its clients."""
        return self.folder / "ca.crt"

    def kubeconfig(self, user: str) -> Path:
        """Path of a component's kubeconfig."""
        return self.folder / f"{user}.kubeconfig"


def write_credentials(settings: Settings, users: dict[str, tuple[str, Sequence[str]]]) -> Authority:
    """Make the cluster's authority, its servers' certificates and a kubeconfig per user.

    Args:
        settings: where to write and which addresses the certificates name.
        users: for each kubeconfig its user's name and groups, as Kubernetes reads them.
    """
    folder = settings.folder
    authority = Authority("casita-cluster")
    authority.pair.write(folder, "ca")
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    names += [f"{names[-1]}.cluster.local", "localhost", "127.0.0.1", API_SERVICE]
    authority.server("kube-apiserver", sorted({*names, settings.address})).write(
        folder, "apiserver"
    )
    authority.client("kube-apiserver-kubelet-client", [ADMINS]).write(folder, "kubelet-client")
    # An authority of its own: whoever has a certificate of it may say whom it speaks for.
    aggregation = Authority("casita-aggregation")
    aggregation.pair.write(folder, "aggregation-ca")
    aggregation.client(AGGREGATOR).write(folder, "aggregator")
    private, public = signing_key()
    write_private(folder / "service-accounts.key", private)
    (folder / "service-accounts.pub").write_bytes(public)
    for file, (user, groups) in users.items():
        kubeconfig.write(
            settings.kubeconfig(file),
            server=settings.url,
            authority=authority.pair.certificate,
            client=authority.client(user, groups),
            user=user,
        )
    return authority


def etcd(settings: Settings) -> list[str]:
    """Command line of etcd, tuned for data that nobody will miss."""
    client = f"http://127.0.0.1:{settings.etcd_port}"
    peer = f"http://127.0.0.1:{settings.etcd_peer_port}"
    return [
        "etcd",
        "--name=casita",
        f"--data-dir={settings.folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=casita={peer}",
        "--unsafe-no-fsync",
        "--quota-backend-bytes=4294967296",
        "--auto-compaction-mode=periodic",
        "--auto-compaction-retention=10m",
        "--logger=zap",
    ]


def api_server(settings: Settings, *flags: str) -> list[str]:
    """Command line of the API server."""
    folder = settings.folder
    return [
        str(settings.programs / "kube-apiserver"),
        f"--etcd-servers=http://127.0.0.1:{settings.etcd_port}",
        f"--bind-address={settings.bind}",
        f"--advertise-address={settings.address}",
        f"--secure-port={settings.port}",
        f"--tls-cert-file={folder / 'apiserver.crt'}",
        f"--tls-private-key-file={folder / 'apiserver.key'}",
        f"--client-ca-file={settings.ca_file}",
        f"--service-account-key-file={folder / 'service-accounts.pub'}",
        f"--service-account-signing-key-file={folder / 'service-accounts.key'}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        f"--requestheader-client-ca-file={folder / 'aggregation-ca.crt'}",
        f"--requestheader-allowed-names={AGGREGATOR}",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={folder / 'aggregator.crt'}",
        f"--proxy-client-key-file={folder / 'aggregator.key'}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        *flags,
    ]


def controller_manager(settings: Settings, *flags: str) -> list[str]:
    """Command line of the controller manager."""
    folder = settings.folder
    own = settings.kubeconfig("controller-manager")
    return [
        str(settings.programs / "kube-controller-manager"),
        f"--kubeconfig={own}",
        f"--authentication-kubeconfig={own}",
        f"--authorization-kubeconfig={own}",
        "--bind-address=127.0.0.1",
        f"--secure-port={settings.controller_manager_port}",
        f"--client-ca-file={settings.ca_file}",
        f"--root-ca-file={settings.ca_file}",
        f"--service-account-private-key-file={folder / 'service-accounts.key'}",
        "--use-service-account-credentials=true",
        "--leader-elect=false",
        f"--flex-volume-plugin-dir={folder / 'volume-plugins'}",  # else it makes one under /usr
        *flags,
    ]


USERS: dict[str, tuple[str, Sequence[str]]] = {
    "admin": ("casita-admin", [ADMINS]),
    "controller-manager": ("system:kube-controller-manager", []),
}
"""Kubeconfigs that every control plane has."""
