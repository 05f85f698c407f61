"""What a site has beside casita with the services around sessions: models, Prometheus, KEDA."""

import base64
import json
from pathlib import Path
from typing import Any

from tests import prometheus
from tests.cluster import keda
from tests.cluster.access import kubeconfig, kubectl
from tests.cluster.kubectl import Kubectl
from tests.cluster.locations import REPOSITORY
from tests.cluster.steps import Steps

MODELS = (REPOSITORY / "docs/examples/models", REPOSITORY / "tests/performance/models")
INFERENCE = "casita-triton"
"""Namespace of the inference servers, made before them since their models are in it."""
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


def prepare(references: dict[str, str], steps: Steps) -> None:
    """Make what the chart's values name, and what they are useless without."""
    run = Kubectl(kubectl(), kubeconfig())
    run.apply(json.dumps(namespace(INFERENCE)))
    run.apply(json.dumps(models("models", *MODELS)))
    with steps.step("KEDA and Prometheus, as a site has them"):
        keda.install(run, references["keda"])
        run.apply(prometheus.manifest(references["prometheus"]))


def namespace(name: str) -> dict[str, Any]:
    """Return a namespace of the restricted level."""
    metadata = {"name": name, "labels": RESTRICTED}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def models(name: str, *folders: Path) -> dict[str, Any]:
    """Return a ConfigMap with all files of model repositories, by `key_of` their paths."""
    data = {
        key_of(file.relative_to(folder)): base64.b64encode(file.read_bytes()).decode()
        for folder in folders
        for file in sorted(folder.rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": INFERENCE},
        "binaryData": data,
    }


def key_of(path: Path) -> str:
    """Return the key of a file: a ConfigMap's keys have no slashes."""
    return "--".join(path.parts)
