"""What the chart's service accounts and users may do: exactly this."""

from collections import defaultdict

import pytest
import yaml

from tests.chart import scenarios
from tests.chart.helm import Object, Rendered, identity, render
from tests.golden import Golden

CLUSTER_WIDE = {"ClusterRoleBinding /casita-gateway"}
"""The gateway's provider reads GatewayClasses and namespaces, which have no namespace."""


HUB = defaultdict(lambda: "casita-hub", {"everything-on": "doors"})
"""Where the chart's own hub is, by scenario."""

POOL = defaultdict(lambda: "casita-pool", {"everything-on": "machines"})
"""Where the chart's own pool runs jobs, by scenario."""


def site_of(chart: Rendered) -> Object:
    """What the operator knows of the site."""
    text = chart.one("ConfigMap", "casita-operator")["data"]["site.yaml"]
    found: Object = yaml.safe_load(text)
    return found


def has_own(chart: Rendered, part: str, secret: str) -> bool:
    """Whether a part is the chart's own, so that the operator keeps a Secret of it."""
    return secret in (site_of(chart).get(part) or {})


def services_of(chart: Rendered) -> dict[str, str]:
    """Namespaces of the chart's own services, by the name that the operator's site has of them."""
    found = site_of(chart)
    parts = {part: found.get(part) or {} for part in ("inference", "tracking", "columns")}
    return {part: said["namespace"] for part, said in parts.items() if "namespace" in said}


def transformers_data(chart: Rendered) -> list[Object]:
    """Where the operator keeps a token for transformers: one place, or none."""
    data = (site_of(chart).get("columns") or {}).get("data")
    return [data] if data else []


@pytest.mark.parametrize(
    "name",
    [
        "minimal",
        "ingressroutetcp",
        "no-route",
        "existing-secrets",
        "own-batch-and-cache",
        "hub",
        "inference",
        "columns",
        "everything-on",
    ],
)
def test_rights_are_those_that_were_agreed_on(golden: Golden, name: str) -> None:
    chart = scenarios.rendered(name)
    rights = {
        **{identity(role): role["rules"] for role in chart.of_kind("Role", "ClusterRole")},
        **{
            identity(binding): {
                "role": f"{binding['roleRef']['kind']} {binding['roleRef']['name']}",
                "subjects": binding["subjects"],
            }
            for binding in chart.of_kind("RoleBinding", "ClusterRoleBinding")
        },
    }
    golden.check(f"chart/rights-{name}.yaml", rights)


def test_nothing_is_granted_by_wildcard(chart: Rendered) -> None:
    for role in chart.of_kind("Role", "ClusterRole"):
        for rule in role["rules"]:
            assert "*" not in rule["apiGroups"] + rule["resources"] + rule["verbs"], identity(role)


def test_rights_over_the_whole_cluster_are_the_gateways_alone(chart: Rendered) -> None:
    bindings = {identity(binding) for binding in chart.of_kind("ClusterRoleBinding")}
    assert bindings <= CLUSTER_WIDE
    for role in chart.of_kind("ClusterRole"):
        if role["metadata"]["name"] == "casita-gateway":
            assert not [rule for rule in role["rules"] if "secrets" in rule["resources"]]


def test_bindings_name_roles_and_accounts_that_exist(chart: Rendered) -> None:
    existing = {identity(found) for found in chart.objects}
    for binding in chart.of_kind("RoleBinding", "ClusterRoleBinding"):
        role = binding["roleRef"]
        where = binding["metadata"]["namespace"] if role["kind"] == "Role" else ""
        assert f"{role['kind']} {where}/{role['name']}" in existing
        for subject in binding["subjects"]:
            if subject["name"].startswith("casita-"):
                assert f"ServiceAccount {subject['namespace']}/{subject['name']}" in existing


def rules_of(chart: Rendered, account: str) -> list[tuple[str, Object]]:
    """Namespace (empty: all) and rule of everything that a service account may do."""
    found = []
    for binding in chart.of_kind("RoleBinding", "ClusterRoleBinding"):
        if account in {subject["name"] for subject in binding["subjects"]}:
            namespace = binding["metadata"].get("namespace", "")
            role = binding["roleRef"]
            where = namespace if role["kind"] == "Role" else None
            rules = chart.one(role["kind"], role["name"], where)["rules"]
            found += [(namespace, rule) for rule in rules]
    return found


def test_the_operator_acts_in_the_namespaces_of_sessions_alone(
    scenario: str, chart: Rendered
) -> None:
    sessions = scenarios.values(scenario)["global"].get("sessions", {})
    rules = rules_of(chart, "casita-operator")
    others = {HUB[scenario], POOL[scenario], "casita-system", *services_of(chart).values()}
    others |= {data["namespace"] for data in transformers_data(chart)}
    where = {namespace for namespace, _ in rules} - others
    assert where == set(sessions.get("namespaces", ["casita"]))


