"""The gateway passes TLS through to schedulers, and only what the site asked for is open."""

import pytest

from tests.chart import scenarios
from tests.chart.helm import Object, Rendered, render


def arguments(chart: Rendered) -> list[str]:
    deployment = chart.one("Deployment", "casita-gateway")
    found: list[str] = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    return found


def listeners(chart: Rendered) -> dict[str, Object]:
    return {
        each["name"]: each
        for gateway in chart.of_kind("Gateway")
        for each in gateway["spec"]["listeners"]
    }


def test_sessions_are_passed_through_untouched() -> None:
    (dask,) = listeners(scenarios.rendered("minimal")).values()
    assert (dask["name"], dask["protocol"], dask["tls"]) == ("dask", "TLS", {"mode": "Passthrough"})
    assert dask["hostname"] == "*.dask.af.example.org"


def test_routes_come_from_namespaces_of_sessions_alone() -> None:
    allowed = listeners(scenarios.rendered("many-namespaces"))["dask"]["allowedRoutes"]
    assert [kind["kind"] for kind in allowed["kinds"]] == ["TLSRoute"]
    assert allowed["namespaces"]["from"] == "Selector"
    (expression,) = allowed["namespaces"]["selector"]["matchExpressions"]
    assert expression["key"] == "kubernetes.io/metadata.name"
    assert expression["values"] == ["user-alice", "user-bob", "user-carol"]


def test_listeners_have_the_ports_of_traefiks_entry_points(chart: Rendered) -> None:
    """Traefik finds a listener's entry point by its port, and the Service the container's."""
    for each in chart.of_kind("Gateway"):
        opened = {a.rpartition(":")[2] for a in arguments(chart) if ".address=" in a}
        assert {str(listener["port"]) for listener in each["spec"]["listeners"]} <= opened
    for deployment in chart.of_kind("Deployment"):
        if deployment["metadata"]["name"] == "casita-gateway":
            container = deployment["spec"]["template"]["spec"]["containers"][0]
            names = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
            opened = {a.rpartition(":")[2] for a in arguments(chart) if ".address=" in a}
            assert set(names.values()) == opened
            service = chart.one("Service", "casita-gateway")
            assert {port["targetPort"] for port in service["spec"]["ports"]} <= set(names)


def test_there_is_no_https_before_there_is_a_certificate() -> None:
    for name in ("minimal", "ingressroutetcp"):
        chart = scenarios.rendered(name)
        assert not [argument for argument in arguments(chart) if "8443" in argument]
        ports = chart.one("Service", "casita-gateway")["spec"]["ports"]
        assert [port["name"] for port in ports] == ["dask"]


def test_https_ends_at_the_gateway_with_the_sites_certificate() -> None:
    https = listeners(scenarios.rendered("hub-only-gateway"))["https"]
    assert https["tls"]["certificateRefs"][0]["name"] == "hub-certificate"
    assert https["allowedRoutes"]["namespaces"] == {"from": "Same"}


@pytest.mark.parametrize("name", ["minimal", "many-namespaces", "ingressroutetcp"])
def test_traefik_watches_no_namespace_of_others(name: str) -> None:
    chart = scenarios.rendered(name)
    (watched,) = [a.partition("=")[2] for a in arguments(chart) if ".namespaces=" in a]
    assert set(watched.split(",")) <= {
        "casita-gateway",
        "casita",
        "user-alice",
        "user-bob",
        "user-carol",
    }


def test_one_route_api_is_read() -> None:
    def providers(name: str) -> set[str]:
        found = arguments(scenarios.rendered(name))
        return {a.split(".")[1] for a in found if a.startswith("--providers.kubernetes")}

    assert providers("minimal") == {"kubernetesgateway"}
    assert providers("ingressroutetcp") == {"kubernetescrd"}
    assert scenarios.rendered("ingressroutetcp").of_kind("Gateway", "GatewayClass") == []


def test_the_service_shows_sessions_at_the_port_that_clients_are_told() -> None:
    chart = render(
        {
            "global": {"gateway": {"port": 443}},
            "traefik": {"service": {"type": "ClusterIP", "externalIPs": ["192.0.2.1"]}},
        }
    )
    spec = chart.one("Service", "casita-gateway")["spec"]
    assert spec["ports"] == [{"name": "dask", "port": 443, "targetPort": "dask"}]
    assert spec["externalIPs"] == ["192.0.2.1"]


def test_another_gateway_is_used_as_it_is() -> None:
    chart = scenarios.rendered("existing-secrets")
    assert chart.of_kind("Gateway", "GatewayClass") == []
    assert not [found for found in chart.objects if "traefik" in str(found["metadata"]["labels"])]
