"""Inference servers: each a group's own, reached by its sessions alone, named where it fails."""

from copy import deepcopy
from typing import Any

import pytest
import yaml

from casita.config import Site
from tests.chart import crd_schemas, scenarios
from tests.chart.helm import ChartError, Object, Rendered, render
from tests.chart.network import Outside, Pod, connects, lets_in, lets_out
from tests.chart.values_file import values

NS = "casita-triton"
CLAIM = {"claim": {"name": "models"}}
CHART = scenarios.rendered("inference")
DIRECT = scenarios.rendered("inference-direct")
EVERYTHING = scenarios.rendered("everything-on")


def with_triton(
    server: dict[str, Any] | None = None, operator: Any = None, **triton: Any
) -> Rendered:
    """A site with one server; further values are of ``global.triton``."""
    return render(
        {
            "global": {"triton": {"enabled": True, **triton}},
            "operator": operator or {},
            "triton": {
                "enabled": True,
                "servers": {"default": {"repository": CLAIM, **(server or {})}},
            },
        }
    )


def pod(chart: Rendered, name: str = "default") -> Object:
    found: Object = chart.one("Deployment", f"casita-triton-{name}")["spec"]["template"]
    return found


def container(chart: Rendered, name: str = "default", which: str = "triton") -> Object:
    return next(each for each in pod(chart, name)["spec"]["containers"] if each["name"] == which)


def volume(chart: Rendered, name: str = "default") -> Object:
    found = pod(chart, name)["spec"]["volumes"]
    return next((each for each in found if each["name"] == "repository"), {})


def test_each_server_has_all_that_it_needs() -> None:
    for name in ("default", "cms"):
        full = f"casita-triton-{name}"
        for kind in ("Deployment", "GRPCRoute", "NetworkPolicy", "Service"):
            assert CHART.one(kind, full, NS)
        for metrics in (f"{full}-metrics", f"{full}-models-metrics"):
            service = CHART.one("Service", metrics, NS)
            assert [port["name"] for port in service["spec"]["ports"]] == ["metrics"]
            assert service["metadata"]["labels"]["server"] == name


def test_where_it_is_off_there_is_nothing_of_it() -> None:
    chart = scenarios.rendered("minimal")
    assert not [path for path in chart.texts if "/charts/triton/" in path]
    assert "triton" not in str(chart.one("Deployment", "casita-gateway"))
    assert chart.of_kind("GRPCRoute", "ScaledObject") == []


def test_objects_of_other_projects_are_what_these_take() -> None:
    for chart in (CHART, EVERYTHING):
        found = chart.of_kind("GRPCRoute", "ScaledObject", "Gateway")
        assert {each["kind"] for each in found} == {"GRPCRoute", "ScaledObject", "Gateway"}
        for each in found:
            crd_schemas.validate(each)


def test_a_server_that_says_little_is_what_the_default_says() -> None:
    """What values.yaml has for `default` holds for servers that a site adds."""
    default = next(value.default for value in values() if value.name == "triton.servers.default")
    written = deepcopy(default)
    written["repository"] = {**default["repository"], "claim": {"name": "models", "subPath": ""}}
    assert with_triton(written).texts == with_triton().texts


def test_nobody_can_load_a_model_over_the_network() -> None:
    for chart, name in ((CHART, "default"), (CHART, "cms"), (EVERYTHING, "taggers")):
        arguments = container(chart, name)["args"]
        assert "--model-control-mode=none" in arguments
        (restricted,) = [each for each in arguments if "restricted" in each]
        assert restricted.endswith(":casita=$(POD_UID)")
        assert {"shared-memory", "trace", "logging"} <= set(
            restricted.partition("=")[2].partition(":")[0].split(",")
        )


@pytest.mark.parametrize(
    "argument",
    [
        "--model-control-mode=explicit",
        "--load-model=*",
        "--repository-poll-secs=1",
        "--model-repository=/tmp",
        "--grpc-restricted-protocol=trace:a=b",
        "--exit-timeout-secs=999",
        "log-verbose=1",
    ],
)
def test_what_the_chart_says_itself_is_no_further_argument(argument: str) -> None:
    with pytest.raises(ChartError, match="/triton/servers/default"):
        with_triton({"extraArgs": [argument]})