def test_the_operator_renews_two_secrets_of_the_site_and_sees_no_other(
    scenario: str, chart: Rendered
) -> None:
    rules = rules_of(chart, "casita-operator")
    own = {"apiGroups": [""], "resources": ["secrets"]}
    keep = {**own, "verbs": ["get", "patch"]}
    leaf = [{**keep, "resourceNames": ["casita-xcache-tls"]}]
    token = [{**own, "verbs": ["create"]}, {**keep, "resourceNames": ["casita-htcondor-ep-token"]}]
    cache = has_own(chart, "cache", "tlsSecret")
    assert [rule for where, rule in rules if where == "casita-system"] == (leaf if cache else [])
    found = [rule for where, rule in rules if where == POOL[scenario]]
    assert found == (token if has_own(chart, "batch", "poolTokenSecret") else [])


def test_the_operator_keeps_one_secret_of_each_service_and_looks_at_pods_of_inference(
    chart: Rendered,
) -> None:
    own = {"apiGroups": [""], "resources": ["secrets"]}
    wanted = {
        "inference": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}],
        **{
            part: [
                {**own, "verbs": ["create"]},
                {**own, "verbs": ["get", "patch"], "resourceNames": [secret]},
            ]
            for part, secret in (("tracking", "casita-mlflow"), ("columns", "casita-servicex"))
        },
    }
    rules = rules_of(chart, "casita-operator")
    for part, namespace in services_of(chart).items():
        assert [rule for where, rule in rules if where == namespace] == wanted[part]


def test_the_operator_keeps_transformers_token_and_sees_no_other_secret_there(
    chart: Rendered,
) -> None:
    rules = rules_of(chart, "casita-operator")
    own = {"apiGroups": [""], "resources": ["secrets"]}
    for data in transformers_data(chart):
        assert [rule for where, rule in rules if where == data["namespace"]] == [
            {**own, "verbs": ["create"]},
            {**own, "verbs": ["get", "patch"], "resourceNames": [data["secret"]]},
        ]


def test_the_operator_never_changes_what_users_wrote(scenario: str, chart: Rendered) -> None:
    """With a batch system it may patch sessions, and a policy leaves it its finalizer alone."""
    batch = scenarios.values(scenario)["global"].get("batch", {}).get("enabled", False)
    granted: dict[str, set[str]] = defaultdict(set)
    for where, rule in rules_of(chart, "casita-operator"):
        if "analysissessions" in rule["resources"]:
            granted[where] |= set(rule["verbs"])
    wanted = {"list", "watch", "patch"} if batch else {"list", "watch"}
    assert set(map(frozenset, granted.values())) == {frozenset(wanted)}
    policies = chart.of_kind("ValidatingAdmissionPolicy")
    guards = [p for p in policies if p["metadata"]["name"] == "casita-operator-finalizer"]
    assert len(guards) == batch
    for guard in guards:
        (condition,) = guard["spec"]["matchConditions"]
        account = "system:serviceaccount:casita-system:casita-operator"
        assert condition["expression"] == f"request.userInfo.username == '{account}'"
        name = guard["metadata"]["name"]
        bound = chart.one("ValidatingAdmissionPolicyBinding", name)["spec"]["matchResources"]
        (selected,) = bound["namespaceSelector"]["matchExpressions"]
        assert set(selected["values"]) == set(granted)


def test_who_stops_sessions_can_do_nothing_else(scenario: str, chart: Rendered) -> None:
    sessions = scenarios.values(scenario)["global"].get("sessions", {})
    rules = rules_of(chart, "casita-stop")
    assert {where for where, _ in rules} <= set(sessions.get("namespaces", ["casita"]))
    allowed = {(name, verb) for _, r in rules for name in r["resources"] for verb in r["verbs"]}
    wanted = {("analysissessions", "list"), ("analysissessions", "patch"), ("sessionusers", "mint")}
    assert allowed in (set(), wanted)


def test_the_gateway_reads_no_secret_of_the_release(chart: Rendered) -> None:
    rules = rules_of(chart, "casita-gateway")
    assert "casita-system" not in {namespace for namespace, _ in rules}
    readable = {namespace for namespace, rule in rules if "secrets" in rule["resources"]}
    assert "" not in readable


def test_the_gateway_may_read_where_it_watches(chart: Rendered) -> None:
    """Its provider waits for ever for a namespace that it may not list."""
    for deployment in chart.of_kind("Deployment"):
        arguments = deployment["spec"]["template"]["spec"]["containers"][0].get("args", ())
        watched = [a.partition("=")[2] for a in arguments if ".namespaces=" in a]
        for each in watched:
            rules = rules_of(chart, "casita-gateway")
            readable = {namespace for namespace, rule in rules if "secrets" in rule["resources"]}
            assert set(each.split(",")) == readable


def test_the_hook_can_make_secrets_and_reads_none_but_what_signs_the_caches_certificate(
    chart: Rendered,
) -> None:
    rules = rules_of(chart, "casita-prepare")
    assert {namespace for namespace, _ in rules} <= {"casita-system"}
    make = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]}
    read = {**make, "verbs": ["get"], "resourceNames": ["casita-system-authority"]}
    own = has_own(chart, "cache", "tlsSecret")
    assert [rule for _, rule in rules if rule != make] == ([read] if own else [])


def test_users_have_no_rights_unless_given() -> None:
    kinds = {
        subject["kind"]
        for binding in render().of_kind("RoleBinding", "ClusterRoleBinding")
        for subject in binding["subjects"]
    }
    assert kinds == {"ServiceAccount"}
