"""The tracking server: reached by sessions and by the hub's proxy, and told what the site says."""

import configparser
import json
from typing import Any

import pytest

from tests.chart import scenarios
from tests.chart.helm import ChartError, Object, Rendered, render
from tests.chart.network import Outside, Pod, connects

HUB = {
    "jupyterhub": {
        "enabled": True,
        "hub": {"config": {"JupyterHub": {"authenticator_class": "dummy"}}},
    },
    "traefik": {"tls": {"secretName": "hub-certificate"}},
}


def with_server(*, hub: bool = True, **values: Any) -> Rendered:
    return render(
        {
            **(HUB if hub else {}),
            "global": {"mlflow": {"enabled": True}, "hub": {"enabled": hub}},
            "mlflow": {"enabled": True, **values},
        }
    )


def pod(chart: Rendered) -> Object:
    found: Object = chart.one("Deployment", "casita-mlflow")["spec"]["template"]
    return found


def container(chart: Rendered) -> Object:
    (found,) = pod(chart)["spec"]["containers"]
    return dict(found)


def variables(chart: Rendered) -> dict[str, Any]:
    return {e["name"]: e.get("value", e.get("valueFrom")) for e in container(chart)["env"]}


def hub_config(chart: Rendered) -> dict[str, Any]:
    data = chart.one("ConfigMap", "casita-hub", "casita-hub")["data"]
    found: dict[str, Any] = json.loads(data["chart.json"])["JupyterHub"]
    return found


def test_it_is_off_unless_it_is_asked_for() -> None:
    chart = scenarios.rendered("minimal")
    assert not [found for found in chart.objects if "mlflow" in found["metadata"]["name"]]


def test_the_door_says_who_somebody_is_and_mlflow_believes_nobody_else() -> None:
    parser = configparser.ConfigParser()
    data = with_server().one("ConfigMap", "casita-mlflow", "casita-mlflow")["data"]
    parser.read_string(data["basic_auth.ini"])
    said = dict(parser["mlflow"])
    assert said["authorization_function"] == "casita.tracking.identity:authenticate"
    assert said["default_permission"] == "READ"
    assert "admin_password" not in said


def test_a_password_of_the_database_with_a_percent_sign_is_read_as_it_is() -> None:
    url = "postgresql+psycopg://m%40x@db.example/mlflow"
    chart = with_server(database={"type": "other", "url": url})
    parser = configparser.ConfigParser()
    parser.read_string(chart.one("ConfigMap", "casita-mlflow")["data"]["basic_auth.ini"])
    assert parser["mlflow"]["database_uri"] == url
    assert variables(chart)["CASITA_MLFLOW_DATABASE"] == url


def test_what_the_server_knows_alone_comes_from_the_operators_secret() -> None:
    chart = with_server()
    found = variables(chart)
    assert found["MLFLOW_FLASK_SERVER_SECRET_KEY"]["secretKeyRef"] == {
        "name": "casita-mlflow",
        "key": "flask-secret-key",
    }
    assert found["JUPYTERHUB_API_TOKEN"]["secretKeyRef"]["key"] == "hub-token"
    (secrets,) = (v for v in pod(chart)["spec"]["volumes"] if v["name"] == "secrets")
    # A file: it is read again when the root key is replaced.
    assert secrets["secret"]["items"] == [{"key": "token-key", "path": "token-key"}]


def test_sessions_and_browsers_ask_by_names_that_the_server_knows() -> None:
    hosts = variables(with_server())["CASITA_MLFLOW_ALLOWED_HOSTS"].split(",")
    assert "casita-mlflow.casita-mlflow.svc:5000" in hosts
    assert "hub.casita.test" in hosts
    assert not [host for host in hosts if "*" in host]
    more = variables(scenarios.rendered("everything-on"))["CASITA_MLFLOW_ALLOWED_HOSTS"]
    assert more.endswith(",af.example.org,tracking.af.example.org:443")


def test_the_volume_is_the_sites_or_made_and_outlives_the_release() -> None:
    claim = with_server().one("PersistentVolumeClaim", "casita-mlflow-data", "casita-mlflow")
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    own = with_server(storage={"existingClaim": "my-disk"})
    assert own.of_kind("PersistentVolumeClaim") == [
        each for each in own.of_kind("PersistentVolumeClaim") if "mlflow" not in str(each)
    ]
    claimed = [v.get("persistentVolumeClaim") for v in pod(own)["spec"]["volumes"]]
    assert {"claimName": "my-disk"} in claimed


def test_with_a_database_and_an_object_store_there_is_no_volume() -> None:
    chart = scenarios.rendered("everything-on")
    names = [claim["metadata"]["name"] for claim in chart.of_kind("PersistentVolumeClaim")]
    assert "casita-mlflow-data" not in names
    assert {volume["name"] for volume in pod(chart)["spec"]["volumes"]} == {
        "config",
        "secrets",
        "tmp",
    }
    given = [each["secretRef"]["name"] for each in container(chart)["envFrom"]]
    assert given == ["my-mlflow-database", "my-mlflow-store"]
    assert variables(chart)["CASITA_MLFLOW_ARTIFACTS"] == "s3://mlflow/artifacts"


