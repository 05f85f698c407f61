"""A site's Prometheus finds every part, its rules work, and every panel has an answer."""

import re
from typing import Any

import pytest
import yaml

from casita.operator.metrics_reference import sources
from tests.chart.dashboards.files import DASHBOARDS
from tests.chart.dashboards.grafana import Dashboard
from tests.chart.helm import render
from tests.cluster.images import services_wanted
from tests.e2e.conftest import NAMESPACE, MakeSession
from tests.facility import NAMESPACE as SYSTEM
from tests.facility import RELEASE, run_helm
from tests.support import kubectl
from tests.support.cluster import Cluster, eventually
from tests.support.metric_names import OTHERS, in_text
from tests.support.prometheus import Prometheus, of_the_cluster, promtool

PROXY = "/api/v1/namespaces/{namespace}/services/{service}:{port}/proxy/metrics"
NOT_ALWAYS = re.compile(r"rate\(|ratio_rate|nv_gpu")
"""Queries without an answer where nothing happens, or where there is no GPU."""

pytestmark = pytest.mark.skipif(
    not services_wanted(), reason="SERVICES=1 asks for what a site has beside casita"
)


@pytest.fixture(scope="module")
def prometheus() -> Prometheus:
    return of_the_cluster()


def metrics_services(cluster: Cluster) -> dict[str, tuple[str, int]]:
    """Namespace and port of each Service of metrics that Prometheus is told of."""
    found = {}
    ours = "app.kubernetes.io/part-of=casita"
    for service in cluster.items("v1", "Service", label_selector=ours):
        told = service["metadata"].get("annotations") or {}
        if told.get("prometheus.io/scrape") == "true":
            where = service["metadata"]["namespace"]
            found[service["metadata"]["name"]] = (where, int(told["prometheus.io/port"]))
    return found


async def test_every_part_is_found_and_answers(cluster: Cluster, prometheus: Prometheus) -> None:
    services = metrics_services(cluster)
    chart = render(values_of_the_cluster())
    rendered = {
        each["metadata"]["name"]
        for each in chart.of_kind("Service")
        if each["metadata"]["name"].endswith("-metrics")
    }
    assert set(services) == rendered
    assert {"casita-operator-metrics", "casita-gateway-metrics", "casita-hub-metrics"} <= rendered

    def all_up() -> bool:
        targets = prometheus.targets()
        down = [(t["labels"], t["lastError"]) for t in targets if t["health"] != "up"]
        assert down == []
        return {target["labels"]["service"] for target in targets} == set(services)

    await eventually(all_up, 60, what="a target for each Service, all up")


def values_of_the_cluster() -> dict[str, Any]:
    """Return the values that the chart was installed with."""
    asked = ("get", "values", RELEASE, "--namespace", SYSTEM, "--output", "yaml")
    return dict(yaml.safe_load(run_helm(*asked)))


async def test_every_rule_works(prometheus: Prometheus) -> None:
    def healthy() -> bool:
        rules = prometheus.rules()
        assert rules
        assert [(r["name"], r.get("lastError")) for r in rules if r["health"] != "ok"] == []
        return True

    await eventually(healthy, 60, what="rules were evaluated without an error")


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.name)
async def test_every_panel_has_an_answer(
    prometheus: Prometheus, make_session: MakeSession, dashboard: Dashboard
) -> None:
    session = make_session()
    chosen = {"namespace": NAMESPACE, "session": session, "server": ".+"}
    seen = f'casita_session_ready{{session="{session}"}} == 1'
    await eventually(lambda: prometheus.query(seen), 120, what="Prometheus knows the session")
    for query in dashboard.queries:
        answer = prometheus.query(with_choices(query, chosen))
        assert answer or NOT_ALWAYS.search(query), query


def with_choices(query: str, chosen: dict[str, str]) -> str:
    """Put in what Grafana would."""
    for name, value in {**chosen, "__rate_interval": "1m"}.items():
        query = query.replace(f"${name}", value)
    return query


def test_promtool_finds_nothing_wrong_with_our_metrics(cluster: Cluster) -> None:
    ours = {"casita-operator-metrics", "casita-xcache-metrics"}
    services = metrics_services(cluster)
    assert ours <= set(services)
    for name in ours:
        namespace, port = services[name]
        path = PROXY.format(namespace=namespace, service=name, port=port)
        promtool("check", "metrics", stdin=kubectl.run("get", "--raw", path))


def test_what_is_shown_is_what_is_documented(cluster: Cluster) -> None:
    families = [family for source in sources() for family in source.registry.collect()]
    known = {sample.name for family in families for sample in family.samples} | set(OTHERS)
    services = metrics_services(cluster)
    for name in ("casita-operator-metrics", "casita-xcache-metrics"):
        namespace, port = services[name]
        path = PROXY.format(namespace=namespace, service=name, port=port)
        shown = in_text(kubectl.run("get", "--raw", path).decode())
        assert {each for each in shown if not each.endswith("_created")} <= known


def test_metrics_of_others_are_there(prometheus: Prometheus) -> None:
    """Those that a fresh site has at once; the others need users, or GPUs."""
    for name in ("traefik_open_connections", "traefik_tls_certs_not_after", "up"):
        assert prometheus.query(name), name
    assert prometheus.query("jupyterhub_running_servers"), "the hub shows its metrics"


async def test_a_cache_that_is_down_is_missed(prometheus: Prometheus) -> None:
    """By the expression of the alert, which itself waits for five minutes."""
    (rule,) = [r for r in prometheus.rules() if r["name"] == "CasitaCacheDown"]
    assert rule["state"] == "inactive"
    kubectl.run("-n", SYSTEM, "scale", "deployment/casita-xcache", "--replicas=0")
    try:
        await eventually(lambda: prometheus.query(rule["query"]), 90, what="the cache is missed")
    finally:
        kubectl.run("-n", SYSTEM, "scale", "deployment/casita-xcache", "--replicas=1")
        wait = ("rollout", "status", "deployment/casita-xcache", "--timeout=180s")
        kubectl.run("-n", SYSTEM, *wait)
    await eventually(lambda: not prometheus.query(rule["query"]), 60, what="the cache is back")
