"""The kinds of child objects and where the Kubernetes API serves them."""

from dataclasses import dataclass
from typing import Final

from casita.config import RouteApi


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object: its API version, kind and plural name."""

    api_version: str
    kind: str
    plural: str

    def path(self, namespace: str, name: str | None = None) -> str:
        """Return the URL path of one object, or of the collection in `namespace`."""
        root = "/api" if "/" not in self.api_version else "/apis"
        collection = f"{root}/{self.api_version}/namespaces/{namespace}/{self.plural}"
        return f"{collection}/{name}" if name else collection


SECRET: Final = Resource("v1", "Secret", "secrets")
SERVICE: Final = Resource("v1", "Service", "services")
POD: Final = Resource("v1", "Pod", "pods")
NETWORK_POLICY: Final = Resource("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
TLS_ROUTE: Final = Resource("gateway.networking.k8s.io/v1", "TLSRoute", "tlsroutes")
INGRESS_ROUTE_TCP: Final = Resource("traefik.io/v1alpha1", "IngressRouteTCP", "ingressroutetcps")
EVENT: Final = Resource("events.k8s.io/v1", "Event", "events")
ANALYSIS_SESSION: Final = Resource("casita.dev/v1alpha1", "AnalysisSession", "analysissessions")

ROUTES: Final[dict[RouteApi, Resource]] = {
    RouteApi.TLS_ROUTE: TLS_ROUTE,
    RouteApi.INGRESS_ROUTE_TCP: INGRESS_ROUTE_TCP,
}


def children(route_api: RouteApi) -> tuple[Resource, ...]:
    """Return every kind that a session owns objects of, on a site with this route API."""
    route = ROUTES.get(route_api)
    return (SECRET, SERVICE, NETWORK_POLICY, POD) + ((route,) if route else ())
