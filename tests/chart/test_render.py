"""What the chart renders is what Kubernetes takes, the same each time."""

import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache

import kubernetes_validate
import pytest
import yaml

from tests.chart import scenarios
from tests.chart.helm import CHART, ChartError, Object, Rendered, identity, lint_messages, render

OLDEST, NEWEST = "1.31", kubernetes_validate.latest_version()
XCACHE = {"enabled": True, "origin": {"host": "origin.example.org"}}
OWN_CACHE: dict[str, object] = {
    "global": {"cache": {"enabled": True}},
    "xcache": XCACHE,
}
OTHERS_KINDS = {
    "GRPCRoute",
    "Gateway",
    "GatewayClass",
    "HTTPRoute",
    "PrometheusRule",
    "ScaledObject",
    "ServiceMonitor",
}
"""Kinds of which the control-plane tests ask a real API server."""
CLUSTER_KINDS = {
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "GatewayClass",
    "Namespace",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}


def own_pool(**workers: object) -> dict[str, object]:
    """Values of a site with the demo pool."""
    batch = {"enabled": True, "workers": workers}
    return {"global": {"batch": batch}, "htcondor": {"enabled": True}}


@pytest.fixture(scope="module")
def _schemas_read_once() -> Iterator[None]:
    """The validator reads megabytes of schema for each object."""
    with pytest.MonkeyPatch.context() as patch:
        module = kubernetes_validate.utils
        patch.setattr(module, "schema_contents", cache(module.schema_contents))
        yield


@pytest.mark.usefixtures("_schemas_read_once")
@pytest.mark.parametrize("kubernetes", [OLDEST, NEWEST])
def test_objects_follow_kubernetes_schemas(chart: Rendered, kubernetes: str) -> None:
    for found in chart.objects:
        if found["kind"] not in OTHERS_KINDS:
            try:
                kubernetes_validate.validate(found, kubernetes, strict=True)
            except kubernetes_validate.ValidationError as error:
                pytest.fail(f"{identity(found)} at {list(error.path)}: {error.message}")


def test_a_render_is_the_same_each_time(scenario: str, chart: Rendered) -> None:
    assert render(scenarios.values(scenario)).texts == chart.texts


def test_an_upgrade_renders_what_an_installation_did(scenario: str, chart: Rendered) -> None:
    upgraded = render(scenarios.values(scenario), upgrade=True)
    assert upgraded.texts == chart.texts


def test_lint_finds_nothing(scenario: str) -> None:
    assert lint_messages(scenarios.values(scenario)) == []


def test_no_two_objects_are_the_same(chart: Rendered) -> None:
    seen = Counter(identity(found) for found in chart.objects)
    assert [name for name, times in seen.items() if times > 1] == []


def test_every_object_says_where_it_belongs(chart: Rendered) -> None:
    for found in chart.objects:
        has_namespace = "namespace" in found["metadata"]
        assert has_namespace != (found["kind"] in CLUSTER_KINDS), identity(found)


def test_every_object_has_the_recommended_labels(chart: Rendered) -> None:
    wanted = {"name", "instance", "version", "component", "part-of", "managed-by"}
    for found in chart.objects:
        labels = found["metadata"]["labels"]
        missing = {name for name in wanted if f"app.kubernetes.io/{name}" not in labels}
        assert not missing, f"{identity(found)} lacks {missing}"


def services(chart: Rendered) -> list[Object]:
    """Those that lead to pods of the chart; the others are names of something else."""
    return [each for each in chart.of_kind("Service") if each["spec"].get("type") != "ExternalName"]


def test_selectors_hold_across_versions(chart: Rendered) -> None:
    stable = {"app.kubernetes.io/name", "app.kubernetes.io/instance"}
    selectors = [found["spec"]["selector"]["matchLabels"] for found in chart.of_kind("Deployment")]
    selectors += [found["spec"]["selector"] for found in services(chart)]
    for selector in selectors:
        # Each inference server is a component of Triton's, of a name that the site gave it.
        several = {"app.kubernetes.io/component"} if "triton" in selector.values() else set()
        assert set(selector) == stable | several


def test_selectors_find_the_pods_that_they_are_for(chart: Rendered) -> None:
    pods = [pod["metadata"]["labels"] for _, pod in chart.pods()]
    for found in services(chart):
        selector = found["spec"]["selector"]
        assert sum(selector.items() <= labels.items() for labels in pods) == 1, identity(found)


def test_names_start_with_the_releases_name() -> None:
    found = render({"global": {"sessions": {"namespaces": ["s"]}}}, release="af", namespace="x")
    names = {
        identity(each)
        for each in found.objects
        if each["kind"] not in {"CustomResourceDefinition", "Namespace"}
        and not each["metadata"]["name"].startswith("af")
    }
    assert names == set()


def test_two_releases_in_one_cluster_share_nothing_but_the_crd() -> None:
    one = render({}, release="one", namespace="one")
    two = render(
        {"global": {"sessions": {"namespaces": ["two-sessions"]}}}, release="two", namespace="two"
    )
    names = [{identity(found) for found in each.objects} for each in (one, two)]
    assert names[0] & names[1] == {"CustomResourceDefinition /analysissessions.casita.dev"}


