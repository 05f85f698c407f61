"""A whole Kubernetes on this machine, from Go modules and Debian packages alone."""

from __future__ import annotations

import json
import os
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import cache as once
from pathlib import Path
from typing import Any

from tests.cluster import (
    addons,
    cgroups,
    containers,
    images,
    node,
    packages,
    ports,
    sandbox,
    storage,
)
from tests.cluster.api import Api
from tests.cluster.binaries import binary
from tests.cluster.bringup import REGISTER, Bringup, node_ready, prepare_folders
from tests.cluster.buildah import Buildah, overlay_works
from tests.cluster.components import Settings
from tests.cluster.errors import ClusterError
from tests.cluster.images import Image
from tests.cluster.kubectl import Kubectl
from tests.cluster.locations import DATA, REPOSITORY, RUN, state
from tests.cluster.sandbox import GATEWAY_PORTS
from tests.cluster.steps import Steps

API_PORT = 6443
ROLLOUT_SECONDS = 60
RECORD = RUN / "cluster.json"
PROGRAMS = (
    *("pause", "kubernetes", "coredns", "kube-router", "helm", "traefik"),
    *images.SERVICE_PROGRAMS,
)
"""In the order of building: first what other work waits for."""


class Embedded:
    """The embedded cluster, of which a machine has at most one."""

    def __init__(self, domain: str, steps: Steps) -> None:
        self._domain = domain
        self._steps = steps
        self._kubeconfig = state() / "kubeconfig"
        self._builder = once(Buildah)

    def up(self) -> None:
        """Make the cluster run with this checkout's images; a few seconds' check if it does.

        Raises:
            ClusterError: it cannot run here, or another checkout's cluster runs.
        """
        _refuse_if_impossible()
        packages.ensure(packages.EMBEDDED, self._steps)
        with ThreadPoolExecutor(1) as compiling, ThreadPoolExecutor(1) as imaging:
            wanted = [name for name in PROGRAMS if images.is_wanted(name)]
            programs = {name: compiling.submit(self._program, name) for name in wanted}
            built = images.build(
                imaging, self._builder, lambda name: programs[name].result(), self._steps
            )
            try:
                if not self.healthy():
                    self._start(programs, built)
                self._complete(programs, built)
            except BaseException:
                compiling.shutdown(wait=False, cancel_futures=True)
                imaging.shutdown(wait=False, cancel_futures=True)
                raise
        self._steps.say("cluster: ready")

    def down(self) -> None:
        """Stop the cluster, whichever checkout started it, and remove all of it but its logs."""
        if os.geteuid() != 0:
            if not RUN.exists() and not DATA.exists():
                return
            raise ClusterError("the embedded cluster runs as root, and only root can stop it")
        kubeconfigs = {self._kubeconfig, Path(record().get("kubeconfig", self._kubeconfig))}
        for running in [*sandbox.strays(), *REGISTER.all()]:
            running.kill()
        cgroups.remove()
        sandbox.remove_traces()
        for folder in (DATA, RUN):
            if folder.exists():
                shutil.rmtree(folder)
        with suppress(OSError):  # not empty, or never made
            DATA.parent.rmdir()
        for kubeconfig in kubeconfigs:
            kubeconfig.unlink(missing_ok=True)

    def healthy(self) -> bool:
        """Whether all of it runs and its node is ready."""
        running = REGISTER.all()
        if not running or not all(p.alive() for p in running) or not self._kubeconfig.exists():
            return False
        api = Api(self._kubeconfig)
        return api.status("/readyz") == 200 and node_ready(api)

    def status(self) -> list[str]:
        """Lines that say what runs."""
        known = record()
        if not known:
            return ["no embedded cluster runs on this machine"]
        lines = [f"embedded cluster of {known['repository']}"]
        for running in REGISTER.all():
            word = f"id {running.pid}" if running.alive() else "DEAD"
            lines.append(f"  {running.name:<24} {word:<12} {running.log}")
        lines.append(f"  kubeconfig  {known['kubeconfig']}")
        for port, there in known["gateway"].items():
            lines.append(f"  gateway     127.0.0.1:{there} leads to {sandbox.NODE_IP}:{port}")
        lines.append(f"  network     ip netns exec {sandbox.NAME} COMMAND")
        return lines

    def _start(self, programs: dict[str, Future[Path]], built: dict[str, Future[Image]]) -> None:
        if record():
            self._steps.say("cluster: something of it has ended; starting it anew")
        self.down()
        logs = state() / "logs"
        shutil.rmtree(logs, ignore_errors=True)
        (port,) = ports.free(1, preferred=API_PORT)
        gateway = {p: ports.free(1, preferred=there)[0] for p, there in GATEWAY_PORTS.items()}
        pause, kubernetes = programs["pause"].result(), programs["kubernetes"].result()
        settings = Settings(
            kubernetes.parent,
            DATA / "control-plane",
            sandbox.NODE_IP,
            bind="0.0.0.0",  # noqa: S104 - inside a network without a way out
            port=port,
            etcd_port=2379,
            etcd_peer_port=2380,
            controller_manager_port=10257,
        )
        pause_image = built["pause"].result()
        prepare_folders(settings)
        self._write_record(gateway)
        starting = Bringup(settings, logs, self._steps)
        starting.make_sandbox(pause, gateway)
        api = starting.write_credentials(self._kubeconfig)
        starting.start_storage()
        starting.start_containerd(_snapshotter(), pause_image.reference)
        starting.start_control_plane(api)
        starting.start_node(api)
        self._kubectl().apply(addons.manifest("kube-router"))
        starting.start_policies(programs["kube-router"].result())

    def _complete(self, programs: dict[str, Future[Path]], built: dict[str, Future[Image]]) -> None:
        """Bring a running cluster to what this checkout wants."""
        kubectl = self._kubectl()
        with ThreadPoolExecutor(1) as loading:
            # What DNS needs comes first: its pod is waited for below.
            names = sorted(built, key=lambda name: name not in {"pause", "coredns"})
            loaded = {name: loading.submit(self._load, built[name]) for name in names}
            addons.install_crds(kubectl)
            storage.provide(kubectl)
            dns = addons.dns(
                built["coredns"].result().reference,
                address=node.DNS_IP,
                gateway=sandbox.NODE_IP,
                domain=self._domain,
            )
            for name in ("pause", "coredns"):
                loaded[name].result()
            kubectl.apply(dns)
            rollout = ["rollout", "status", "-n=kube-system", "deployment/coredns"]
            kubectl(*rollout, f"--timeout={ROLLOUT_SECONDS}s")
            self._steps.say("coredns: answers")
            ready = {name: future.result() for name, future in loaded.items()}
        images.references(ready)
        images.tidy(self._builder(), ready)
        for program in programs.values():
            program.result()
        for running in REGISTER.all():
            if not running.alive():
                raise ClusterError(f"{running.name} has ended:\n{running.last_lines()}")

    def _load(self, building: Future[Image]) -> Image:
        image = building.result()
        if image.name not in images.NEVER_RUN:
            layout = self._builder().layout
            if containers.load(layout, image.reference, _snapshotter()):
                self._steps.say(f"image {image.name}: on the node")
        return image

    def _program(self, name: str) -> Path:
        try:
            return binary(name, self._steps)
        except ClusterError as error:
            self._steps.say(f"{name}: {error}")  # now, not when somebody asks for it
            raise

    def _kubectl(self) -> Kubectl:
        return Kubectl(binary("kubectl", self._steps), self._kubeconfig)

    def _write_record(self, gateway: dict[int, int]) -> None:
        RUN.mkdir(parents=True, exist_ok=True)
        known = {
            "repository": str(REPOSITORY),
            "kubeconfig": str(self._kubeconfig),
            "gateway": {str(port): there for port, there in gateway.items()},
        }
        RECORD.write_text(json.dumps(known))


def record() -> dict[str, Any]:
    """What the running cluster's starter wrote down; empty if there is none."""
    return dict(json.loads(RECORD.read_text())) if RECORD.exists() else {}


@once
def _snapshotter() -> str:
    """How containerd stacks layers: overlay mounts, or copies where the disk refuses those."""
    return "overlayfs" if overlay_works(DATA) else "native"


def _refuse_if_impossible() -> None:
    if os.geteuid() != 0:
        raise ClusterError(
            "the embedded cluster makes namespaces and mounts, so it needs root; without it, use "
            "CLUSTER=kind with docker or podman, or CLUSTER=current"
        )
    other = record().get("repository", str(REPOSITORY))
    if other != str(REPOSITORY) and any(running.alive() for running in REGISTER.all()):
        raise ClusterError(
            f"a cluster started from {other} runs on this machine, which has room for one; "
            f"stop it by `python -m tests.cluster down`, from any checkout"
        )
