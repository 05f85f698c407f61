"""A cluster by kind (Kubernetes in containers), where docker or podman runs."""

from __future__ import annotations

import os
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from tests.cluster import addons, builders, images
from tests.cluster.binaries import binary
from tests.cluster.commands import call, check
from tests.cluster.errors import ClusterError
from tests.cluster.kubectl import Kubectl
from tests.cluster.locations import state
from tests.cluster.packages import find
from tests.cluster.sandbox import GATEWAY_PORTS
from tests.cluster.steps import Steps

NAME = "casita"
NODE = f"{NAME}-control-plane"
# By digest, as kind's release notes ask: a node image fits the kind it was published with (v0.30)
# and later ones.
NODE_IMAGE = (
    "kindest/node:v1.34.0@sha256:7416a61b42b1662ca6ca89f02028ac133a309a2a30ba309614e8ec94d976dc5a"
)
OLDEST = (0, 24)
"""Since this version kind's own network enforces NetworkPolicies."""
ROLLOUT_SECONDS = 60


class Kind:
    """The kind cluster `casita` of this machine's container engine."""

    def __init__(self, domain: str, steps: Steps) -> None:
        self._domain = domain
        self._steps = steps
        self._kubeconfig = state() / "kubeconfig"

    def up(self) -> None:
        """Make the cluster run with this checkout's images.

        Raises:
            ClusterError: kind or a running engine is missing, or kind is too old.
        """
        engine = _engine()
        self._refuse_if_old(engine)
        # The cluster comes up while images are built and programs are compiled.
        services = images.SERVICE_PROGRAMS if images.services_wanted() else ()
        with ThreadPoolExecutor(1) as compiling, ThreadPoolExecutor(1) as imaging:
            programs = {
                name: compiling.submit(binary, name, self._steps)
                for name in ("kubectl", "traefik", "helm", *services)
            }
            builder = builders.choose()
            built = images.build(
                imaging,
                lambda: builder,
                lambda name: programs[name].result(),
                self._steps,
                without=images.EMBEDDED_ONLY,
            )
            if NAME not in self._kind(engine, "get", "clusters").split():
                self._create(engine)
            kubeconfig = self._kind(engine, "get", "kubeconfig", "--name", NAME)
            _write_private(self._kubeconfig, kubeconfig)
            kubectl = Kubectl(programs["kubectl"].result(), self._kubeconfig)
            addons.install_crds(kubectl)
            self._send_names_to(kubectl, gateway_address(kubectl))
            ready = {name: image.result() for name, image in built.items()}
            for image in ready.values():
                if image.name not in images.NEVER_RUN:
                    self._load(engine, builder, image.reference)
            images.references(ready)
            images.tidy(builder, ready)
            programs["helm"].result()
        self._steps.say("cluster: ready")

    def down(self) -> None:
        """Remove the cluster."""
        self._kind(_engine(), "delete", "cluster", "--name", NAME)
        self._kubeconfig.unlink(missing_ok=True)

    def healthy(self) -> bool:
        """Whether the cluster answers."""
        if not self._kubeconfig.exists():
            return False
        kubectl = Kubectl(binary("kubectl", self._steps), self._kubeconfig)
        try:
            return kubectl("get", "--raw", "/readyz").strip() == "ok"
        except ClusterError:
            return False

    def status(self) -> list[str]:
        """Lines that say what runs."""
        if not self.healthy():
            return [f"no kind cluster {NAME} answers"]
        return [
            f"kind cluster {NAME}",
            f"  kubeconfig  {self._kubeconfig}",
            *(f"  gateway     127.0.0.1:{there}" for there in GATEWAY_PORTS.values()),
        ]

    def _refuse_if_old(self, engine: str) -> None:
        said = self._kind(engine, "version", "--quiet").strip()
        if version(said) < OLDEST:
            oldest = ".".join(map(str, OLDEST))
            raise ClusterError(
                f"kind {said} does not enforce NetworkPolicies; install kind {oldest} or later"
            )

    def _create(self, engine: str) -> None:
        with self._steps.step("kind: creating the cluster"), tempfile.TemporaryDirectory() as where:
            config = Path(where) / "kind.yaml"
            config.write_text(yaml.safe_dump(configuration(), sort_keys=False))
            arguments = ["create", "cluster", f"--config={config}", "--wait=120s"]
            self._kind(engine, *arguments, f"--kubeconfig={where}/kubeconfig")

    def _load(self, engine: str, builder: builders.Builder, reference: str) -> None:
        listing = call([engine, "exec", NODE, "ctr", "-n=k8s.io", "images", "list", "--quiet"])
        if reference in check(listing).split():
            return
        with tempfile.TemporaryDirectory() as where:
            archive = Path(where) / "image.tar"
            builder.archive(reference, archive)
            self._kind(engine, "load", "image-archive", str(archive), "--name", NAME)
        self._steps.say(f"image {reference}: on the node")

    def _send_names_to(self, kubectl: Kubectl, gateway: str) -> None:
        template = "--output=jsonpath={.data.Corefile}"
        found = kubectl("get", "configmap", "coredns", "--namespace=kube-system", template)
        wanted = with_zone(found, zone(self._domain, gateway))
        if wanted == found:
            return
        patch = yaml.safe_dump({"data": {"Corefile": wanted}})
        kubectl("patch", "configmap", "coredns", "--namespace=kube-system", "--patch", patch)
        kubectl("rollout", "restart", "deployment/coredns", "--namespace=kube-system")
        rollout = ["rollout", "status", "deployment/coredns", "--namespace=kube-system"]
        kubectl(*rollout, f"--timeout={ROLLOUT_SECONDS}s")

    def _kind(self, engine: str, *arguments: str) -> str:
        # Only standard output: kind tells its progress on standard error.
        done = subprocess.run(
            [find("kind") or "kind", *arguments],
            env={**os.environ, "KIND_EXPERIMENTAL_PROVIDER": engine},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return check(done)


BEGIN, END = "# casita's names: begin", "# casita's names: end"


def configuration() -> dict[str, object]:
    """Give kind's configuration: one node, and the gateway's ports on the host's loopback."""
    gateway = [
        {"containerPort": port, "hostPort": there, "listenAddress": "127.0.0.1"}
        for port, there in GATEWAY_PORTS.items()
    ]
    node = {"role": "control-plane", "image": NODE_IMAGE, "extraPortMappings": gateway}
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "name": NAME,
        "nodes": [node],
    }


