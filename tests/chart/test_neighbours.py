"""The examples for neighbours fit their charts, fit casita's, and fit each other."""

from functools import cache
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml

from casita.config import DnsMode, Site
from tests.chart import crd_schemas
from tests.chart.helm import REPOSITORY, Object, Rendered, render
from tests.chart.network import Outside, Pod, connects

EXAMPLES: Final = REPOSITORY / "docs" / "examples" / "neighbours"
PAGE: Final = REPOSITORY / "docs" / "admin" / "neighbours.md"
RECORDED: Final = REPOSITORY / "tests" / "data" / "neighbours"
VALUES: Final = {"values.yaml", "casita-values.yaml"}
CHARTS: Final = {path.parent.name for path in EXAMPLES.glob("*/values.yaml")}
OURS: Final = sorted(path.parent.name for path in EXAMPLES.glob("*/casita-values.yaml"))
OBJECTS: Final = sorted(path for path in EXAMPLES.glob("*/*.yaml") if path.name not in VALUES)

HUB: Final = Pod("casita-hub", {"app.kubernetes.io/name": "jupyterhub"})
PROXY: Final = Pod("casita-hub", {"app.kubernetes.io/name": "jupyterhub-proxy"})


def example(path: str) -> Any:
    """A file of the examples with one document."""
    return yaml.safe_load((EXAMPLES / path).read_text())


def objects(path: Path) -> list[Object]:
    return list(yaml.safe_load_all(path.read_text()))


@cache
def rendered(name: str) -> Rendered:
    """The chart with the values for this neighbour."""
    return render(example(f"{name}/casita-values.yaml"))


def site(chart: Rendered) -> Site:
    text = chart.one("ConfigMap", "casita-operator")["data"]["site.yaml"]
    return Site.model_validate(yaml.safe_load(text))


def policies(name: str) -> list[Object]:
    """The network policies of casita, and those of the example."""
    found = objects(EXAMPLES / name / "networkpolicies.yaml")
    return [*rendered(name).of_kind("NetworkPolicy"), *found]


def labelled(chart: Rendered, pod: Pod) -> Pod:
    """The pod with all labels that the chart gives to pods of its name."""
    for owner, made in chart.pods():
        labels = made["metadata"]["labels"]
        if owner["metadata"]["namespace"] == pod.namespace and pod.labels.items() <= labels.items():
            return Pod(pod.namespace, labels)
    raise LookupError(f"no pod in {pod.namespace} has {pod.labels}")


def unknown(values: dict[str, Any], recorded: dict[str, Any], path: str = "") -> list[str]:
    """Return the values that a chart does not take, by their paths."""
    if path in recorded["free"]:
        return []
    known = recorded["keys"].get(path, "").split()
    below = {f"{path}.{key}".removeprefix("."): value for key, value in values.items()}
    found = [name for name in below if name.rpartition(".")[2] not in known]
    for name, value in below.items():
        if isinstance(value, dict):
            found += unknown(value, recorded, name)
    return found


@pytest.mark.parametrize("name", sorted(CHARTS))
def test_the_neighbours_chart_knows_every_value(name: str) -> None:
    recorded = yaml.safe_load(
        (RECORDED / f"{name.removesuffix('-wildcard')}-keys.yaml").read_text()
    )
    assert unknown(example(f"{name}/values.yaml"), recorded) == []


@pytest.mark.parametrize("name", OURS)
def test_casita_takes_the_values(name: str) -> None:
    assert site(rendered(name)).domain == "af.example.org"


