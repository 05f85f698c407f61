"""The route that leads a session's host through the gateway, TLS untouched, to its scheduler."""

from casita.api.names import SCHEDULER, SCHEDULER_PORT, session_host
from casita.config import DnsMode, Gateway, RouteApi, Site
from casita.manifests.common import Manifest, Owner, child
from casita.manifests.resources import INGRESS_ROUTE_TCP, TLS_ROUTE


def external_host(owner: Owner, site: Site) -> str | None:
    """Return the host that clients outside use, or `None` on a site without routes."""
    if site.gateway.route_api is RouteApi.NONE:
        return None
    return session_host(owner.namespace, owner.name, site.domain)


def route(owner: Owner, site: Site) -> Manifest | None:
    """Return the session's route in the API that the site chose, or `None`."""
    host = external_host(owner, site)
    if host is None:
        return None
    build = _tls_route if site.gateway.route_api is RouteApi.TLS_ROUTE else _ingress_route_tcp
    return build(owner, site.gateway, host)


def _tls_route(owner: Owner, gateway: Gateway, host: str) -> Manifest:
    """Gateway API: https://gateway-api.sigs.k8s.io, TLSRoute v1 of release 1.5."""
    return child(
        TLS_ROUTE,
        owner,
        owner.slug,
        SCHEDULER,
        {
            "spec": {
                "parentRefs": [
                    {
                        "group": "gateway.networking.k8s.io",
                        "kind": "Gateway",
                        "name": gateway.name,
                        "namespace": gateway.namespace,
                        "sectionName": gateway.listener,
                    }
                ],
                "hostnames": [host],
                "rules": [{"backendRefs": [{"name": owner.slug, "port": SCHEDULER_PORT}]}],
            }
        },
        annotations=_dns_annotations(gateway, host),
    )


def _ingress_route_tcp(owner: Owner, gateway: Gateway, host: str) -> Manifest:
    """Traefik's own route; the rule is text, and `host` is a slug under the site's domain."""
    return child(
        INGRESS_ROUTE_TCP,
        owner,
        owner.slug,
        SCHEDULER,
        {
            "spec": {
                "entryPoints": [gateway.entry_point],
                "routes": [
                    {
                        "match": f"HostSNI(`{host}`)",
                        "services": [{"name": owner.slug, "port": SCHEDULER_PORT}],
                    }
                ],
                "tls": {"passthrough": True},
            }
        },
        annotations=_dns_annotations(gateway, host),
    )


def _dns_annotations(gateway: Gateway, host: str) -> dict[str, str]:
    """Return what external-dns reads.

    It takes host and target from a TLSRoute and its status; an IngressRouteTCP has none.
    """
    dns = gateway.dns
    if dns.mode is DnsMode.WILDCARD:
        return {}
    found = {f"{dns.annotation_prefix}ttl": str(dns.ttl_seconds)}
    if gateway.route_api is RouteApi.INGRESS_ROUTE_TCP:
        found[f"{dns.annotation_prefix}hostname"] = host
        if dns.target:
            found[f"{dns.annotation_prefix}target"] = dns.target
    return found
