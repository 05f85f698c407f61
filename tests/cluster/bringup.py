"""Starting the embedded cluster's processes, each as soon as what it needs is there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.cluster import (
    cgroups,
    components,
    containers,
    kubeconfig,
    node,
    process,
    relay,
    sandbox,
    wait,
)
from tests.cluster.api import Api
from tests.cluster.components import Settings
from tests.cluster.locations import DATA, RUN
from tests.cluster.steps import Steps

START_SECONDS = 120.0
REGISTER = process.Register(RUN / "processes")


class Bringup:
    """One start of the cluster."""

    def __init__(self, settings: Settings, logs: Path, steps: Steps) -> None:
        self._settings = settings
        self._logs = logs
        self._steps = steps
        self._running: list[process.Process] = []

    def make_sandbox(self, first: Path, gateway: Mapping[int, int]) -> None:
        """Make the node's namespaces, and the way into them from the host.

        Args:
            first: the sandbox's first program.
            gateway: port of the host by port of the gateway.
        """
        self._sandbox = sandbox.start(first, self._logs / "sandbox.log")
        self._watch(self._sandbox)
        rules = [relay.Rule(self._settings.port, "127.0.0.1", self._settings.port)]
        rules += [relay.Rule(there, sandbox.NODE_IP, port) for port, there in gateway.items()]
        # By its path, so that it imports nothing of this package and outlives the checkout.
        script = [sys.executable, "-P", str(Path(relay.__file__))]
        command = [*script, str(self._sandbox.pid), *map(str, rules)]
        self._watch(process.start("relay", command, self._logs / "relay.log"))

    def write_credentials(self, admin: Path) -> Api:
        """Make the cluster's certificates and the admin's kubeconfig at `admin`."""
        users = {**components.USERS, **node.USERS}
        authority = components.write_credentials(self._settings, users)
        serving = authority.server(node.USERS["kubelet"][0], [node.NAME, sandbox.NODE_IP])
        serving.write(self._settings.folder, "kubelet")
        admin.parent.mkdir(parents=True, exist_ok=True)
        user, groups = components.USERS["admin"]
        kubeconfig.write(
            admin,
            server=self._settings.url,
            authority=authority.pair.certificate,
            client=authority.client(user, groups),
            user=user,
        )
        return Api(admin)

    def start_containerd(self, snapshotter: str, pause: str) -> None:
        """Start containerd, which uses the image `pause` for every pod."""
        self._inside("containerd", node.containerd(snapshotter, pause))
        self._until("containerd", "answers", containers.answers)

    def start_storage(self) -> None:
        """Start etcd."""
        self._inside("etcd", components.etcd(self._settings))

    def start_control_plane(self, api: Api) -> None:
        """Start the API server, and what needs no node."""
        folder = self._settings.folder
        flags = [
            "--allow-privileged=true",
            # By address: nobody knows the node's name.
            "--kubelet-preferred-address-types=InternalIP",
            f"--kubelet-certificate-authority={self._settings.ca_file}",
            f"--kubelet-client-certificate={folder / 'kubelet-client.crt'}",
            f"--kubelet-client-key={folder / 'kubelet-client.key'}",
        ]
        self._inside("kube-apiserver", components.api_server(self._settings, *flags))
        self._until("kube-apiserver", "ready", lambda: api.status("/readyz") == 200)
        flags = [
            f"--cluster-cidr={node.POD_CIDR}",
            # Tests wait for replicas to follow a load: by default it is looked at every 15 s.
            "--horizontal-pod-autoscaler-sync-period=5s",
        ]
        manager = components.controller_manager(self._settings, *flags)
        self._inside("kube-controller-manager", manager)
        self._inside("kube-scheduler", node.scheduler(self._settings))

    def start_node(self, api: Api) -> None:
        """Start what runs on a node, and wait until it is ready."""
        cgroups.create()
        self._inside("kubelet", node.kubelet(self._settings))
        self._inside("kube-proxy", node.kube_proxy(self._settings))
        self._until("kubelet", "node ready", lambda: node_ready(api))

    def start_policies(self, program: Path) -> None:
        """Start the enforcement of NetworkPolicies, and wait until its first rules are there."""
        self._inside("kube-router", node.kube_router(program, self._settings))
        chain = ["iptables", "--wait", "--numeric", "--list", "KUBE-ROUTER-FORWARD"]
        listing = sandbox.enter(self._sandbox, chain)
        self._until("kube-router", "guards pods", lambda: process.succeeds(listing))

    def _inside(self, name: str, command: Sequence[str]) -> None:
        outside = sandbox.enter(self._sandbox, command)
        self._watch(process.start(name, outside, self._logs / f"{name}.log"))

    def _watch(self, started: process.Process) -> None:
        REGISTER.add(started)
        self._running.append(started)

    def _until(self, name: str, what: str, condition: Callable[[], bool]) -> None:
        wait.until(condition, f"{name}: {what}", seconds=START_SECONDS, failed=self._dead)
        self._steps.say(f"{name}: {what}")

    def _dead(self) -> str | None:
        for started in self._running:
            if not started.alive():
                return f"{started.name} has ended:\n{started.last_lines()}"
        return None


def node_ready(api: Api) -> bool:
    """Whether the kubelet says that its node is ready."""
    found = api.object(f"/api/v1/nodes/{node.NAME}")
    conditions = found["status"].get("conditions", []) if found else []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def prepare_folders(settings: Settings) -> None:
    """Make the folders that the processes write to; secrets are in a private one."""
    DATA.mkdir(parents=True)
    settings.folder.mkdir(mode=0o700)
