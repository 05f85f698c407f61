"""A user's pod beside a session, as the hub makes them, with nothing in it that runs by itself."""

from typing import Any

from casita.api.names import NOTEBOOK, slug
from casita.hub.notebook import (
    CONDOR_TOKENS,
    RUNTIME,
    deliverer,
    notebook_environment,
    notebook_labels,
    notebook_mounts,
    notebook_volumes,
)
from casita.hub.services import service_environment, service_labels
from tests.facility import installed_site
from tests.support.pods import RESTRICTED, UNPRIVILEGED

__all__ = ["CONDOR_TOKENS", "RUNTIME", "notebook_pod"]


def notebook_pod(
    namespace: str,
    session: str,
    image: str,
    name: str = "",
    *,
    mounted: str | None = None,
    profile: str = "",
) -> dict[str, Any]:
    """Return a pod that sleeps, for commands to be run in.

    Args:
        namespace: the session's namespace.
        session: the session's name.
        image: image with casita[dask].
        name: the pod's name; made from the session's if absent.
        mounted: name of the Secret to mount instead of the session's own client Secret.
        profile: of the session; the site's default one if absent.
    """
    prefix, site = slug(namespace, session), installed_site()
    profile = profile or site.default_profile
    environment = {
        "HOME": "/tmp",
        **notebook_environment(),
        **service_environment(site, profile),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name or f"notebook-{prefix}",
            "namespace": namespace,
            "labels": {**notebook_labels(prefix), **service_labels(site, profile)},
        },
        "spec": {
            **RESTRICTED,
            "securityContext": {**RESTRICTED["securityContext"], "fsGroup": 1000},
            "initContainers": [deliverer(image)],
            "containers": [
                {
                    "name": NOTEBOOK,
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "args": ["sleep", "infinity"],
                    "env": [{"name": key, "value": text} for key, text in environment.items()],
                    "resources": {
                        "requests": {"cpu": "50m", "memory": "512Mi"},
                        "limits": {"memory": "2Gi"},
                    },
                    "securityContext": UNPRIVILEGED,
                    "volumeMounts": [
                        *notebook_mounts(),
                        {"name": "scratch", "mountPath": "/tmp"},
                    ],
                }
            ],
            "volumes": [
                *notebook_volumes(prefix, mounted or ""),
                {"name": "scratch", "emptyDir": {}},
            ],
        },
    }