def test_a_database_that_is_away_takes_it_out_of_the_service_and_restarts_nothing() -> None:
    server = container(with_server())
    assert server["livenessProbe"]["httpGet"]["path"] == "/health"
    assert server["readinessProbe"]["httpGet"]["path"] == "/services/mlflow/health"


def test_the_hub_has_it_as_a_service_whose_token_is_in_no_configmap() -> None:
    chart = with_server()
    (service,) = (s for s in hub_config(chart)["services"] if s["name"] == "mlflow")
    assert service == {
        "name": "mlflow",
        "url": "http://casita-mlflow.casita-mlflow.svc:5000",
        "oauth_no_confirm": True,
    }
    (user,) = (r for r in hub_config(chart)["load_roles"] if r["name"] == "user")
    assert "access:services!service=mlflow" in user["scopes"]
    hub = chart.one("Deployment", "casita-hub")["spec"]["template"]["spec"]["containers"][0]
    (token,) = (e for e in hub["env"] if e["name"] == "JUPYTERHUB_SERVICE_TOKEN_MLFLOW")
    assert token["valueFrom"]["secretKeyRef"] == {"name": "casita-hub", "key": "mlflow-token"}


def test_a_hub_without_it_knows_nothing_of_it() -> None:
    chart = render({**HUB, "global": {"hub": {"enabled": True}}})
    assert "mlflow" not in json.dumps(hub_config(chart))
    hub = chart.one("Deployment", "casita-hub")["spec"]["template"]["spec"]["containers"][0]
    assert "mlflow" not in json.dumps(hub["env"]).lower()


def test_without_a_hub_it_is_for_sessions_alone() -> None:
    assert "JUPYTERHUB_API_URL" not in variables(with_server(hub=False))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"mlflow": {"enabled": True}}, "needs global.mlflow.enabled"),
        ({"global": {"mlflow": {"enabled": True}}}, "in global.mlflow.url, or mlflow.enabled"),
        (
            {
                "global": {"mlflow": {"enabled": True, "url": "https://mlflow.example.org"}},
                "mlflow": {"enabled": True},
            },
            "another tracking server",
        ),
        (
            {
                "global": {"mlflow": {"enabled": True, "namespace": "casita"}},
                "mlflow": {"enabled": True},
            },
            "namespace of its own",
        ),
        (
            {
                "global": {"mlflow": {"enabled": True}},
                "mlflow": {"enabled": True, "database": {"type": "other"}},
            },
            "set mlflow.database.url",
        ),
        (
            {
                "global": {"mlflow": {"enabled": True}},
                "mlflow": {"enabled": True, "artifacts": {"type": "objectStore"}},
            },
            "set mlflow.artifacts.destination",
        ),
        (
            {
                "global": {"mlflow": {"enabled": True}},
                "mlflow": {"enabled": True, "allowedHosts": ["a,b"]},
            },
            "/mlflow/allowedHosts/0",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ChartError, match=words):
        render(values)


CHART = with_server()
POLICIES = CHART.of_kind("NetworkPolicy")


def labelled(name: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/instance": "casita"}


SERVER = Pod("casita-mlflow", pod(CHART)["metadata"]["labels"])
NOTEBOOK = Pod("casita", {"casita.dev/session": "alice-x", "casita.dev/component": "notebook"})
WORKER = Pod("casita", {"casita.dev/session": "alice-x", "casita.dev/component": "worker"})
DOOR = Pod("casita-hub", labelled("jupyterhub"))
PROXY = Pod("casita-hub", labelled("jupyterhub-proxy"))
OPERATOR = Pod("casita-system", labelled("casita-operator"))
GATEWAY = Pod("casita-gateway", labelled("traefik"))


@pytest.mark.parametrize(
    ("source", "target", "port"),
    [
        (NOTEBOOK, SERVER, 5000),
        (WORKER, SERVER, 5000),
        (PROXY, SERVER, 5000),
        (DOOR, SERVER, 5000),
        (OPERATOR, SERVER, 5000),
        (SERVER, DOOR, 8081),
    ],
)
def test_who_has_business_with_it_reaches_it(source: Pod, target: Pod, port: int) -> None:
    assert connects(POLICIES, source, target, port)


@pytest.mark.parametrize(
    ("source", "target", "port"),
    [
        (Pod("casita", {"app": "anything"}), SERVER, 5000),
        (Pod("default"), SERVER, 5000),
        (Pod("casita-mlflow", {"app": "anything"}), SERVER, 5000),
        (Pod("monitoring"), SERVER, 5000),
        (GATEWAY, SERVER, 5000),
        (Outside("198.51.100.1"), SERVER, 5000),
        (SERVER, NOTEBOOK, 8888),
        (SERVER, OPERATOR, 8443),
        (SERVER, PROXY, 8001),
        (SERVER, Outside("188.184.0.1"), 443),
        (SERVER, Outside("169.254.169.254"), 80),
    ],
)
def test_nobody_else_does_and_it_reaches_nothing_more(source: Any, target: Any, port: int) -> None:
    assert not connects(POLICIES, source, target, port)