def test_models_are_mounted_read_only_wherever_they_are() -> None:
    claim = pod(EVERYTHING)["spec"]["volumes"][2]
    assert claim["persistentVolumeClaim"] == {"claimName": "models", "readOnly": True}
    (mount,) = [m for m in container(EVERYTHING)["volumeMounts"] if m["name"] == "repository"]
    assert mount == {
        "name": "repository",
        "mountPath": "/repository/models",
        "subPath": "cms/production",
        "readOnly": True,
    }
    (mount,) = [m for m in container(CHART)["volumeMounts"] if m["name"] == "repository"]
    assert mount["readOnly"] is True
    for chart, name in ((CHART, "default"), (CHART, "cms")):
        assert "--model-repository=/repository/models" in container(chart, name)["args"]
        # Nobody else of the pod sees them.
        assert "volumeMounts" not in container(chart, name, "models")


def test_files_of_a_configmap_are_a_repository() -> None:
    """In a folder of their own: beside it are the kubelet's, which are no models."""
    items = volume(CHART)["configMap"]["items"]
    assert {item["path"]: item["key"] for item in items} == {
        "models/dimuon/config.pbtxt": "config.pbtxt",
        "models/dimuon/1/model.py": "model.py",
    }


def test_an_object_store_gets_the_keys_of_its_secret_and_no_others() -> None:
    triton = container(DIRECT)
    assert "--model-repository=s3://models/cms" in triton["args"]
    assert volume(DIRECT) == {}
    keys = {
        each["name"]: each["valueFrom"]["secretKeyRef"]
        for each in triton["env"]
        if "secretKeyRef" in each.get("valueFrom", {})
    }
    assert {ref["name"] for ref in keys.values()} == {"models-reader"}
    assert {name for name, ref in keys.items() if not ref["optional"]} == {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
    }
    assert "envFrom" not in triton


