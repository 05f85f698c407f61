"""Images in the embedded node's containerd."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from typing import IO, cast

from tests.cluster.errors import ClusterError
from tests.cluster.layout import Layout
from tests.cluster.node import CONTAINERD_SOCKET
from tests.cluster.packages import find

NAMESPACE = "k8s.io"
"""Where the kubelet looks for images."""
SECONDS = 60


def answers() -> bool:
    """Whether containerd takes requests."""
    return CONTAINERD_SOCKET.exists() and _ctr("version").returncode == 0


def load(layout: Layout, reference: str, snapshotter: str) -> bool:
    """Bring an image in, unless it is there; whether it was brought in.

    Layers that containerd has from other images are not sent again.

    Raises:
        ClusterError: containerd refused it.
    """
    if reference in _ctr("images", "list", "--quiet").stdout.split():
        return False
    there = set(_ctr("content", "list", "--quiet").stdout.split())
    command = [*_command(), "images", "import", f"--snapshotter={snapshotter}", "-"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as importing:
        pipes = cast("tuple[IO[bytes], IO[bytes]]", (importing.stdin, importing.stderr))
        with suppress(BrokenPipeError):  # it says why on its standard error
            layout.write(reference, pipes[0], without=there)
        with suppress(BrokenPipeError):
            pipes[0].close()
        complaint = pipes[1].read().decode().strip()
    if importing.returncode != 0:
        raise ClusterError(f"containerd did not take {reference}: {complaint}")
    return True


def _ctr(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*_command(), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )


def _command() -> list[str]:
    return [find("ctr") or "ctr", f"--address={CONTAINERD_SOCKET}", f"--namespace={NAMESPACE}"]
