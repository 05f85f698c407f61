"""Where things lie on the machine."""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

DOMAIN = "af.test"
"""The facility's zone on test clusters, whose DNS sends it to the gateway."""

RUN = Path("/run/casita")
"""Sockets and process ids of the embedded cluster: there is at most one on a machine, so any
checkout can see and stop it, and socket paths stay far below the kernel's 108 bytes."""

DATA = Path("/var/lib/casita/cluster")
"""The embedded cluster's etcd, containerd and kubelet directories."""


def cache() -> Path:
    """Folder for what is costly to make again: binaries, image layers, archives."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "casita"


def state() -> Path:
    """Folder of this checkout's cluster files: kubeconfig, logs, image list."""
    configured = os.environ.get("CASITA_CLUSTER_DIR")
    return Path(configured).resolve() if configured else REPOSITORY / "build" / "cluster"
