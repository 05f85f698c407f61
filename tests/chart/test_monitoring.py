"""Prometheus finds what has metrics, alone may read it, and gets the rules of what there is."""

import json
from typing import Any

import pytest
import yaml

from tests.chart import scenarios
from tests.chart.helm import ChartError, Object, Rendered, identity, render
from tests.chart.network import Pod, connects
from tests.support.metric_names import rules as all_rules

BASE: dict[str, Any] = {
    "global": {
        "batch": {"enabled": True},
        "cache": {"enabled": True},
        "hub": {"enabled": True},
        "monitoring": {"namespace": "observability", "discovery": "Annotations"},
    },
    "htcondor": {"enabled": True},
    "xcache": {"enabled": True, "origin": {"host": "redirector.example.org"}},
    "traefik": {"tls": {"secretName": "hub-certificate"}},
    "jupyterhub": {
        "enabled": True,
        "hub": {"config": {"JupyterHub": {"authenticator_class": "dummy"}}},
    },
    "monitoring": {"enabled": True, "rules": {"kind": "ConfigMap"}},
}
ANNOTATED = render(BASE)
EVERYTHING = scenarios.rendered("everything-on")


def with_monitoring(**values: Any) -> Rendered:
    """Render with values of the part itself."""
    return render({**BASE, "monitoring": {"enabled": True, **values}})


def metrics_services(chart: Rendered) -> list[Object]:
    return [s for s in chart.of_kind("Service") if s["metadata"]["name"].endswith("-metrics")]


def alerts(groups: list[Object]) -> dict[str, Object]:
    return {r["alert"]: r for group in groups for r in group["rules"] if "alert" in r}


def groups_of(chart: Rendered) -> list[Object]:
    if maps := [m for m in chart.of_kind("ConfigMap") if m["metadata"]["name"].endswith("-rules")]:
        return list(yaml.safe_load(maps[0]["data"]["casita.rules.yaml"])["groups"])
    return list(chart.of_kind("PrometheusRule")[0]["spec"]["groups"])


def test_every_metrics_service_says_by_annotations_where_its_metrics_are() -> None:
    services = metrics_services(ANNOTATED)
    names = {service["metadata"]["name"] for service in services}
    wanted = {f"casita-{part}-metrics" for part in ("operator", "gateway", "xcache", "hub")}
    assert wanted <= names
    for service in services:
        (port,) = service["spec"]["ports"]
        assert port["name"] == "metrics"
        assert service["metadata"]["annotations"] == {
            "prometheus.io/scrape": "true",
            "prometheus.io/port": str(port["port"]),
            "prometheus.io/path": "/metrics",
        }
    assert ANNOTATED.of_kind("ServiceMonitor") == []


def test_every_metrics_service_is_found_by_one_servicemonitor() -> None:
    monitors = EVERYTHING.of_kind("ServiceMonitor")
    for service in metrics_services(EVERYTHING):
        assert "annotations" not in service["metadata"], identity(service)
        where, labels = service["metadata"]["namespace"], service["metadata"]["labels"]
        finding = [
            monitor
            for monitor in monitors
            if monitor["metadata"]["namespace"] == where
            and monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
        ]
        assert len(finding) == 1, identity(service)
        assert finding[0]["metadata"]["labels"]["release"] == "prometheus"
        ports = {port["name"] for port in service["spec"]["ports"]}
        assert {endpoint["port"] for endpoint in finding[0]["spec"]["endpoints"]} == ports


def test_nothing_is_found_unless_it_is_asked_for() -> None:
    chart = scenarios.rendered("minimal")
    kinds = {found["kind"] for found in chart.objects}
    assert not {"ServiceMonitor", "PrometheusRule"} & kinds
    assert not [s for s in metrics_services(chart) if "annotations" in s["metadata"]]


@pytest.mark.parametrize("service", metrics_services(ANNOTATED), ids=identity)
def test_metrics_are_read_from_the_namespace_of_prometheus_alone(service: Object) -> None:
    policies = ANNOTATED.of_kind("NetworkPolicy")
    selector, where = service["spec"]["selector"], service["metadata"]["namespace"]
    (labels,) = (
        pod["metadata"]["labels"]
        for owner, pod in ANNOTATED.pods()
        if owner["metadata"]["namespace"] == where
        and selector.items() <= pod["metadata"]["labels"].items()
    )
    pod = Pod(where, labels)
    port = service["spec"]["ports"][0]["port"]
    assert connects(policies, Pod("observability"), pod, port)
    user = {"casita.dev/session": "alice", "casita.dev/component": "notebook"}
    for other in (Pod("casita", user), Pod("casita", {}), Pod("monitoring"), Pod("default")):
        assert not connects(policies, other, pod, port), other


def test_the_way_to_migrate_is_told_with_the_old_value() -> None:
    with pytest.raises(ChartError, match=r"set global\.monitoring\.discovery to ServiceMonitors"):
        render({"global": {"monitoring": {"serviceMonitors": True}}})
    with pytest.raises(ChartError, match=r"set global\.monitoring\.discovery to None"):
        render({"global": {"monitoring": {"serviceMonitors": False}}})


