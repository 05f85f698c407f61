"""Who may connect to whom.

By the chart's NetworkPolicies and the one that the operator makes for each session, together.
"""

import pytest
import yaml

from casita.api.names import COMPONENT_LABEL, SESSION_LABEL, slug
from casita.config import Site
from casita.manifests.common import Owner
from casita.manifests.network_policy import network_policy
from tests.chart import scenarios
from tests.chart.helm import Object, Rendered, identity, render
from tests.chart.network import End, Outside, Pod, connects, lets_in, lets_out

CHART = scenarios.rendered("minimal")
NS = "casita"


_EXTERNAL = scenarios.values("external-batch-and-cache")
CHART_WITHOUT_INTERNET = render(
    {**_EXTERNAL, "operator": {**_EXTERNAL["operator"], "sessionEgress": []}}
)


def owner(name: str) -> Owner:
    return Owner(namespace=NS, name=name, uid=f"uid-{name}")


def policies(chart: Rendered) -> list[Object]:
    site = Site.model_validate(
        yaml.safe_load(chart.one("ConfigMap", "casita-operator")["data"]["site.yaml"])
    )
    sessions = [dict(network_policy(owner(name), site)) for name in ("alice", "bob")]
    return [*chart.of_kind("NetworkPolicy"), *sessions]


POLICIES = policies(CHART)


def session_pod(name: str, component: str) -> Pod:
    return Pod(NS, {SESSION_LABEL: slug(NS, name), COMPONENT_LABEL: component})


def pod_of(kind: str, name: str) -> Pod:
    found = CHART.one(kind, name)
    labels = found["spec"]["template"]["metadata"]["labels"]
    return Pod(found["metadata"]["namespace"], labels)


SCHEDULER, WORKER, NOTEBOOK = (
    session_pod("alice", component) for component in ("scheduler", "worker", "notebook")
)
BOBS_SCHEDULER, BOBS_WORKER, BOBS_NOTEBOOK = (
    session_pod("bob", component) for component in ("scheduler", "worker", "notebook")
)
STRANGER = Pod(NS, {"app": "something"})
ELSEWHERE = Pod("default")
OPERATOR = pod_of("Deployment", "casita-operator")
GATEWAY = pod_of("Deployment", "casita-gateway")
PREPARE = pod_of("Job", "casita-prepare")
INSTANCE = {"app.kubernetes.io/instance": "casita"}
DNS = Pod("kube-system", {"k8s-app": "kube-dns"})
PROMETHEUS = Pod("monitoring")
API_SERVER = Outside("192.0.2.1")
DATA_SERVER = Outside("188.184.0.1")
CLIENT = Outside("198.51.100.1")
METADATA = Outside("169.254.169.254")
OFFICE = Outside("192.168.1.1")