def zone(domain: str, gateway: str) -> str:
    """A server block for CoreDNS that sends the facility's names to the gateway."""
    return f"{BEGIN}\n{addons.zone(domain, gateway, port=53)}{END}\n"


def with_zone(corefile: str, block: str) -> str:
    """A Corefile with our block in front, in place of an earlier one."""
    begin, end = corefile.find(BEGIN), corefile.find(f"{END}\n")
    rest = corefile if begin < 0 else corefile[:begin] + corefile[end + len(END) + 1 :]
    return block + rest


def version(said: str) -> tuple[int, ...]:
    """The numbers in what ``kind version --quiet`` prints, e.g. ``0.30.0`` or ``0.31.0-alpha``."""
    return tuple(int(part) for part in said.removeprefix("v").partition("-")[0].split("."))


def gateway_address(kubectl: Kubectl) -> str:
    """The node's address: the gateway's Service has it as an external IP."""
    address = '{.items[0].status.addresses[?(@.type=="InternalIP")].address}'
    # A dual-stack node has two; the first is IPv4.
    return kubectl("get", "nodes", f"--output=jsonpath={address}").split()[0]


def usable() -> bool:
    """Whether a container engine answers and kind is there."""
    return find("kind") is not None and builders.running_engine() is not None


def _engine() -> str:
    engine = builders.running_engine()
    if engine is None:
        raise ClusterError("neither `docker info` nor `podman info` succeeds; start one of them")
    if find("kind") is None:
        raise ClusterError("no kind on PATH; install kind (kind.sigs.k8s.io)")
    return engine


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)