def test_rules_come_as_a_configmap_where_prometheus_is_or_as_a_prometheusrule() -> None:
    found = ANNOTATED.one("ConfigMap", "casita-rules")
    assert found["metadata"]["namespace"] == "observability"
    assert ANNOTATED.of_kind("PrometheusRule") == []
    rule = EVERYTHING.one("PrometheusRule", "casita-rules", "casita-system")
    assert rule["metadata"]["labels"]["release"] == "prometheus"
    without = with_monitoring(rules={"kind": "None"})
    assert without.of_kind("PrometheusRule") == []
    with pytest.raises(LookupError):
        without.one("ConfigMap", "casita-rules")


def test_rules_are_those_of_the_file() -> None:
    """Where all parts are the chart's own, and nothing is tuned."""
    told = {rule.get("alert", rule.get("record")): rule for rule in all_rules()}
    groups = groups_of(ANNOTATED)
    for found in (rule for group in groups for rule in group["rules"]):
        assert found == told[found.get("alert", found.get("record"))]


def test_parts_that_a_site_does_not_have_are_not_missed() -> None:
    names = {group["name"] for group in groups_of(ANNOTATED)}
    assert names == {
        f"casita-{p}" for p in ("operator", "gateway", "hub", "batch", "data", "cache")
    }
    nothing = {"global": {"gateway": {"routeApi": "None"}}, "traefik": {"enabled": False}}
    bare = render({**nothing, "monitoring": {"enabled": True}})
    assert {group["name"] for group in groups_of(bare)} == {"casita-operator"}
    external = scenarios.values("external-batch-and-cache")
    chart = render({**external, "monitoring": {"enabled": True}})
    names = {group["name"] for group in groups_of(chart)}
    assert {"casita-batch", "casita-data"} <= names
    assert "casita-cache" not in names, "the cache is the site's own"


def test_an_alert_that_is_not_wanted_is_left_out_and_others_are_not() -> None:
    assert "CasitaJobsLeft" in alerts(groups_of(ANNOTATED))
    left = alerts(groups_of(with_monitoring(rules={"disabled": ["CasitaJobsLeft"]})))
    assert set(alerts(groups_of(ANNOTATED))) - set(left) == {"CasitaJobsLeft"}


def test_a_sites_thresholds_take_the_place_of_ours() -> None:
    found = alerts(groups_of(EVERYTHING))
    assert found["CasitaCredentialsNearExpiry"]["expr"].endswith(" < 600")
    assert found["CasitaCacheDiskNearlyFull"]["expr"].endswith(" > 0.9")
    changed = with_monitoring(rules={"thresholds": {"CasitaCacheHitRateLow": 0.05}})
    assert alerts(groups_of(changed))["CasitaCacheHitRateLow"]["expr"].endswith(" < 0.05")


def test_thresholds_are_those_of_the_file_unless_a_site_says_otherwise() -> None:
    given = yaml.safe_load((scenarios.FOLDER.parents[2] / "charts/casita/values.yaml").read_text())
    ours = {rule["alert"]: rule["expr"] for rule in all_rules() if "alert" in rule}
    for name, value in given["monitoring"]["rules"]["thresholds"].items():
        assert ours[name].rpartition(" ")[2] == str(value)


def test_rules_name_the_services_of_their_release() -> None:
    values = {"global": {"sessions": {"namespaces": ["s"]}}, "monitoring": {"enabled": True}}
    chart = render(values, release="af", namespace="x")
    down = alerts(groups_of(chart))["CasitaOperatorDown"]["expr"]
    assert down == 'absent(up{service="af-operator-metrics"} == 1)'
    assert "af-operator-metrics" in {s["metadata"]["name"] for s in metrics_services(chart)}


def test_services_that_rules_name_exist() -> None:
    text = " ".join(rule["expr"] for rule in alerts(groups_of(ANNOTATED)).values())
    services = {service["metadata"]["name"] for service in metrics_services(ANNOTATED)}
    named = {part.partition('"')[0] for part in text.split('service="')[1:]}
    assert named
    assert named <= services


def test_dashboards_are_found_by_grafanas_sidecar() -> None:
    def found(chart: Rendered) -> list[Object]:
        maps = chart.of_kind("ConfigMap")
        return [each for each in maps if "-dashboard-" in each["metadata"]["name"]]

    maps = found(ANNOTATED)
    assert {each["metadata"]["name"] for each in maps} == {
        f"casita-dashboard-{name}"
        for name in ("facility", "session", "credentials", "cache", "inference")
    }
    for each in maps:
        assert each["metadata"]["namespace"] == "observability"
        assert each["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert each["metadata"]["annotations"] == {"grafana_folder": "casita"}
        ((file, text),) = each["data"].items()
        assert json.loads(text)["uid"] == f"casita-{file.removesuffix('.json')}"
    for each in found(EVERYTHING):
        assert each["metadata"]["namespace"] == "grafana"
        assert each["metadata"]["labels"]["dashboards"] == "casita"
        assert each["metadata"]["annotations"]["folder"] == "facility"
    assert found(with_monitoring(dashboards={"enabled": False})) == []