def test_the_crd_outlives_the_release_unless_told_otherwise() -> None:
    def annotations(**crds: bool) -> dict[str, str]:
        found = render({"operator": {"crds": crds}})
        crd = found.one("CustomResourceDefinition", "analysissessions.casita.dev")
        annotations: dict[str, str] = crd["metadata"].get("annotations", {})
        return annotations

    assert annotations() == {"helm.sh/resource-policy": "keep"}
    assert annotations(keep=False) == {}
    assert (
        render({"operator": {"crds": {"install": False}}}).of_kind("CustomResourceDefinition") == []
    )


def test_namespaces_of_sessions_outlive_the_release_and_are_restricted(chart: Rendered) -> None:
    for found in chart.of_kind("Namespace"):
        labels = found["metadata"]["labels"]
        if labels["app.kubernetes.io/name"] in {"htcondor-ep", "servicex-transformer"}:
            continue  # tests/chart/test_htcondor.py, tests/chart/test_servicex.py
        assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
        if labels["app.kubernetes.io/component"] not in {"gateway", "hub"}:
            assert found["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"global": {"sessions": {"namespaces": ["casita-system"]}}}, "global.sessions.namespaces"),
        ({"global": {"gateway": {"namespace": "casita-system"}}}, "global.gateway.namespace"),
        ({"global": {"gateway": {"namespace": "casita"}}}, "global.gateway.namespace"),
        ({"global": {"gateway": {"routeApi": "None"}}}, "traefik.enabled"),
        ({"operator": {"defaultProfile": "cms"}}, "operator.profiles has only: default"),
        (
            {
                "global": {"gateway": {"routeApi": "IngressRouteTCP"}},
                "traefik": {"tls": {"secretName": "x"}},
            },
            "traefik.tls.secretName",
        ),
        (
            {
                "global": {"gateway": {"port": 443}},
                "traefik": {"tls": {"secretName": "x"}},
            },
            "another port for sessions",
        ),
        ({"htcondor": {"enabled": True}}, "needs global.batch.enabled"),
        ({"xcache": XCACHE}, "needs global.cache.enabled"),
        ({"global": {"batch": {"enabled": True}}}, "global.batch.collector and"),
        (
            {"global": {"batch": {"enabled": True, "collector": "cm.example.org:9618"}}},
            "global.batch.schedd",
        ),
        ({"global": {"cache": {"enabled": True}}}, "global.cache.host and"),
        (
            {"global": {"cache": {"enabled": True, "host": "xcache.example.org"}}},
            "global.cache.authoritySecret",
        ),
        (
            {
                "global": {"batch": {"enabled": True, "collector": "cm.example.org:9618"}},
                "htcondor": {"enabled": True},
            },
            "another pool than this chart's",
        ),
        (
            {
                "global": {"cache": {"enabled": True, "host": "xcache.example.org"}},
                "xcache": XCACHE,
            },
            "another cache than this chart's",
        ),
        (
            {
                "global": {"cache": {"enabled": True, "authoritySecret": "ours"}},
                "xcache": XCACHE,
            },
            "signed by the system authority",
        ),
        (
            {
                "global": {"batch": {"enabled": True, "poolNamespace": "casita"}},
                "htcondor": {"enabled": True},
            },
            "where users' jobs run",
        ),
        (
            {
                "global": {"batch": {"enabled": True, "poolNamespace": "casita-system"}},
                "htcondor": {"enabled": True},
            },
            "where users' jobs run",
        ),
        (own_pool(ranges=["192.0.2.0/24"]), "this chart's own is known"),
        (own_pool(universe="container"), "runs no containers"),
        (own_pool(firstPort=50000), "firstPort is 50000, above lastPort, 40099"),
        ({**OWN_CACHE, "operator": {"credentials": {"macaroonSeconds": 86400}}}, "to 85800"),
        ({**OWN_CACHE, "operator": {"credentials": {"macaroonSeconds": 60}}}, "from 300"),
        (
            {**OWN_CACHE, "operator": {"profiles": {"default": {"dataPathPrefix": "/data/"}}}},
            "not within global.cache.pathPrefix",
        ),
        (
            {
                "global": {"cache": {"enabled": True, "probePath": "/other/file"}},
                "xcache": XCACHE,
            },
            "not below global.cache.pathPrefix",
        ),
    ],
)
def test_values_that_do_not_fit_together_are_refused(values: dict[str, object], words: str) -> None:
    with pytest.raises(ChartError, match=words):
        render(values)


def test_the_notes_lead_to_a_first_session(chart: Rendered) -> None:
    assert "kind: AnalysisSession" in chart.notes
    assert "kubectl wait" in chart.notes


def test_a_test_domain_is_told() -> None:
    assert "casita.test" in render().notes
    assert "casita.test" not in render({"global": {"domain": "af.example.org"}}).notes


def test_the_chart_has_the_packages_version() -> None:
    project = tomllib.loads((CHART.parents[1] / "pyproject.toml").read_text())["project"]
    for path in (CHART, CHART / "charts" / "operator"):
        chart = yaml.safe_load((path / "Chart.yaml").read_text())
        assert chart["appVersion"] == project["version"], path
