"""Who may connect to a session's pods: its own pods, its notebook, the gateway, batch workers."""

from typing import Any

from casita.api.names import (
    COMPONENT_LABEL,
    DASHBOARD_PORT,
    NOTEBOOK,
    SCHEDULER,
    SCHEDULER_PORT,
    SESSION_LABEL,
    WORKER,
    WORKER_PORT,
)
from casita.config import Batch, RouteApi, Site
from casita.manifests.common import Manifest, Owner, child
from casita.manifests.resources import NETWORK_POLICY


def network_policy(owner: Owner, site: Site) -> Manifest:
    """Return the ingress rules of scheduler and workers.

    The namespace denies everything by default; egress is the chart's, equal for all sessions. One
    policy serves both kinds of pod, because a port that only one of them listens on is closed on
    the other.
    """
    mine = {SESSION_LABEL: owner.slug}
    rules = [
        _allow([{"podSelector": {"matchLabels": mine}}], SCHEDULER_PORT, WORKER_PORT),
        _allow(
            [{"podSelector": {"matchLabels": {**mine, COMPONENT_LABEL: NOTEBOOK}}}], DASHBOARD_PORT
        ),
    ]
    if site.gateway.route_api is not RouteApi.NONE:
        gateway = {
            **_namespace(site.gateway.namespace),
            "podSelector": {"matchLabels": dict(site.gateway.pod_labels)},
        }
        rules.append(_allow([gateway], SCHEDULER_PORT))
    if machines := _machines(site.batch):
        rules.append(_allow(machines, WORKER_PORT))
    return child(
        NETWORK_POLICY,
        owner,
        owner.slug,
        SCHEDULER,
        {
            "spec": {
                "podSelector": {
                    "matchLabels": mine,
                    "matchExpressions": [
                        {"key": COMPONENT_LABEL, "operator": "In", "values": [SCHEDULER, WORKER]}
                    ],
                },
                "policyTypes": ["Ingress"],
                "ingress": rules,
            }
        },
    )


def _machines(batch: Batch | None) -> list[dict[str, Any]]:
    """Return where workers that are jobs run: they take data from those that are pods.

    Jobs of other users run there too; the session's own TLS keeps them out.
    """
    if batch is None:
        return []
    own = [_namespace(batch.pool_namespace)] if batch.pool_namespace else []
    return own + [{"ipBlock": {"cidr": cidr}} for cidr in batch.workers.ranges]


def _namespace(name: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def _allow(peers: list[dict[str, Any]], *ports: int) -> dict[str, Any]:
    return {"from": peers, "ports": [{"protocol": "TCP", "port": port} for port in ports]}
