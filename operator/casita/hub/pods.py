"""What a server's pod says of itself. Pure."""

from collections.abc import Mapping
from typing import Any, Final

_NO_IMAGE: Final = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}
)
"""Reasons of a container that waits (``pkg/kubelet/images/types.go`` of Kubernetes)."""


def missing_image(pod: Mapping[str, Any] | None) -> str:
    """Return the image that the pod's node cannot get, and why; empty if there is none."""
    status = (pod or {}).get("status") or {}
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(kind) or ():
            waiting = (container.get("state") or {}).get("waiting") or {}
            if waiting.get("reason") in _NO_IMAGE:
                return f"{container.get('image')}: {waiting.get('message') or waiting['reason']}"
    return ""
