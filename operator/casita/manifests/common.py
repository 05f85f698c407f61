"""What all child objects share: owner, labels, the hash of what was planned."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from casita.api.names import (
    API_VERSION,
    COMPONENT_LABEL,
    HASH_ANNOTATION,
    KIND,
    MANAGER,
    SESSION_LABEL,
    service_host,
    slug,
)
from casita.manifests.resources import Resource

Manifest = dict[str, Any]

_ENCODER: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), check_circular=False)


@dataclass(frozen=True, slots=True)
class Owner:
    """The session that an object belongs to."""

    namespace: str
    name: str
    uid: str

    @property
    def slug(self) -> str:
        """The session's slug, first part of every child's name."""
        return slug(self.namespace, self.name)

    @property
    def service_host(self) -> str:
        """The host of the scheduler inside the cluster."""
        return service_host(self.namespace, self.name)


def labels(owner: Owner, component: str) -> dict[str, str]:
    """Return the labels of a child with this role."""
    return {
        "app.kubernetes.io/managed-by": MANAGER,
        "app.kubernetes.io/part-of": MANAGER,
        SESSION_LABEL: owner.slug,
        COMPONENT_LABEL: component,
    }


def child(
    resource: Resource,
    owner: Owner,
    name: str,
    component: str,
    body: Mapping[str, Any],
    *,
    extra_labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Manifest:
    """Return an object of `resource`, owned by the session, with `body` beside its metadata."""
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {
            "name": name,
            "namespace": owner.namespace,
            "labels": {**labels(owner, component), **(extra_labels or {})},
            "annotations": dict(annotations or {}),
            "ownerReferences": [
                {
                    "apiVersion": API_VERSION,
                    "kind": KIND,
                    "name": owner.name,
                    "uid": owner.uid,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        **body,
    }


def planned_hash(manifest: Mapping[str, Any]) -> str:
    """Return 16 hexadecimal digits over the whole object as it was planned."""
    return hashlib.sha256(_ENCODER.encode(manifest).encode()).hexdigest()[:16]


def with_hash(manifest: Manifest) -> Manifest:
    """Return the object with its planned hash as an annotation, so that a restart can compare."""
    metadata = manifest["metadata"]
    annotations = {**metadata["annotations"], HASH_ANNOTATION: planned_hash(manifest)}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}