ALLOWED: list[tuple[End, End, int]] = [
    (NOTEBOOK, SCHEDULER, 8786),
    (NOTEBOOK, SCHEDULER, 8787),
    (WORKER, SCHEDULER, 8786),
    (SCHEDULER, WORKER, 8789),
    (WORKER, WORKER, 8789),
    (NOTEBOOK, WORKER, 8789),
    (GATEWAY, SCHEDULER, 8786),
    (CLIENT, GATEWAY, 8786),
    (WORKER, GATEWAY, 8786),
    (OPERATOR, GATEWAY, 8786),
    (SCHEDULER, OPERATOR, 8443),
    (PROMETHEUS, OPERATOR, 8080),
    (PROMETHEUS, GATEWAY, 9100),
    (OPERATOR, API_SERVER, 6443),
    (GATEWAY, API_SERVER, 443),
    (PREPARE, API_SERVER, 6443),
    (WORKER, DATA_SERVER, 1094),
    (NOTEBOOK, DATA_SERVER, 443),
]
REFUSED: list[tuple[End, End, int]] = [
    # another session
    (BOBS_NOTEBOOK, SCHEDULER, 8786),
    (BOBS_NOTEBOOK, SCHEDULER, 8787),
    (BOBS_WORKER, SCHEDULER, 8786),
    (BOBS_WORKER, WORKER, 8789),
    (BOBS_SCHEDULER, WORKER, 8789),
    # a dashboard is its own notebook's alone
    (WORKER, SCHEDULER, 8787),
    (GATEWAY, SCHEDULER, 8787),
    (GATEWAY, WORKER, 8789),
    # other ports, other pods, other namespaces
    (NOTEBOOK, SCHEDULER, 8788),
    (NOTEBOOK, SCHEDULER, 22),
    (STRANGER, SCHEDULER, 8786),
    (ELSEWHERE, SCHEDULER, 8786),
    (CLIENT, SCHEDULER, 8786),
    (OPERATOR, SCHEDULER, 8786),
    (SCHEDULER, NOTEBOOK, 8888),
    (STRANGER, DATA_SERVER, 443),
    # the operator
    (WORKER, OPERATOR, 8443),
    (NOTEBOOK, OPERATOR, 8443),
    (SCHEDULER, OPERATOR, 8080),
    (ELSEWHERE, OPERATOR, 8443),
    (ELSEWHERE, OPERATOR, 8080),
    (CLIENT, OPERATOR, 8443),
    (OPERATOR, DATA_SERVER, 80),
    # the gateway
    (CLIENT, GATEWAY, 9100),
    (CLIENT, GATEWAY, 8443),
    (WORKER, GATEWAY, 9100),
    (GATEWAY, OPERATOR, 8443),
    (GATEWAY, DATA_SERVER, 1094),
    # the cluster, the site and the cloud
    (WORKER, ELSEWHERE, 443),
    (WORKER, PREPARE, 443),
    (WORKER, METADATA, 80),
    (WORKER, OFFICE, 22),
    (ELSEWHERE, PREPARE, 443),
]


@pytest.mark.parametrize(("source", "target", "port"), ALLOWED)
def test_what_belongs_together_connects(source: End, target: End, port: int) -> None:
    assert connects(POLICIES, source, target, port)


@pytest.mark.parametrize(("source", "target", "port"), REFUSED)
def test_nothing_else_does(source: End, target: End, port: int) -> None:
    assert not connects(POLICIES, source, target, port)


def test_each_end_refuses_by_itself() -> None:
    """What one policy forbids, another that is lost or loosened must not allow."""
    for source in (WORKER, NOTEBOOK, STRANGER):
        assert not lets_in(POLICIES, source, OPERATOR, 8443)
        assert not lets_out(POLICIES, source, OPERATOR, 8443)
    for target in (WORKER, NOTEBOOK, STRANGER, OPERATOR):
        assert not lets_out(POLICIES, GATEWAY, target, 8786)
    assert not lets_in(POLICIES, BOBS_WORKER, SCHEDULER, 8786)


@pytest.mark.parametrize("source", [SCHEDULER, STRANGER, OPERATOR, GATEWAY, PREPARE])
@pytest.mark.parametrize("protocol", ["UDP", "TCP"])
def test_everything_may_ask_cluster_dns(source: End, protocol: str) -> None:
    assert connects(POLICIES, source, DNS, 53, protocol)


def test_every_pod_of_the_chart_is_selected_by_a_policy(chart: Rendered) -> None:
    for each, pod in chart.pods():
        if each["kind"] != "Pod":  # the pod of `helm test` lives for a second
            here = Pod(each["metadata"]["namespace"], pod["metadata"]["labels"])
            found = chart.of_kind("NetworkPolicy")
            assert not connects(found, here, OFFICE, 22), identity(each)
            assert not connects(found, ELSEWHERE, here, 22), identity(each)


def test_every_namespace_of_sessions_denies_by_default(scenario: str, chart: Rendered) -> None:
    sessions = scenarios.values(scenario)["global"].get("sessions", {})
    for namespace in sessions.get("namespaces", ["casita"]):
        found = chart.of_kind("NetworkPolicy")
        anybody = Pod(namespace, {"app": "anything"})
        assert not connects(found, ELSEWHERE, anybody, 80)
        assert not connects(found, anybody, ELSEWHERE, 80)
        assert not connects(found, anybody, DATA_SERVER, 443)


