"""The embedded cluster's storage: a default StorageClass whose volumes are folders of the host."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from tests.cluster import node
from tests.cluster.kubectl import Kubectl
from tests.cluster.locations import DATA

NAME = "casita"
FOLDER = DATA / "volumes"
NUMBER = 10
"""Volumes that are there to be claimed; nothing makes more."""
SIZE = "100Gi"
"""What each says that it has; the host's disk is not measured."""


def provide(kubectl: Kubectl) -> None:
    """Make the class and its volumes; one whose claim is gone is emptied for the next."""
    found = json.loads(kubectl("get", "persistentvolumes", "--output=json"))["items"]
    left = [volume["metadata"]["name"] for volume in found if _is_left(volume)]
    for name in left:
        kubectl("delete", "persistentvolume", name)
        shutil.rmtree(FOLDER / name)
    names = [f"{NAME}-{number}" for number in range(NUMBER)]
    for name in names:
        (FOLDER / name).mkdir(parents=True, exist_ok=True)
    objects = [_storage_class(), *(_volume(name, FOLDER / name) for name in names)]
    kubectl.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))


def _is_left(volume: dict[str, Any]) -> bool:
    ours = volume["spec"].get("storageClassName") == NAME
    return ours and volume.get("status", {}).get("phase") in {"Released", "Failed"}


def _storage_class() -> dict[str, Any]:
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": NAME, "annotations": default},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def _volume(name: str, folder: Path) -> dict[str, Any]:
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node.NAME]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": SIZE},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": NAME,
            # Unlike hostPath, it is given to the pod's group.
            "local": {"path": str(folder)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }
