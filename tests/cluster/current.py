"""The cluster of the user's current kubeconfig context, which casita neither makes nor removes."""

from __future__ import annotations

import os
import subprocess

from tests.cluster import addons, images
from tests.cluster.binaries import binary
from tests.cluster.certificates import write_private
from tests.cluster.errors import ClusterError
from tests.cluster.kubectl import Kubectl
from tests.cluster.locations import state
from tests.cluster.recipes import REGISTRY
from tests.cluster.steps import Steps


class Current:
    """A cluster that somebody else runs."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._kubeconfig = state() / "kubeconfig"

    def up(self) -> None:
        """Check that the cluster has what the chart needs, and remember how to reach it.

        Raises:
            ClusterError: it does not answer, it lacks the Gateway API, or it cannot reach the
                images that were built.
        """
        kubectl = self._remember()
        kubectl("get", "--raw", "/readyz")
        self._steps.say("cluster: answers")
        if "tlsroutes.gateway" not in kubectl("get", "crds", "--output=name"):
            raise ClusterError(
                "the cluster has no Gateway API; install it if that is yours to decide: "
                f"kubectl apply --server-side -f {addons.gateway_api()}"
            )
        unreachable = [r for r in images.known_references().values() if r.startswith(REGISTRY)]
        if unreachable:
            raise ClusterError(
                f"the cluster cannot pull {unreachable[0]}, which is on this machine only; send "
                "the images to a registry it reaches: "
                "python -m tests.cluster images --push REGISTRY/FOLDER"
            )

    def down(self) -> None:
        """Forget the cluster; what was installed on it stays."""
        self._kubeconfig.unlink(missing_ok=True)

    def healthy(self) -> bool:
        """Whether a remembered cluster answers."""
        if not self._kubeconfig.exists():
            return False
        try:
            Kubectl(binary("kubectl", self._steps), self._kubeconfig)("get", "--raw", "/readyz")
        except ClusterError:
            return False
        return True

    def status(self) -> list[str]:
        """Lines that say what runs."""
        word = "answers" if self.healthy() else "does not answer"
        return [f"the cluster of {self._kubeconfig} {word}"]

    def _remember(self) -> Kubectl:
        """Copy the current context alone, so that a later change of it changes nothing here."""
        program = binary("kubectl", self._steps)
        shown = subprocess.run(
            [str(program), "config", "view", "--minify", "--flatten", "--raw"],
            env=os.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        if shown.returncode != 0:
            raise ClusterError(f"there is no current kubeconfig context: {shown.stderr.strip()}")
        self._kubeconfig.parent.mkdir(parents=True, exist_ok=True)
        write_private(self._kubeconfig, shown.stdout.encode())
        return Kubectl(program, self._kubeconfig)