@pytest.mark.parametrize("path", OBJECTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_objects_follow_their_schemas(path: Path) -> None:
    for found in objects(path):
        if crd_schemas.known(found):
            crd_schemas.validate(found)
        else:
            kubernetes_validate.validate(found, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("name", sorted(CHARTS | set(OURS)))
def test_the_page_tells_of_every_example(name: str) -> None:
    assert f"examples/neighbours/{name}/" in PAGE.read_text()


def test_what_prometheus_reads_has_the_label_that_it_selects_by() -> None:
    """kube-prometheus-stack selects by the name of its own release."""
    release = {"release": "monitoring"}
    chart = rendered("kube-prometheus-stack")
    for found in chart.of_kind("ServiceMonitor", "PrometheusRule"):
        assert release.items() <= found["metadata"]["labels"].items()
    assert len(chart.of_kind("ServiceMonitor")) > 1
    assert chart.of_kind("PrometheusRule")
    own = example("supersonic/servicemonitor.yaml")["metadata"]["labels"]
    keda = example("keda/values.yaml")["prometheus"]["operator"]["serviceMonitor"]
    dns = example("external-dns/values.yaml")["serviceMonitor"]
    certificates = example("cert-manager/values.yaml")["prometheus"]["servicemonitor"]
    assert [
        own,
        keda["additionalLabels"],
        dns["additionalLabels"],
        certificates["labels"],
    ] == [release] * 4


def test_prometheus_is_where_the_others_look_for_it() -> None:
    stack = example("kube-prometheus-stack/values.yaml")["fullnameOverride"]
    namespace = example("kube-prometheus-stack/casita-values.yaml")["global"]["monitoring"]
    host = f"{stack}-prometheus.{namespace['namespace']}.svc"
    external = example("supersonic/values.yaml")["prometheus"]["external"]
    assert (external["url"], external["port"]) == (host, 9090)


class TestBinderHub:
    """The hub leads to it, and it asks the hub about visitors; nothing else meets."""

    binder = Pod("binderhub", {"app.kubernetes.io/component": "binderhub"})

    def test_hub_proxy_and_binderhub_meet(self) -> None:
        chart, allowed = rendered("binderhub"), policies("binderhub")
        hub, proxy = labelled(chart, HUB), labelled(chart, PROXY)
        assert connects(allowed, proxy, self.binder, 8585)
        assert connects(allowed, hub, self.binder, 8585)
        assert connects(allowed, self.binder, hub, 8081)

    def test_nobody_else_reaches_either(self) -> None:
        chart, allowed = rendered("binderhub"), policies("binderhub")
        hub = labelled(chart, HUB)
        session = Pod("casita", {"casita.dev/component": "notebook"})
        daemon = Pod("binderhub", {"app.kubernetes.io/component": "docker-api"})
        assert not connects(allowed, session, self.binder, 8585)
        assert not connects(allowed, Outside("198.51.100.7"), self.binder, 8585)
        assert not connects(allowed, daemon, hub, 8081)
        assert not connects(allowed, self.binder, labelled(chart, PROXY), 8001)

    def test_only_who_has_the_scope_may_build(self) -> None:
        builder = example("binderhub/values.yaml")["config"]["BinderHub"]
        assert builder["auth_enabled"]
        assert builder["enable_api_only_mode"]
        hub = rendered("binderhub").one("ConfigMap", "casita-hub")["data"]
        config = yaml.safe_load(hub["chart.json"])["JupyterHub"]
        (service,) = [each for each in config["services"] if each["name"] == "binder"]
        assert service == {"name": "binder", "url": "http://binderhub.binderhub.svc:80"}
        holders = [each for each in config["load_roles"] if "binder" in str(each["scopes"])]
        assert [each["groups"] for each in holders] == [["binder"]]

    def test_both_speak_of_the_same_hub(self) -> None:
        environment = {
            each["name"]: each["value"] for each in example("binderhub/values.yaml")["extraEnv"]
        }
        builder = example("binderhub/values.yaml")["config"]["BinderHub"]
        chart = rendered("binderhub")
        port = chart.one("Service", "casita-hub", "casita-hub")["spec"]["ports"][0]["port"]
        local = f"http://casita-hub.casita-hub.svc:{port}/"
        assert builder["hub_url_local"] == local
        assert environment["JUPYTERHUB_API_URL"] == f"{local}hub/api"
        assert environment["JUPYTERHUB_SERVICE_NAME"] == "binder"
        assert builder["base_url"] == "/services/binder/"
        (host,) = chart.one("HTTPRoute", "casita-hub")["spec"]["hostnames"]
        assert builder["hub_url"] == f"https://{host}/"

    def test_sessions_may_run_what_is_built(self) -> None:
        prefix = example("binderhub/values.yaml")["config"]["BinderHub"]["image_prefix"]
        (profile,) = site(rendered("binderhub")).profiles
        assert profile.allows_image(f"{prefix}a-2fb:0123")
        assert not profile.allows_image("registry.example.org/other:1")


class TestSuperSonic:
    """It takes the place of casita's Triton, of which nothing is left."""

    envoy = Pod("supersonic", {"app.kubernetes.io/component": "envoy"})
    triton = Pod("supersonic", {"app.kubernetes.io/component": "triton"})
    user = Pod("casita", {"casita.dev/inference": "default", "casita.dev/component": "worker"})

    def test_sessions_are_told_of_it(self) -> None:
        found = site(rendered("supersonic"))
        (profile,) = found.profiles
        server = found.inference_server(profile)
        assert server is not None
        assert server.url == "supersonic.supersonic.svc.cluster.local:8001"
        assert server.health_url is None

    def test_there_is_no_triton_of_casitas(self) -> None:
        chart = rendered("supersonic")
        assert not [each for each in chart.objects if "triton" in each["metadata"]["name"]]
        assert chart.of_kind("GRPCRoute", "ScaledObject") == []

    def test_sessions_that_may_use_it_reach_its_front_and_no_others_do(self) -> None:
        allowed = policies("supersonic")
        other = Pod("casita", {"casita.dev/component": "worker"})
        assert connects(allowed, self.user, self.envoy, 8001)
        assert not connects(allowed, self.user, self.envoy, 9901)
        assert not connects(allowed, self.user, self.triton, 8001)
        assert not connects(allowed, other, self.envoy, 8001)
        assert not connects(allowed, Outside("198.51.100.7"), self.envoy, 8001)
        assert connects(allowed, self.envoy, self.triton, 8001)
        assert connects(allowed, Pod("monitoring"), self.triton, 8002)

    def test_its_metrics_have_the_label_that_its_scaling_asks_for(self) -> None:
        (endpoint,) = example("supersonic/servicemonitor.yaml")["spec"]["endpoints"]
        assert endpoint["relabelings"] == [{"targetLabel": "release", "replacement": "supersonic"}]
        assert "serverLoadMetric" not in example("supersonic/values.yaml")


def test_the_certificate_is_the_one_that_the_gateway_takes() -> None:
    chart = rendered("cert-manager")
    issuer, made = example("cert-manager/issuer.yaml"), example("cert-manager/certificate.yaml")
    gateway = chart.one("Gateway", "casita")
    (https,) = [each for each in gateway["spec"]["listeners"] if each["protocol"] == "HTTPS"]
    (reference,) = https["tls"]["certificateRefs"]
    assert made["spec"]["secretName"] == reference["name"]
    assert made["metadata"]["namespace"] == gateway["metadata"]["namespace"]
    assert made["spec"]["dnsNames"] == chart.one("HTTPRoute", "casita-hub")["spec"]["hostnames"]
    wanted = made["spec"]["issuerRef"]
    assert (wanted["kind"], wanted["name"]) == (issuer["kind"], issuer["metadata"]["name"])
    zones = issuer["spec"]["acme"]["solvers"][0]["selector"]["dnsZones"]
    assert all(name.endswith(f".{zone}") for zone in zones for name in made["spec"]["dnsNames"])


def test_external_dns_reads_the_routes_that_casita_makes() -> None:
    chart, values = rendered("external-dns"), example("external-dns/values.yaml")
    found = site(chart).gateway
    assert found.dns.mode is DnsMode.EXTERNAL_DNS
    assert f"gateway-{found.route_api.value.lower()}" in values["sources"]
    assert "gateway-grpcroute" not in values["sources"]
    read = (values["extraArgs"]["gateway-name"], values["gatewayNamespace"])
    assert read == (found.name, found.namespace)
    # The chart's own default, since its release 1.22.
    assert "annotationPrefix" not in values
    assert found.dns.annotation_prefix == "external-dns.kubernetes.io/"
    assert values["domainFilters"] == [site(chart).domain]


def test_a_wildcard_is_asked_for_where_external_dns_looks() -> None:
    chart, values = rendered("external-dns-wildcard"), example("external-dns-wildcard/values.yaml")
    assert site(chart).gateway.dns.mode is DnsMode.WILDCARD
    service = chart.one("Service", "casita-gateway")
    assert values["sources"] == ["service"]
    assert values["sourceNamespace"] == service["metadata"]["namespace"]
    names = service["metadata"]["annotations"]["external-dns.kubernetes.io/hostname"]
    assert names.split(",") == ["*.dask.af.example.org", "hub.af.example.org"]
    listeners = chart.one("Gateway", "casita")["spec"]["listeners"]
    assert {each["hostname"] for each in listeners} <= set(names.split(","))


def test_sessions_and_machines_of_the_pool_meet() -> None:
    chart = rendered("htcondor-pool")
    batch = site(chart).batch
    assert batch is not None
    assert (batch.collector, batch.schedd) == ("cm.example.org:9618", "submit.example.org")
    allowed = chart.of_kind("NetworkPolicy")
    session = Pod("casita", {"casita.dev/component": "scheduler", "casita.dev/session": "alice"})
    machine, schedd = Outside("198.51.100.7"), Outside("192.0.2.10")
    assert connects(allowed, session, machine, 20063)
    assert not connects(allowed, session, Outside("10.0.0.7"), 20063)
    assert connects(allowed, session, schedd, 9618)
    operator = labelled(chart, Pod("casita-system", {"app.kubernetes.io/name": "casita-operator"}))
    assert connects(allowed, operator, schedd, 9618)


def test_the_pool_is_configured_for_the_tokens_that_sessions_have() -> None:
    chart = rendered("htcondor-pool")
    lines = (EXAMPLES / "htcondor-pool" / "60-casita.config").read_text().splitlines()
    pool = dict(line.split(" = ", 1) for line in lines if not line.startswith("#"))
    found = site(chart)
    assert found.batch is not None
    assert pool["TRUST_DOMAIN"] == found.batch.trust_domain
    assert pool["UID_DOMAIN"] == found.batch.uid_domain
    assert pool["ALLOW_READ"] == pool["ALLOW_WRITE"] == f"*@{found.batch.uid_domain}"
    assert int(pool["MachineMaxVacateTime"]) >= found.workers.drain_seconds + 30
