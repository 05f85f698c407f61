"""ServiceX: its front door is the only way in, and users' code is kept apart from its keys."""

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from casita.columns.settings import Settings
from casita.config import Site, TransformersData
from tests.chart import scenarios
from tests.chart.helm import REPOSITORY, ChartError, Object, Rendered, identity, render
from tests.chart.network import Outside, Pod, connects
from tests.chart.test_pods import containers

COLUMNS = {"global": {"servicex": {"enabled": True}}}
CHART = scenarios.rendered("columns")
POLICIES = CHART.of_kind("NetworkPolicy")
NS, READERS = "casita-servicex", "casita-transformers"


def with_columns(**values: Any) -> Rendered:
    """Render with values of ServiceX itself."""
    return render({**COLUMNS, "servicex": {"enabled": True, **values}})


def reading(
    given: dict[str, Any], cache: dict[str, Any] | None = None, **values: Any
) -> dict[str, Any]:
    """Values of a site whose transformers read through the chart's own cache."""
    return {
        "global": {
            "cache": {"enabled": True, **(cache or {})},
            "servicex": {"enabled": True, "transformers": given},
        },
        "xcache": {"enabled": True, "origin": {"host": "storage.example.org"}},
        "servicex": {"enabled": True, **values},
    }


def config(chart: Rendered, namespace: str = NS) -> dict[str, Any]:
    """What Python makes of the app's configuration."""
    text = chart.one("ConfigMap", "casita-servicex-app", namespace)["data"]["app.conf"]
    found: dict[str, Any] = {}
    for line in ast.parse(text).body:
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
            value = line.value
            literal = value.args[0] if isinstance(value, ast.Call) else value
            plain = ast.literal_eval(literal)
            found[line.targets[0].id] = json.loads(plain) if literal is not value else plain
    return found


def settings(chart: Rendered, namespace: str = NS) -> Settings:
    data = chart.one("ConfigMap", "casita-servicex", namespace)["data"]
    return Settings.model_validate(yaml.safe_load(data["columns.yaml"]))


def operators_site(chart: Rendered) -> Site:
    data = chart.one("ConfigMap", "casita-operator")["data"]
    return Site.model_validate(yaml.safe_load(data["site.yaml"]))


def data_of(chart: Rendered) -> TransformersData | None:
    """The token for transformers that the operator is told to make."""
    columns = operators_site(chart).columns
    assert columns is not None
    return columns.data


def operators(chart: Rendered) -> list[Object]:
    """Roles over Secrets of the site that the operator keeps."""
    return [r for r in chart.of_kind("Role") if r["metadata"]["name"] == "casita-operator-site"]


def own_pods(chart: Rendered) -> Iterator[tuple[str, Object]]:
    for owner, pod in chart.pods():
        if owner["metadata"]["labels"]["app.kubernetes.io/name"].startswith("servicex"):
            yield owner["metadata"]["name"], pod


def test_it_is_off_unless_it_is_asked_for() -> None:
    for name in ("minimal", "own-batch-and-cache"):
        texts = scenarios.rendered(name).texts
        assert not [path for path in texts if "charts/servicex/" in path]


def test_sessions_are_told_of_the_front_door() -> None:
    site = operators_site(CHART)
    assert site.columns is not None
    assert site.columns.url == "http://casita-servicex.casita-servicex.svc:5000"
    service = CHART.one("Service", "casita-servicex", NS)["spec"]
    assert service["ports"][0]["port"] == 5000
    assert service["selector"]["app.kubernetes.io/name"] == "servicex"


def test_the_front_door_is_told_what_the_chart_made() -> None:
    found = settings(scenarios.rendered("everything-on"), "columns")
    assert found.app == "http://casita-servicex-app.columns.svc:5000"
    assert found.issuer == "af.example.org"
    assert found.session_namespaces == ("casita", "cms-users")
    assert (found.database.host, found.database.name, found.database.user) == (
        *("casita-servicex-database.columns.svc", "columns", "columns"),
    )
    assert found.code_generators == ("python", "uproot", "uproot-raw")
    mirror = "registry.example.org:5000/mirror"
    assert found.images == (f"{mirror}/mine/science:v1", "example.org/science:*")
    assert (found.limits.request_bytes, found.limits.files, found.limits.workers) == (65536, 500, 8)
    assert found.transformers.namespace == "readers"
    assert found.transformers.autoscaling is True
    assert found.transformers.image_pull_secrets == ("mirror", "other")


