"""The embedded cluster's one node: configuration files and command lines of what runs on it."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from tests.cluster import cgroups
from tests.cluster.components import SERVICE_CIDR, Settings
from tests.cluster.locations import DATA, RUN
from tests.cluster.sandbox import NODE_IP

NAME = "casita"
POD_CIDR = "10.244.0.0/16"
DNS_IP = "10.96.0.10"
CONTAINERD_SOCKET = RUN / "containerd.sock"

USERS = {
    "scheduler": ("system:kube-scheduler", []),
    "kube-proxy": ("system:kube-proxy", []),
    "kubelet": (f"system:node:{NAME}", ["system:nodes"]),
    "kube-router": ("kube-router", []),
}
"""Kubeconfigs of the node's components: each one's user and groups."""


def containerd(snapshotter: str, pause_image: str) -> list[str]:
    """Write containerd's configuration; return its command line."""
    network = DATA / "cni"
    network.mkdir(exist_ok=True)
    (network / "casita.conflist").write_text(json.dumps(_pod_network(), indent=2))
    config = DATA / "containerd.toml"
    # TOML's basic strings, arrays and literals as used here are JSON's.
    config.write_text(
        f"""version = 2
root = {json.dumps(str(DATA / "containerd"))}
state = {json.dumps(str(RUN / "containerd"))}

[grpc]
address = {json.dumps(str(CONTAINERD_SOCKET))}

[plugins."io.containerd.internal.v1.opt"]
path = {json.dumps(str(DATA / "opt"))}

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = {json.dumps(pause_image)}
# Its profile would stay in the host's kernel.
disable_apparmor = true
# Without CAP_SYS_RESOURCE a lower OOM score is refused, and runc dies of it.
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = {json.dumps(snapshotter)}
default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = {json.dumps(str(network))}
"""
    )
    return ["containerd", f"--config={config}"]


def kubelet(settings: Settings) -> list[str]:
    """Write the kubelet's configuration; return its command line."""
    resolver = DATA / "resolv.conf"
    resolver.write_text("# the node reaches no name server but the cluster's own\n")
    config = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_IP,
        "authentication": {"x509": {"clientCAFile": str(settings.ca_file)}},
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(settings.folder / "kubelet.crt"),
        "tlsPrivateKeyFile": str(settings.folder / "kubelet.key"),
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroups.NAME}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "clusterDomain": "cluster.local",
        "clusterDNS": [DNS_IP],
        "resolvConf": str(resolver),
        "podLogsDir": str(DATA / "pod-logs"),
        "volumePluginDir": str(DATA / "volume-plugins"),
        "syncFrequency": "10s",
        "configMapAndSecretChangeDetectionStrategy": "Watch",
        # The host's disk is not this node's: it neither measures nor evicts by it.
        "localStorageCapacityIsolation": False,
        "evictionHard": {
            "memory.available": "0%",
            "nodefs.available": "0%",
            "nodefs.inodesFree": "0%",
            "imagefs.available": "0%",
            "imagefs.inodesFree": "0%",
            "pid.available": "0%",
        },
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "serializeImagePulls": False,
        "healthzPort": 10248,
        "readOnlyPort": 0,
    }
    return [
        str(settings.programs / "kubelet"),
        f"--config={_write(DATA / 'kubelet.yaml', config)}",
        f"--kubeconfig={settings.kubeconfig('kubelet')}",
        f"--root-dir={DATA / 'kubelet'}",
        f"--hostname-override={NAME}",
        f"--node-ip={NODE_IP}",
    ]


def scheduler(settings: Settings) -> list[str]:
    """Command line of the scheduler."""
    own = settings.kubeconfig("scheduler")
    return [
        str(settings.programs / "kube-scheduler"),
        f"--kubeconfig={own}",
        f"--authentication-kubeconfig={own}",
        f"--authorization-kubeconfig={own}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
    ]


def kube_proxy(settings: Settings) -> list[str]:
    """Write kube-proxy's configuration; return its command line."""
    config = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "hostnameOverride": NAME,
        "clusterCIDR": POD_CIDR,
        "clientConnection": {"kubeconfig": str(settings.kubeconfig("kube-proxy"))},
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "oomScoreAdj": 0,
        # These limits belong to the host's namespace and cannot be written from here.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    }
    return [
        str(settings.programs / "kube-proxy"),
        f"--config={_write(DATA / 'kube-proxy.yaml', config)}",
    ]


def kube_router(program: Path, settings: Settings) -> list[str]:
    """Command line of the NetworkPolicy controller."""
    return [
        str(program),
        f"-kubeconfig={settings.kubeconfig('kube-router')}",
        f"-node={NAME}",
        f"-service-cidr={SERVICE_CIDR}",
    ]


def _pod_network() -> dict[str, object]:
    address = {
        "type": "host-local",
        "ranges": [[{"subnet": POD_CIDR}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": str(DATA / "addresses"),
    }
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": address,
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": "casita", "plugins": [bridge, portmap]}


def _write(path: Path, config: dict[str, object]) -> Path:
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path
