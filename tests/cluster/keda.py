"""KEDA on a test cluster: what makes replicas follow a load that Prometheus knows."""

from __future__ import annotations

import base64
import json

from tests.cluster import addons
from tests.cluster.binaries import module_folder
from tests.cluster.certificates import Authority
from tests.cluster.kubectl import Kubectl

NAMESPACE = "keda"
HOSTS = tuple(
    f"{name}.{NAMESPACE}.svc{domain}"
    for name in ("keda-operator", "keda-metrics-apiserver")
    for domain in ("", ".cluster.local")
)
ROLLOUT_SECONDS = 120


def install(kubectl: Kubectl, image: str) -> None:
    """Install KEDA with certificates of its own, and wait until it answers.

    Args:
        kubectl: the cluster.
        image: full name of the image with both programs.
    """
    config = module_folder("keda", "github.com/kedacore/keda/v2") / "config"
    crds = sorted((config / "crd" / "bases").glob("*.yaml"))
    kubectl("apply", "--server-side", *(f"--filename={path}" for path in crds))
    kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd/scaledobjects.keda.sh")
    if not kubectl("get", "namespace", NAMESPACE, "--ignore-not-found"):
        kubectl.apply(_manifest(image))
    rights = ["rbac/role.yaml", "rbac/role_binding.yaml"]
    rights += ["metrics-server/role.yaml", "metrics-server/role_binding.yaml"]
    files = [f"--filename={config / name}" for name in rights]
    kubectl("apply", "--server-side", "--force-conflicts", *files)
    for name in ("keda-operator", "keda-metrics-apiserver"):
        rollout = ["rollout", "status", f"--namespace={NAMESPACE}", f"deployment/{name}"]
        kubectl(*rollout, f"--timeout={ROLLOUT_SECONDS}s")
    service = "apiservice/v1beta1.external.metrics.k8s.io"
    kubectl("wait", "--for=condition=Available", "--timeout=60s", service)


def _manifest(image: str) -> str:
    authority = Authority("casita-keda")
    served = authority.server("keda", HOSTS)
    certificate = authority.pair.certificate
    return addons.manifest(
        "keda",
        image=image,
        authority=json.dumps(certificate.decode()),
        certificate=json.dumps(served.certificate.decode()),
        key=json.dumps(served.key.decode()),
        bundle=base64.b64encode(certificate).decode(),
    )