def test_no_secret_is_in_a_configuration() -> None:
    for name in ("columns", "columns-external", "everything-on"):
        chart = scenarios.rendered(name)
        assert not chart.of_kind("Secret")
        found = config(chart, "columns" if name == "everything-on" else NS)
        for key in ("SECRET_KEY", "JWT_SECRET_KEY", "SQLALCHEMY_DATABASE_URI", "RABBIT_MQ_URL"):
            assert found[key] == "", key
        for key in ("TRANSFORMER_RABBIT_MQ_URL", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"):
            assert found[key] == "", key
        for owner, pod in own_pods(chart):
            for container in containers(pod):
                plain = {e["name"]: e["value"] for e in container.get("env", ()) if "value" in e}
                for variable, value in plain.items():
                    # An address has its password by the name of another variable.
                    assert not re.search(r"//[^@]*:(?!\$\()[^@]*@", value), (owner, variable)
                    assert not variable.endswith(("PASSWORD", "_KEY")), (owner, variable)


def test_every_key_that_comes_by_the_environment_is_in_the_file() -> None:
    """ServiceX overrides what the file has, and nothing else."""
    found = config(CHART)
    pod = CHART.one("Deployment", "casita-servicex-app", NS)["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    names = {e["name"] for e in container["env"]} - {
        *("APP_CONFIG_FILE", "LOG_LEVEL", "WEB_CONCURRENCY"),
        *("DATABASE_PASSWORD", "BROKER_PASSWORD"),
    }
    assert names <= found.keys()


def test_nobody_is_an_admin_and_every_call_needs_a_token_of_this_site() -> None:
    found = config(CHART)
    assert found["ENABLE_AUTH"] is True
    assert found["JWT_ADMIN"] == ""
    assert found["JWT_DECODE_ISSUER"] == "af.example.org"
    environment = json.dumps([pod for _, pod in own_pods(CHART)])
    assert "LOGSTASH" not in environment


def test_a_cache_prefix_is_there_only_if_it_is_given() -> None:
    """ServiceX cannot start with one that is empty."""
    assert "TRANSFORMER_CACHE_PREFIX" not in config(CHART)
    found = config(scenarios.rendered("everything-on"), "columns")
    assert found["TRANSFORMER_CACHE_PREFIX"] == "forwarding.example.org:1094"


def test_transformers_are_restricted_and_users_code_sees_no_key_of_the_store() -> None:
    patch = config(CHART)["TRANSFORMER_DEPLOYMENT_PATCH"]
    spec = patch["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert [c["name"] for c in spec["containers"]] == ["sidecar", "transformer"]
    for container in spec["containers"]:
        security = container["securityContext"]
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["allowPrivilegeEscalation"] is False
        assert "memory" in container["resources"]["limits"]
    sidecar, transformer = spec["containers"]
    assert "env" not in sidecar
    gone = [e["name"] for e in transformer["env"] if e.get("value", "") is None]
    assert gone == ["MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"]
    labels = CHART.one("Namespace", READERS)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize(
    ("scenario", "namespace", "secret"),
    [("columns", NS, "casita-servicex-data"), ("everything-on", "columns", "my-data-token")],
)
def test_a_data_token_reaches_users_code_as_xrootd_looks_for_it(
    scenario: str, namespace: str, secret: str
) -> None:
    spec = config(scenarios.rendered(scenario), namespace)
    template = spec["TRANSFORMER_DEPLOYMENT_PATCH"]["spec"]["template"]["spec"]
    sidecar, transformer = template["containers"]
    token = {
        "name": "BEARER_TOKEN",
        "valueFrom": {"secretKeyRef": {"name": secret, "key": "token"}},
    }
    assert token in transformer["env"]
    assert secret not in json.dumps(sidecar)
    assert {"name": "X509_CERT_FILE", "value": "/etc/casita/cache/ca.pem"} in transformer["env"]
    assert "cache-authority" in {v["name"] for v in template["volumes"]}
    assert "cache-authority" in {m["name"] for m in transformer["volumeMounts"]}


def test_transformers_have_no_token_where_they_read_nothing_through_the_cache() -> None:
    for chart in (with_columns(), render(reading({"dataPathPrefix": "None"}))):
        patch = json.dumps(config(chart)["TRANSFORMER_DEPLOYMENT_PATCH"])
        assert "cache-authority" not in patch
        assert "BEARER_TOKEN" not in patch
        assert READERS not in {role["metadata"]["namespace"] for role in operators(chart)}
        assert data_of(chart) is None


def test_the_operator_makes_their_token_for_all_that_the_cache_has_or_for_less() -> None:
    for prefix, path in (("", "/store/"), ("/store/open/", "/store/open/")):
        chart = render(reading({"dataPathPrefix": prefix}))
        assert data_of(chart) == TransformersData(
            namespace=READERS, secret="casita-servicex-data", path_prefix=path
        )
        assert READERS in {role["metadata"]["namespace"] for role in operators(chart)}


def test_they_have_a_token_for_a_cache_of_the_sites_own_too() -> None:
    external = scenarios.values("external-batch-and-cache")["global"]["cache"]
    values = {"cache": external, "servicex": {"enabled": True}}
    chart = render({"global": values, "servicex": {"enabled": True}})
    assert data_of(chart) is not None
    alias = chart.one("Service", "xcache", READERS)["spec"]
    assert (alias["type"], alias["externalName"]) == ("ExternalName", "xcache.example.org")


def test_a_token_of_the_sites_own_is_left_to_the_site() -> None:
    chart = scenarios.rendered("everything-on")
    assert data_of(chart) is None
    assert "readers" not in {role["metadata"]["namespace"] for role in operators(chart)}


@pytest.mark.parametrize(
    ("asked", "duration", "seconds"),
    [(86400, 86400, 42900), (7200, 86400, 7200), (86400, 604800, 86400), (300, 600, 225)],
)
def test_a_request_ends_before_the_token_that_its_transformers_began_with(
    asked: int, duration: int, seconds: int
) -> None:
    cache = {"maxDurationSeconds": duration}
    chart = render(reading({}, cache, transformers={"maxSeconds": asked}))
    assert settings(chart).transformers.max_seconds == seconds
    site = operators_site(chart)
    assert site.cache is not None
    assert seconds <= site.cache.longest_seconds / 2


def test_without_a_token_of_the_operators_a_request_lasts_as_long_as_is_said() -> None:
    assert settings(with_columns()).transformers.max_seconds == 86400
    everything = settings(scenarios.rendered("everything-on"), "columns")
    assert everything.transformers.max_seconds == 7200


def test_servicexs_own_images_start_as_they_are_and_run_where_they_are_let() -> None:
    chart = scenarios.rendered("columns-external")
    assert "TRANSFORMER_DEPLOYMENT_PATCH" not in config(chart)
    labels = chart.one("Namespace", READERS)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "baseline"
    for name, pod in own_pods(chart):
        if name != "casita-servicex":
            assert all("args" not in container for container in containers(pod)), name
    finder = chart.one("Deployment", "casita-servicex-did-xrootd", NS)
    probe = finder["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["exec"]["command"]
    assert probe == ["grep", "-q", ":1627 01", "/proc/net/tcp"]


def test_a_sites_own_database_broker_and_store_take_the_place_of_the_charts() -> None:
    chart = scenarios.rendered("columns-external")
    names = {name for name, _ in own_pods(chart)}
    assert not names & {f"casita-servicex-{part}" for part in ("database", "broker", "store")}
    assert not [
        c for c in chart.of_kind("PersistentVolumeClaim") if c["metadata"]["namespace"] == NS
    ]
    pod = chart.one("Deployment", "casita-servicex-app", NS)["spec"]["template"]["spec"]
    env = {e["name"]: e for e in pod["containers"][0]["env"]}
    assert env["DATABASE_PASSWORD"]["valueFrom"]["secretKeyRef"] == {
        "name": "our-database",
        "key": "password",
    }
    assert "@db.example.org:5432/servicex" in env["SQLALCHEMY_DATABASE_URI"]["value"]
    assert env["RABBIT_MQ_URL"]["value"].endswith("@broker.example.org:5671/%2Fcolumns")
    assert env["MINIO_ACCESS_KEY"]["valueFrom"]["secretKeyRef"] == {
        "name": "our-store",
        "key": "access-key",
    }
    found = config(chart)
    assert (found["MINIO_URL"], found["MINIO_ENCRYPT"]) == ("s3.example.org:9443", True)
    assert settings(chart).database.host == "db.example.org"


def test_the_keys_of_the_charts_own_store_are_for_the_front_door_and_a_sites_are_not() -> None:
    def mounted(chart: Rendered) -> set[str]:
        pod = chart.one("Deployment", "casita-servicex", NS)["spec"]["template"]["spec"]
        (secrets,) = [v["projected"] for v in pod["volumes"] if v["name"] == "secrets"]
        return {item["path"] for each in secrets["sources"] for item in each["secret"]["items"]}

    keys = {"object-store-access-key", "object-store-secret-key"}
    assert keys < mounted(CHART)
    assert settings(CHART).object_store == "http://casita-servicex-store.casita-servicex.svc:9000"
    external = scenarios.rendered("columns-external")
    assert not keys & mounted(external)
    assert settings(external).object_store is None


def test_accounts_of_the_store_are_on_no_disk() -> None:
    pod = CHART.one("Deployment", "casita-servicex-store", NS)["spec"]["template"]["spec"]
    (accounts,) = [v for v in pod["volumes"] if v["name"] == "accounts"]
    assert accounts["emptyDir"]["medium"] == "Memory"
    (container,) = pod["containers"]
    (mount,) = [m for m in container["volumeMounts"] if m["name"] == "accounts"]
    image = (REPOSITORY / "images/objectstore/Dockerfile").read_text()
    assert f"VGW_IAM_DIR={mount['mountPath']}\n" in image


def test_who_waits_for_a_data_sets_name_is_who_is_switched_on() -> None:
    assert config(CHART)["VALID_DID_SCHEMES"] == ["xrootd"]
    found = config(scenarios.rendered("everything-on"), "columns")
    assert found["VALID_DID_SCHEMES"] == ["cernopendata", "rucio", "xrootd"]
    assert found["DID_FINDER_DEFAULT_SCHEME"] == "xrootd"
    none = config(with_columns(didFinders={"xrootd": {"enabled": False}}))
    assert none["VALID_DID_SCHEMES"] == ["none"]
    assert none["DID_FINDER_DEFAULT_SCHEME"] == "none"


def pod_of(name: str) -> Pod:
    template = CHART.one("Deployment", name, NS)["spec"]["template"]
    return Pod(NS, template["metadata"]["labels"])


SESSION = {"casita.dev/session": "alice-x"}
NOTEBOOK = Pod("casita", {**SESSION, "casita.dev/component": "notebook"})
WORKER = Pod("casita", {**SESSION, "casita.dev/component": "worker"})
STRANGER = Pod("casita", {"app": "something"})
OPERATOR = Pod(
    "casita-system",
    {"app.kubernetes.io/name": "casita-operator", "app.kubernetes.io/instance": "casita"},
)
CACHE = Pod(
    "casita-system", {"app.kubernetes.io/name": "xcache", "app.kubernetes.io/instance": "casita"}
)
TRANSFORMER = Pod(READERS, {"app": "transformer-x"})
PROMETHEUS = Pod("monitoring")
DOOR = pod_of("casita-servicex")
APP = pod_of("casita-servicex-app")
CODE = pod_of("casita-servicex-code-uproot-raw")
FINDER = pod_of("casita-servicex-did-xrootd")
DATABASE = pod_of("casita-servicex-database")
BROKER = pod_of("casita-servicex-broker")
STORE = pod_of("casita-servicex-store")
ORIGIN = Outside("188.184.0.1")
API_SERVER = Outside("10.0.0.1")


@pytest.mark.parametrize(
    ("source", "target", "port"),
    [
        (NOTEBOOK, DOOR, 5000),
        (WORKER, DOOR, 5000),
        (OPERATOR, DOOR, 5000),
        (PROMETHEUS, DOOR, 9100),
        (NOTEBOOK, STORE, 9000),
        (WORKER, STORE, 9000),
        (DOOR, APP, 5000),
        (DOOR, DATABASE, 5432),
        (DOOR, STORE, 9000),
        (DOOR, API_SERVER, 6443),
        (APP, CODE, 5000),
        (APP, DATABASE, 5432),
        (APP, BROKER, 5672),
        (APP, STORE, 9000),
        (APP, API_SERVER, 6443),
        (FINDER, BROKER, 5672),
        (FINDER, APP, 5000),
        (FINDER, ORIGIN, 1094),
        (TRANSFORMER, APP, 5000),
        (TRANSFORMER, BROKER, 5672),
        (TRANSFORMER, STORE, 9000),
        (TRANSFORMER, CACHE, 1094),
        (TRANSFORMER, ORIGIN, 1094),
    ],
)
def test_the_way_from_a_session_to_columns_is_open(source: Any, target: Any, port: int) -> None:
    assert connects(POLICIES, source, target, port)


@pytest.mark.parametrize(
    ("source", "target", "port"),
    [
        *((NOTEBOOK, target, port) for target, port in ((APP, 5000), (CODE, 5000))),
        *((NOTEBOOK, target, port) for target, port in ((DATABASE, 5432), (BROKER, 5672))),
        *((WORKER, target, port) for target, port in ((APP, 5000), (DATABASE, 5432))),
        (NOTEBOOK, TRANSFORMER, 8081),
        (NOTEBOOK, DOOR, 9100),
        (STRANGER, DOOR, 5000),
        (STRANGER, STORE, 9000),
        (OPERATOR, APP, 5000),
        (TRANSFORMER, DOOR, 5000),
        (TRANSFORMER, DATABASE, 5432),
        (TRANSFORMER, CODE, 5000),
        (TRANSFORMER, API_SERVER, 6443),
        (TRANSFORMER, TRANSFORMER, 8081),
        (TRANSFORMER, NOTEBOOK, 8888),
        (TRANSFORMER, Outside("169.254.169.254"), 80),
        (APP, TRANSFORMER, 8081),
        (APP, ORIGIN, 1094),
        (APP, DOOR, 5000),
        (CODE, APP, 5000),
        (CODE, ORIGIN, 443),
        (FINDER, DATABASE, 5432),
        (FINDER, STORE, 9000),
        (STORE, ORIGIN, 443),
        (DATABASE, ORIGIN, 443),
        (BROKER, ORIGIN, 443),
        (DOOR, BROKER, 5672),
        (DOOR, ORIGIN, 1094),
        (ORIGIN, DOOR, 5000),
    ],
)
def test_everything_else_is_closed(source: Any, target: Any, port: int) -> None:
    assert not connects(POLICIES, source, target, port)


def test_ways_to_a_sites_own_parts_are_those_that_are_named() -> None:
    policies = scenarios.rendered("columns-external").of_kind("NetworkPolicy")
    database, broker, store = (Outside(f"192.0.2.{number}") for number in (20, 21, 22))
    for source, target, port in (
        *((APP, database, 5432), (DOOR, database, 5432), (APP, broker, 5671)),
        *((FINDER, broker, 5671), (TRANSFORMER, broker, 5671)),
        *((APP, store, 9443), (TRANSFORMER, store, 9443), (NOTEBOOK, store, 9443)),
    ):
        assert connects(policies, source, target, port)
    assert not connects(policies, DOOR, store, 9443)
    assert not connects(policies, APP, database, 22)


def rights(chart: Rendered, account: str) -> dict[str, set[tuple[str, str]]]:
    """Resource and verb of everything that an account may do, by namespace."""
    found: dict[str, set[tuple[str, str]]] = {}
    for binding in chart.of_kind("RoleBinding"):
        if account in {subject["name"] for subject in binding["subjects"]}:
            where = binding["metadata"]["namespace"]
            role = chart.one("Role", binding["roleRef"]["name"], where)
            found[where] = {
                (resource, verb)
                for rule in role["rules"]
                for resource in rule["resources"]
                for verb in rule["verbs"]
            }
    return found


def test_the_app_may_start_and_end_transformers_and_nothing_else() -> None:
    create = {("deployments", "create"), ("configmaps", "create")}
    end = {("deployments", "list"), ("deployments", "delete"), ("configmaps", "delete")}
    assert rights(CHART, "casita-servicex-app") == {READERS: create | end}
    scaled = rights(scenarios.rendered("everything-on"), "casita-servicex-app")["readers"]
    assert scaled - create - end == {
        ("horizontalpodautoscalers", "create"),
        ("horizontalpodautoscalers", "delete"),
    }


def test_the_front_door_sees_sessions_and_takes_away_what_is_left_of_transformers() -> None:
    found = rights(CHART, "casita-servicex")
    assert found["casita"] == {("analysissessions", "get"), ("analysissessions", "list")}
    assert found[READERS] == {
        *(
            (resource, verb)
            for resource in ("deployments", "configmaps")
            for verb in ("list", "delete")
        ),
        ("serviceaccounts", "patch"),
    }
    assert found.keys() == {"casita", READERS}


def test_what_was_delivered_is_kept_and_tidied_within_bounds() -> None:
    pod = scenarios.rendered("everything-on").one("Deployment", "casita-servicex-store", "columns")
    (shelf,) = pod["spec"]["template"]["spec"]["initContainers"]
    assert shelf["restartPolicy"] == "Always"
    assert shelf["args"][1:] == [f"--max-age-seconds={7 * 86400}", f"--max-bytes={900 * 2**30}"]
    for part in ("database", "broker", "store"):
        claim = CHART.one("PersistentVolumeClaim", f"casita-servicex-{part}", NS)
        assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    own = with_columns(database={"storage": {"existingClaim": "my-disk"}})
    names = {claim["metadata"]["name"] for claim in own.of_kind("PersistentVolumeClaim")}
    assert "casita-servicex-database" not in names


def test_all_transformers_together_are_bounded() -> None:
    quota = CHART.one("ResourceQuota", "casita-transformers", READERS)
    assert quota["spec"]["hard"] == {"pods": "100"}
    limits = CHART.one("LimitRange", "casita-transformers", READERS)["spec"]["limits"]
    assert limits[0]["default"] == {"memory": "2Gi"}
    assert not with_columns(transformers={"maxPods": 0}).of_kind("ResourceQuota")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"servicex": {"enabled": True}}, "needs global.servicex.enabled"),
        (COLUMNS, "your ServiceX in global.servicex.url"),
        (
            {
                "global": {"servicex": {"enabled": True, "url": "https://sx.example.org"}},
                "servicex": {"enabled": True},
            },
            "another ServiceX than this chart's",
        ),
        (
            {
                "global": {"servicex": {"enabled": True, "namespace": "casita"}},
                "servicex": {"enabled": True},
            },
            "give ServiceX a namespace of its own",
        ),
        (
            {
                "global": {
                    "servicex": {"enabled": True, "transformers": {"namespace": "casita-servicex"}}
                },
                "servicex": {"enabled": True},
            },
            "users' code runs there",
        ),
        (
            {**COLUMNS, "operator": {"enabled": False}, "servicex": {"enabled": True}},
            "needs operator.enabled",
        ),
        (
            {
                **COLUMNS,
                "servicex": {
                    "enabled": True,
                    "codeGenerators": {
                        "uproot-raw": {"enabled": False},
                        "uproot": {"enabled": False},
                    },
                },
            },
            "needs a code generator",
        ),
        (
            {**COLUMNS, "servicex": {"enabled": True, "didFinders": {"rucio": {"enabled": True}}}},
            "needs host, authHost, account",
        ),
        (
            {
                **COLUMNS,
                "servicex": {"enabled": True, "database": {"external": {"host": "db.example.org"}}},
            },
            "servicex.database.external is db.example.org",
        ),
        (
            {
                **COLUMNS,
                "servicex": {"enabled": True, "broker": {"external": {"existingSecret": "ours"}}},
            },
            "there is no address beside it",
        ),
        (
            {
                "global": {
                    "servicex": {"enabled": True, "transformers": {"dataTokenSecret": "token"}}
                },
                "servicex": {"enabled": True},
            },
            "it needs global.cache.enabled",
        ),
        (reading({"dataPathPrefix": "/other/"}), "not within global.cache.pathPrefix, /store/"),
        (reading({}, builtFromSource=False), "bring transformers no token"),
        (
            {
                **COLUMNS,
                "servicex": {"enabled": True, "transformers": {"autoscaling": {"min": 99}}},
            },
            "above maxWorkers, 20",
        ),
        (
            {
                **COLUMNS,
                "servicex": {
                    "enabled": True,
                    "codeGenerators": {"uproot": {"scienceImage": {"registry": "x" * 128}}},
                },
            },
            "128 characters at most",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ChartError, match=words):
        render(values)


def test_every_pod_has_a_policy_of_its_own() -> None:
    for chart in (CHART, scenarios.rendered("columns-external")):
        policies = [p for p in chart.of_kind("NetworkPolicy") if p["metadata"]["namespace"] == NS]
        selectors = [p["spec"]["podSelector"].get("matchLabels") for p in policies]
        for owner, pod in chart.pods():
            if owner["metadata"]["namespace"] == NS:
                labels = pod["metadata"]["labels"].items()
                chosen = [s for s in selectors if s and s.items() <= labels]
                assert chosen, identity(owner)
