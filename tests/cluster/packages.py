"""Debian packages that the clusters are made of."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.cluster.steps import Steps

CONTROL_PLANE = {"etcd": "etcd-server"}
"""Commands that a control plane without nodes needs, and the package that has each."""

DEBIAN_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
IMAGES = {
    "buildah": "buildah",
    "skopeo": "skopeo",
    "mmdebstrap": "mmdebstrap",
    DEBIAN_KEYRING: "debian-archive-keyring",
}
"""Commands that image builds need where no container engine is at hand."""

MONITORING = {"prometheus": "prometheus", "promtool": "prometheus"}
"""Commands that tests of rules and dashboards need."""

EMBEDDED = {
    **CONTROL_PLANE,
    **IMAGES,
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "nft": "nftables",
    "ipset": "ipset",
    "conntrack": "conntrack",
    "ethtool": "ethtool",
    "socat": "socat",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "mount": "mount",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
}
"""Commands that the whole embedded cluster needs."""

SYSTEM_FOLDERS = "/usr/sbin:/usr/bin:/sbin:/bin"


def search_path() -> str:
    """PATH with the system folders, which a user's PATH may lack (iptables lives in sbin)."""
    return os.pathsep.join([os.environ.get("PATH", ""), SYSTEM_FOLDERS])


def find(command: str) -> str | None:
    """The path of a command, or of a file given by its full path; None if it is not there."""
    if command.startswith("/"):
        return command if Path(command).exists() else None
    return shutil.which(command, path=search_path())


def missing(commands: dict[str, str]) -> list[str]:
    """The packages whose commands are not on this machine."""
    return sorted({package for command, package in commands.items() if find(command) is None})


def ensure(commands: dict[str, str], steps: Steps) -> None:
    """Install the packages whose commands are missing.

    Raises:
        ClusterError: they cannot be installed here; the message names them.
    """
    packages = missing(commands)
    if not packages:
        return
    command = f"apt-get install --no-install-recommends {' '.join(packages)}"
    if find("apt-get") is None:
        raise ClusterError(
            f"these programs are missing: {', '.join(missing_commands(commands))}. On Debian or "
            f"Ubuntu: {command}. Elsewhere, install what provides them."
        )
    if os.geteuid() != 0:
        raise ClusterError(f"packages are missing; install them as root: {command}")
    with steps.step(f"packages: installing {' '.join(packages)}"):
        _apt(["update"])
        _apt(["install", "--yes", "--no-install-recommends", *packages])


def missing_commands(commands: Iterable[str]) -> list[str]:
    """The commands that are not on this machine."""
    return [command for command in commands if find(command) is None]


def _apt(arguments: list[str]) -> None:
    # policy-rc.d answers 101 (forbidden) so that no package's service is started on the host:
    # Debian's etcd and containerd would run beside ours.
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        done = subprocess.run(
            ["apt-get", "--quiet", *arguments],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    finally:
        if ours:
            policy.unlink()
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-15:])
        raise ClusterError(f"apt-get {' '.join(arguments)} failed:\n{tail}")