def test_a_pod_ends_after_its_server_and_the_server_after_its_requests() -> None:
    for chart, exit_seconds in ((CHART, 60), (EVERYTHING, 120)):
        triton = container(chart)
        assert f"--exit-timeout-secs={exit_seconds}" in triton["args"]
        drain = triton["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert drain > 5  # Traefik and DNS need some
        grace = pod(chart)["spec"]["terminationGracePeriodSeconds"]
        assert grace > drain + exit_seconds


def test_a_broken_model_restarts_nothing() -> None:
    triton = container(CHART)
    assert {"--exit-on-error=false", "--strict-readiness=false"} <= set(triton["args"])
    assert "--strict-readiness=true" in container(EVERYTHING)["args"]
    paths = {
        probe: triton[f"{probe}Probe"]["httpGet"]["path"]
        for probe in ("startup", "liveness", "readiness")
    }
    assert paths == {
        "startup": "/v2/health/live",
        "liveness": "/v2/health/live",
        "readiness": "/v2/health/ready",
    }


@pytest.mark.parametrize("seconds", [10, 600, 601])
def test_a_server_has_the_time_to_load_its_models(seconds: int) -> None:
    probe = container(with_triton({"startupSeconds": seconds}))["startupProbe"]
    assert seconds <= probe["periodSeconds"] * probe["failureThreshold"] < seconds + 5
    spec = with_triton({"startupSeconds": seconds}).one("Deployment", "casita-triton-default")
    assert spec["spec"]["progressDeadlineSeconds"] > seconds


def test_devices_are_asked_for_as_they_are_counted() -> None:
    for chart, name, device in (
        (CHART, "cms", "nvidia.com/gpu"),
        (EVERYTHING, "default", "nvidia.com/mig-1g.18gb"),
    ):
        triton = container(chart, name)
        for kind in ("limits", "requests"):
            assert triton["resources"][kind][device] == 1
        assert "--allow-gpu-metrics=true" in triton["args"]
        # There may be no second one for a new pod beside the old.
        strategy = chart.one("Deployment", f"casita-triton-{name}")["spec"]["strategy"]
        assert strategy["rollingUpdate"] == {"maxUnavailable": 1, "maxSurge": 0}
    assert "--allow-gpu-metrics=false" in container(CHART)["args"]
    assert set(container(CHART)["resources"]["limits"]) == {"memory"}


def test_the_number_of_pods_has_one_master() -> None:
    assert CHART.one("Deployment", "casita-triton-default")["spec"]["replicas"] == 1
    assert "replicas" not in CHART.one("Deployment", "casita-triton-cms")["spec"]
    (scaled,) = CHART.of_kind("ScaledObject")
    assert scaled["spec"]["scaleTargetRef"] == {"name": "casita-triton-cms"}
    assert (scaled["spec"]["minReplicaCount"], scaled["spec"]["maxReplicaCount"]) == (1, 4)


def test_pods_follow_the_mean_time_in_the_queue() -> None:
    scaled = EVERYTHING.one("ScaledObject", "casita-triton-default")["spec"]
    (trigger,) = scaled["triggers"]
    assert trigger["metricType"] == "Value"
    assert trigger["metadata"] == {
        "serverAddress": "http://prometheus.prometheus.svc:9090",
        "query": 'casita:triton_queue_milliseconds:rate1m{namespace="inference",server="default"}',
        "threshold": "20",
        "ignoreNullValues": "false",
    }
    behavior = scaled["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] == 600


def test_prometheus_learns_which_server_a_metric_is_of() -> None:
    monitor = EVERYTHING.one("ServiceMonitor", "casita-triton", "inference")["spec"]
    selected = [
        service["metadata"]["name"]
        for service in EVERYTHING.of_kind("Service")
        if monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    ]
    assert sorted(selected) == [
        f"casita-triton-{name}{kind}-metrics"
        for name in ("default", "taggers")
        for kind in ("", "-models")
    ]
    (relabeling,) = monitor["endpoints"][0]["relabelings"]
    assert relabeling == {
        "sourceLabels": ["__meta_kubernetes_service_label_server"],
        "targetLabel": "server",
    }


def test_sessions_are_told_where_their_server_is() -> None:
    for chart, wanted in (
        (
            CHART,
            {
                "default": "casita-gateway-inference.casita-gateway.svc.cluster.local:8001",
                "cms": "casita-gateway-inference.casita-gateway.svc.cluster.local:8002",
            },
        ),
        (DIRECT, {"default": "casita-triton-default.casita-triton.svc.cluster.local:8001"}),
    ):
        text = chart.one("ConfigMap", "casita-operator")["data"]["site.yaml"]
        site = Site.model_validate(yaml.safe_load(text))
        assert site.inference is not None
        assert {server.name: server.url for server in site.inference.servers} == wanted


def test_the_way_leads_from_the_gateway_to_the_server() -> None:
    ports = {
        port["name"]: port
        for port in CHART.one("Service", "casita-gateway-inference")["spec"]["ports"]
    }
    container_ports = {
        port["name"]: port["containerPort"]
        for port in CHART.one("Deployment", "casita-gateway")["spec"]["template"]["spec"][
            "containers"
        ][0]["ports"]
    }
    listeners = {each["name"]: each for each in CHART.one("Gateway", "casita")["spec"]["listeners"]}
    for name, number in (("default", 8001), ("cms", 8002)):
        assert ports[name]["port"] == number
        assert container_ports[ports[name]["targetPort"]] == number
        route = CHART.one("GRPCRoute", f"casita-triton-{name}", NS)["spec"]
        (parent,) = route["parentRefs"]
        listener = listeners[parent["sectionName"]]
        assert (listener["protocol"], listener["port"]) == ("HTTP", number)
        allowed = listener["allowedRoutes"]
        assert [kind["kind"] for kind in allowed["kinds"]] == ["GRPCRoute"]
        selector = allowed["namespaces"]["selector"]["matchLabels"]
        assert selector == {"kubernetes.io/metadata.name": NS}
        (backend,) = route["rules"][0]["backendRefs"]
        service = CHART.one("Service", backend["name"], NS)["spec"]
        (grpc,) = [port for port in service["ports"] if port["port"] == backend["port"]]
        assert grpc["appProtocol"] == "kubernetes.io/h2c"


def test_a_stream_of_requests_may_last() -> None:
    (traefik,) = CHART.one("Deployment", "casita-gateway")["spec"]["template"]["spec"]["containers"]
    for name in ("default", "cms"):
        prefix = f"--entrypoints.triton-{name}.transport.respondingtimeouts"
        assert f"{prefix}.readtimeout=0s" in traefik["args"]


def test_the_world_is_shown_nothing_of_it() -> None:
    for chart in (CHART, EVERYTHING):
        public = chart.one("Service", "casita-gateway")["spec"]
        assert {port["name"] for port in public["ports"]} <= {"dask", "https"}
        inside = chart.one("Service", "casita-gateway-inference")["spec"]
        assert inside["type"] == "ClusterIP"
        assert "externalIPs" not in inside
    for service in CHART.of_kind("Service"):
        if service["metadata"]["namespace"] == NS:
            assert service["spec"]["clusterIP"] == "None"


POLICIES = CHART.of_kind("NetworkPolicy")
OUTSIDE = Outside("198.51.100.1")
GATEWAY = Pod(
    "casita-gateway",
    CHART.one("Deployment", "casita-gateway")["spec"]["template"]["metadata"]["labels"],
)
OPERATOR = Pod(
    "casita-system",
    CHART.one("Deployment", "casita-operator")["spec"]["template"]["metadata"]["labels"],
)
PROMETHEUS = Pod("monitoring")


def server(chart: Rendered, name: str = "default") -> Pod:
    return Pod(NS, pod(chart, name)["metadata"]["labels"])


def session_pod(name: str | None) -> Pod:
    """A worker of a session whose profile has this server."""
    label = {} if name is None else {"casita.dev/inference": name}
    return Pod("casita", {"casita.dev/session": "a", "casita.dev/component": "worker", **label})


def test_a_session_reaches_its_server_by_the_gateway() -> None:
    for name, port in (("default", 8001), ("cms", 8002)):
        assert connects(POLICIES, session_pod(name), GATEWAY, port)
        assert connects(POLICIES, GATEWAY, server(CHART, name), 8001)


@pytest.mark.parametrize(
    ("source", "port"),
    [
        (session_pod("cms"), 8001),
        (session_pod("default"), 8002),
        (session_pod(None), 8001),
        (session_pod(None), 8002),
        (Pod("casita", {"app": "anything"}), 8001),
        # A label that anybody can give himself elsewhere.
        (Pod("default", {"casita.dev/inference": "default"}), 8001),
        (OPERATOR, 8001),
        (PROMETHEUS, 8001),
        (OUTSIDE, 8001),
        (OUTSIDE, 8002),
    ],
)
def test_nobody_else_is_let_in_there(source: Any, port: int) -> None:
    assert not lets_in(POLICIES, source, GATEWAY, port)


def test_the_pods_are_for_the_gateway_the_operator_and_prometheus() -> None:
    default = server(CHART)
    assert connects(POLICIES, OPERATOR, default, 8000)
    for port in (8002, 9100):
        assert connects(POLICIES, PROMETHEUS, default, port)
    for source in (session_pod("default"), session_pod(None), server(CHART, "cms"), OUTSIDE):
        for port in (8000, 8001, 8002, 9100):
            assert not connects(POLICIES, source, default, port)
    for source, port in ((GATEWAY, 8000), (OPERATOR, 8001), (PROMETHEUS, 8000)):
        assert not connects(POLICIES, source, default, port)


def test_a_server_connects_to_nobody_but_its_object_store() -> None:
    default = server(CHART)
    for target in (OUTSIDE, OPERATOR, GATEWAY, session_pod("default"), server(CHART, "cms")):
        assert not lets_out(POLICIES, default, target, 443)
    found = DIRECT.of_kind("NetworkPolicy")
    assert lets_out(found, server(DIRECT), Outside("203.0.113.1"), 443)
    assert not lets_out(found, server(DIRECT), OUTSIDE, 443)


def test_past_the_gateway_a_session_reaches_its_own_server_alone() -> None:
    found = DIRECT.of_kind("NetworkPolicy")
    assert connects(found, session_pod("default"), server(DIRECT), 8001)
    for name in ("cms", None):
        assert not lets_in(found, session_pod(name), server(DIRECT), 8001)
        assert not lets_out(found, session_pod(name), server(DIRECT), 8001)
    assert not connects(found, session_pod("default"), server(DIRECT), 8000)
    assert not connects(found, GATEWAY, server(DIRECT), 8001)
    assert DIRECT.of_kind("GRPCRoute", "Gateway") == []


def test_the_gateway_may_serve_inference_alone() -> None:
    chart = with_triton(throughGateway=True)
    alone = render(
        {
            "global": {"triton": {"enabled": True}, "gateway": {"routeApi": "None"}},
            "operator": {"profiles": {"default": {"inference": "default"}}},
            "triton": {"enabled": True, "servers": {"default": {"repository": CLAIM}}},
        }
    )
    assert len(chart.one("Gateway", "casita")["spec"]["listeners"]) == 2
    assert len(alone.one("Gateway", "casita")["spec"]["listeners"]) == 1
    found = alone.of_kind("NetworkPolicy")
    assert connects(found, session_pod("default"), GATEWAY, 8001)
    assert not lets_in(found, OUTSIDE, GATEWAY, 8001)
    assert not lets_in(found, OUTSIDE, GATEWAY, 9999)


STORE = {"objectStore": {"url": "s3://models"}}
MAP = {"configMap": {"name": "models"}}


@pytest.mark.parametrize(
    ("server", "words"),
    [
        ({"repository": {}}, "must say one place where models are.*it says 0"),
        ({"repository": {**CLAIM, **STORE}, "egress": [{"cidr": "0.0.0.0/0"}]}, "it says 2"),
        ({"repository": MAP}, "configMap.files is empty"),
        ({"repository": STORE}, "egress is empty"),
        ({"repository": {"claim": {"name": "a", "subPath": "../b"}}}, "subPath"),
        ({"repository": {"objectStore": {"url": "http://a"}}}, "url"),
        ({"autoscaling": {"enabled": True}}, "address of your Prometheus"),
        ({"autoscaling": {"minReplicas": 0}}, "minReplicas"),
        ({"autoscaling": {"minReplicas": 9}}, "minReplicas is 9, above maxReplicas, 4"),
        ({"extendedResources": {"gpu": 1}}, "invalid propertyName .gpu"),
        ({"exitSeconds": 0}, "exitSeconds"),
        ({"modelControlMode": "explicit"}, "modelControlMode"),
    ],
)
def test_a_server_that_cannot_be_is_refused(server: dict[str, Any], words: str) -> None:
    with pytest.raises(ChartError, match=words):
        with_triton(server)


SERVER = {"enabled": True, "servers": {"default": {"repository": CLAIM}}}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"triton": SERVER}, "triton.enabled needs global.triton.enabled"),
        ({"global": {"triton": {"enabled": True}}}, "global.triton.url, or triton.enabled"),
        (
            {"global": {"triton": {"enabled": True, "url": "a.example:8001"}}, "triton": SERVER},
            "another service than this chart's",
        ),
        (
            {
                "global": {"triton": {"enabled": True, "namespace": "casita"}},
                "triton": SERVER,
            },
            "where other parts are",
        ),
        (
            {
                "global": {"triton": {"enabled": True, "servers": {"cms": {"port": 8001}}}},
                "triton": {"enabled": True, "servers": {"cms": {"repository": CLAIM}}},
            },
            "which the gateway has for the server cms",
        ),
        (
            {
                "global": {"triton": {"enabled": True, "servers": {"default": {"port": 8786}}}},
                "triton": SERVER,
            },
            "which the gateway has for sessions",
        ),
        (
            {
                "global": {"triton": {"enabled": True, "servers": {"cms": {"port": 8002}}}},
                "triton": SERVER,
            },
            "say there where its models are",
        ),
        (
            {
                "global": {"triton": {"enabled": True}},
                "triton": {"enabled": True, "servers": {"cms": {"repository": CLAIM}}},
            },
            "triton.servers has cms, but global.triton.servers does not",
        ),
        (
            {
                "global": {"triton": {"enabled": True}},
                "triton": SERVER,
                "traefik": {"enabled": False},
            },
            "throughGateway needs this chart's gateway",
        ),
        (
            {
                "global": {
                    "triton": {"enabled": True},
                    "gateway": {"routeApi": "IngressRouteTCP"},
                },
                "triton": SERVER,
            },
            "throughGateway needs the Gateway API",
        ),
        (
            {
                "global": {"triton": {"enabled": True}},
                "triton": SERVER,
                "operator": {"profiles": {"default": {"inference": "top"}}},
            },
            "operator.profiles.default.inference is top, which is no server",
        ),
    ],
)
def test_values_that_do_not_fit_together_are_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ChartError, match=words):
        render(given)


def test_a_server_can_be_switched_off() -> None:
    chart = render(
        {
            "global": {
                "triton": {
                    "enabled": True,
                    "servers": {"default": {"enabled": False}, "cms": {"port": 8002}},
                }
            },
            "triton": {"enabled": True, "servers": {"cms": {"repository": CLAIM}}},
        }
    )
    names = [d["metadata"]["name"] for d in chart.of_kind("Deployment")]
    assert [name for name in names if "triton" in name] == ["casita-triton-cms"]


def test_a_service_of_the_sites_own_needs_nothing_here() -> None:
    chart = render(
        {
            "global": {"triton": {"enabled": True, "url": "supersonic.example.org:8001"}},
            "operator": {"profiles": {"default": {"inference": "default"}}},
        }
    )
    assert not [path for path in chart.texts if "/charts/triton/" in path]
    assert "triton" not in str(chart.one("Gateway", "casita"))


def test_one_switch_takes_inference_from_profiles_that_have_it() -> None:
    chart = render({"operator": {"profiles": {"default": {"inference": "default"}}}})
    site = yaml.safe_load(chart.one("ConfigMap", "casita-operator")["data"]["site.yaml"])
    assert Site.model_validate(site).inference is None
