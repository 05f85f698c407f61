"""What NetworkPolicies allow: a small model, to ask who may connect to whom.

The rules are those of the API networking.k8s.io/v1, as a cluster enforces them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

from tests.chart.helm import Object


@dataclass(frozen=True)
class Pod:
    """One end of a connection, inside the cluster."""

    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outside:
    """One end of a connection, outside the cluster."""

    address: str


End = Pod | Outside


def connects(
    policies: Sequence[Object], source: End, target: End, port: int, protocol: str = "TCP"
) -> bool:
    """Say whether a connection is let out at its source and in at its target."""
    out = lets_out(policies, source, target, port, protocol)
    return out and lets_in(policies, source, target, port, protocol)


def lets_out(
    policies: Sequence[Object], source: End, target: End, port: int, protocol: str = "TCP"
) -> bool:
    """Say whether the policies at the source allow the connection."""
    return _passes(policies, source, target, port, protocol, "Egress")


def lets_in(
    policies: Sequence[Object], source: End, target: End, port: int, protocol: str = "TCP"
) -> bool:
    """Say whether the policies at the target allow the connection."""
    return _passes(policies, target, source, port, protocol, "Ingress")


def _passes(
    policies: Sequence[Object], here: End, there: End, port: int, protocol: str, direction: str
) -> bool:
    if isinstance(here, Outside):
        return True
    rules, peers = ("egress", "to") if direction == "Egress" else ("ingress", "from")
    selecting = [
        policy["spec"]
        for policy in policies
        if policy["metadata"]["namespace"] == here.namespace
        and direction in policy["spec"]["policyTypes"]
        and _selects(policy["spec"]["podSelector"], here.labels)
    ]
    return not selecting or any(
        _any_peer(rule.get(peers), there, here.namespace)
        and _any_port(rule.get("ports"), port, protocol)
        for spec in selecting
        for rule in spec.get(rules) or ()
    )


def _any_peer(peers: Iterable[Mapping[str, Any]] | None, end: End, namespace: str) -> bool:
    # No list is everybody, and so is an empty one.
    return not peers or any(_is_peer(peer, end, namespace) for peer in peers)


def _is_peer(peer: Mapping[str, Any], end: End, namespace: str) -> bool:
    if isinstance(end, Outside):
        block = peer.get("ipBlock")
        return block is not None and _within(end.address, block)
    if "ipBlock" in peer:
        # Pods' addresses are a cluster's affair; the tests take them to be in a private range.
        return _within("10.1.2.3", peer["ipBlock"])
    home = {"kubernetes.io/metadata.name": end.namespace}
    in_namespace = (
        _selects(peer["namespaceSelector"], home)
        if "namespaceSelector" in peer
        else end.namespace == namespace
    )
    return in_namespace and _selects(peer.get("podSelector", {}), end.labels)


def _within(address: str, block: Mapping[str, Any]) -> bool:
    here = ip_address(address)
    return here in ip_network(block["cidr"]) and not any(
        here in ip_network(each) for each in block.get("except", ())
    )


def _any_port(ports: Iterable[Mapping[str, Any]] | None, port: int, protocol: str) -> bool:
    return not ports or any(
        each.get("protocol", "TCP") == protocol
        and each.get("port", port) <= port <= each.get("endPort", each.get("port", port))
        for each in ports
    )


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    wanted = selector.get("matchLabels", {})
    return wanted.items() <= labels.items() and all(
        _matches(each, labels) for each in selector.get("matchExpressions", ())
    )


def _matches(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, operator = expression["key"], expression["operator"]
    if operator == "Exists":
        return key in labels
    if operator == "In":
        return labels.get(key) in expression["values"]
    raise NotImplementedError(f"{operator} is used by no policy yet")