def test_the_sites_ranges_are_what_is_open() -> None:
    found = scenarios.rendered("everything-on").of_kind("NetworkPolicy")
    worker = Pod("cms-users", WORKER.labels)
    assert connects(found, worker, Outside("203.0.113.1"), 1094)
    assert connects(found, worker, Outside("2001:db8::7"), 20000)
    assert not connects(found, worker, Outside("203.0.113.1"), 80)
    assert not connects(found, worker, Outside("203.0.113.200"), 443)
    assert not connects(found, worker, DATA_SERVER, 443)
    operator = Pod("casita-system", OPERATOR.labels)
    assert connects(found, operator, Outside("192.0.2.7"), 30786)
    assert connects(found, operator, Outside("192.0.2.10"), 6443)
    assert not connects(found, operator, API_SERVER, 6443)


CACHE = Pod("casita-system", {"app.kubernetes.io/name": "xcache", **INSTANCE})
SCHEDD = Pod("casita-system", {"app.kubernetes.io/name": "htcondor-ap", **INSTANCE})


@pytest.mark.parametrize("source", [SCHEDULER, WORKER, NOTEBOOK, OPERATOR])
def test_sessions_and_operator_reach_the_charts_own_cache_and_pool(source: Pod) -> None:
    found = scenarios.rendered("own-batch-and-cache").of_kind("NetworkPolicy")
    assert lets_out(found, source, CACHE, 1094)
    assert lets_out(found, source, SCHEDD, 9618)
    for target, port in ((CACHE, 9618), (SCHEDD, 1094), (CACHE, 22), (SCHEDD, 22)):
        assert not lets_out(found, source, target, port)
    nobody = POLICIES  # of a site without either
    assert not lets_out(nobody, source, CACHE, 1094)
    assert not lets_out(nobody, source, SCHEDD, 9618)


def test_a_cache_and_a_pool_of_the_sites_own_are_reached_by_the_sites_ranges() -> None:
    found = scenarios.rendered("external-batch-and-cache").of_kind("NetworkPolicy")
    for source in (WORKER, NOTEBOOK, OPERATOR):
        for port in (1095, 9618):
            assert connects(found, source, Outside("192.0.2.20"), port)
        assert not connects(found, source, Outside("192.0.2.20"), 22)
        assert not lets_out(found, source, CACHE, 1094)


def test_workers_of_a_pool_of_the_sites_own_and_sessions_reach_each_other() -> None:
    found = policies(scenarios.rendered("external-batch-and-cache"))
    machine, beside = Outside("198.51.100.20"), Outside("198.51.100.200")
    for source in (SCHEDULER, WORKER, NOTEBOOK):
        for port in (20000, 20063):
            assert connects(found, source, machine, port)
        assert connects(found, source, Outside("2001:db8:1::7"), 20000)
    for target in (SCHEDULER, WORKER):
        assert connects(found, machine, target, 8789)
        assert not connects(found, machine, target, 8786)
        assert not connects(found, beside, target, 8789)
        assert not connects(policies(CHART), machine, target, 8789)
    assert not connects(found, machine, NOTEBOOK, 8789)
    assert not lets_out(found, STRANGER, machine, 20000)
    ranges = CHART_WITHOUT_INTERNET.of_kind("NetworkPolicy")
    assert lets_out(ranges, WORKER, machine, 20000)
    assert not lets_out(ranges, WORKER, machine, 20064)
    assert not lets_out(ranges, WORKER, beside, 20000)


def test_the_hook_reaches_neither() -> None:
    found = scenarios.rendered("own-batch-and-cache").of_kind("NetworkPolicy")
    assert not lets_out(found, PREPARE, CACHE, 1094)
    assert not lets_out(found, PREPARE, SCHEDD, 9618)


def test_without_routes_sessions_do_not_meet_the_gateway() -> None:
    found = policies(scenarios.rendered("hub-only-gateway"))
    assert not connects(found, GATEWAY, SCHEDULER, 8786)
    assert not connects(found, WORKER, GATEWAY, 8786)
    assert connects(found, CLIENT, GATEWAY, 8443)
