"""How sessions are reached from outside the cluster, and where they report to."""

from enum import StrEnum
from pathlib import Path

from pydantic import Field

from casita.config.base import Label, SiteModel


class RouteApi(StrEnum):
    """How a session's host reaches its scheduler; set by the admin, never guessed."""

    TLS_ROUTE = "TLSRoute"
    INGRESS_ROUTE_TCP = "IngressRouteTCP"
    NONE = "None"


class DnsMode(StrEnum):
    """Who answers for a session's host: one wildcard record, or external-dns per route."""

    WILDCARD = "Wildcard"
    EXTERNAL_DNS = "ExternalDNS"


class Dns(SiteModel):
    """Names of session hosts."""

    mode: DnsMode = DnsMode.WILDCARD
    annotation_prefix: str = "external-dns.kubernetes.io/"
    target: str | None = None
    """Address for external-dns with IngressRouteTCP, which has no status to read one from."""
    ttl_seconds: int = Field(default=60, ge=1)


class Gateway(SiteModel):
    """The gateway that session routes hang on."""

    route_api: RouteApi = RouteApi.TLS_ROUTE
    name: Label = "casita"
    namespace: Label = "casita-system"
    listener: Label = "dask"
    entry_point: Label = "dask"
    """Traefik's name for the port, used by IngressRouteTCP alone."""
    probe_address: str = "casita-gateway.casita-system.svc"
    """Where the operator connects to prove a route; a name or an address of the gateway."""
    port: int = Field(default=8786, ge=1, le=65535)
    """Port of the passthrough listener, in external addresses."""
    pod_labels: dict[str, str] = Field(
        default_factory=lambda: {"app.kubernetes.io/name": "traefik"}
    )
    """Labels of the gateway's pods, for the sessions' NetworkPolicies."""
    dns: Dns = Dns()


class Reporting(SiteModel):
    """Where schedulers report what they see of their workers."""

    url: str = "https://casita-operator.casita-system.svc:8443"
    authority_directory: Path = Path("/etc/casita/system-authority")
    """Holds ``tls.crt`` and ``tls.key`` of the system authority, and signs the endpoint's leaf."""
