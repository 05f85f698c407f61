"""What the pods of tests have in common: they are where sessions are, at the restricted level."""

from typing import Any, Final

from casita.access.login import CONNECTION

UNPRIVILEGED: Final[dict[str, Any]] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
"""Security context of a container."""

RESTRICTED: Final[dict[str, Any]] = {
    "automountServiceAccountToken": False,
    "enableServiceLinks": False,
    "terminationGracePeriodSeconds": 0,
    "securityContext": {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "runAsGroup": 1000,
        "seccompProfile": {"type": "RuntimeDefault"},
    },
}
"""Beginning of a pod's specification."""

RECONNECTING: Final = [{"name": name, "value": value} for name, value in CONNECTION.items()]
"""Variables by which XRootD's client meets a cache that starts anew again at once."""
