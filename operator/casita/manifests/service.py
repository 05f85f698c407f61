"""The Service of a session's scheduler.

Headless, because allocating cluster IPs is what slows an API server under a burst of logins.
"""

from casita.api.names import (
    COMPONENT_LABEL,
    DASHBOARD_PORT,
    SCHEDULER,
    SCHEDULER_PORT,
    SESSION_LABEL,
)
from casita.manifests.common import Manifest, Owner, child
from casita.manifests.resources import SERVICE


def service(owner: Owner) -> Manifest:
    """Return the Service whose name is the scheduler's host inside the cluster."""
    return child(
        SERVICE,
        owner,
        owner.slug,
        SCHEDULER,
        {
            "spec": {
                "clusterIP": "None",
                # Workers that start beside the scheduler then find its name at once, and wait for
                # its port, not for a refreshed answer of DNS.
                "publishNotReadyAddresses": True,
                "selector": {SESSION_LABEL: owner.slug, COMPONENT_LABEL: SCHEDULER},
                "ports": [
                    {"name": "dask", "port": SCHEDULER_PORT, "protocol": "TCP"},
                    {"name": "dashboard", "port": DASHBOARD_PORT, "protocol": "TCP"},
                ],
            }
        },
    )
