"""The hub: reached through the gateway alone, with few rights, and configured as z2jh is."""

import json
from typing import Any

import pytest
import yaml

from casita.config import Site
from tests.chart import scenarios
from tests.chart.helm import ChartError, Rendered, render
from tests.chart.network import Outside, Pod, connects

HUB = {
    "global": {"hub": {"enabled": True}},
    "traefik": {"tls": {"secretName": "hub-certificate"}},
}
DUMMY = {"JupyterHub": {"authenticator_class": "dummy"}}


def with_hub(**values: Any) -> Rendered:
    """Render with values of the hub itself."""
    hub = {"config": DUMMY, **values.pop("hub", {})}
    return render({**HUB, "jupyterhub": {"enabled": True, "hub": hub, **values}})


def config(chart: Rendered, namespace: str = "casita-hub") -> dict[str, Any]:
    data = chart.one("ConfigMap", "casita-hub", namespace)["data"]
    found: dict[str, Any] = json.loads(data["chart.json"])
    return found


def test_it_is_off_unless_it_is_asked_for() -> None:
    chart = scenarios.rendered("minimal")
    assert not [found for found in chart.objects if "hub" in found["metadata"]["name"]]


def test_the_hub_reads_the_catalogue_that_the_operator_reads() -> None:
    chart = scenarios.rendered("everything-on")
    read = chart.one("ConfigMap", "casita-hub-site", "doors")["data"]["site.yaml"]
    assert read == chart.one("ConfigMap", "casita-operator")["data"]["site.yaml"]
    site = Site.model_validate(yaml.safe_load(read))
    profiles = {profile.name: profile for profile in site.profiles}
    assert profiles["cms"].groups == ("cms", "physics")
    assert profiles["cms"].notebook.extended_resources == {"nvidia.com/gpu": 1}
    assert profiles["default"].notebook.max_memory_mi_b == 4096
    assert [mount.path for mount in profiles["default"].mounts] == ["/cvmfs", "/shared"]
    assert site.hub is not None
    assert (site.hub.namespace, site.hub.secret) == ("doors", "casita-hub")


def test_the_hubs_own_configuration_goes_over_what_the_chart_says() -> None:
    found = config(scenarios.rendered("everything-on"), "doors")
    assert found["JupyterHub"]["authenticator_class"] == "generic-oauth"
    assert found["JupyterHub"]["spawner_class"] == "casita"
    assert found["CasitaSpawner"]["start_timeout"] == 600
    assert found["CasitaSpawner"]["namespace"] == "casita"
    assert found["GenericOAuthenticator"]["allowed_groups"] == ["cms"]


def test_servers_are_restricted_and_have_no_right_to_the_api() -> None:
    spawner = config(with_hub())["CasitaSpawner"]
    assert spawner["automount_service_account_token"] is False
    assert spawner["allow_privilege_escalation"] is False
    assert spawner["container_security_context"] == {
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert spawner["pod_security_context"]["runAsNonRoot"] is True
    assert (spawner["uid"], spawner["fs_gid"]) == (1000, 1000)


def test_a_home_is_a_claim_of_the_user_or_ends_with_the_server() -> None:
    own = config(with_hub())["CasitaSpawner"]
    assert own["storage_pvc_ensure"] is True
    assert own["delete_pvc"] is True
    assert own["pvc_name_template"] == "home-{username}"
    none = config(scenarios.rendered("hub"))["CasitaSpawner"]
    assert none["storage_pvc_ensure"] is False
    assert none["delete_pvc"] is False
    assert none["volumes"][0] == {"name": "home", "emptyDir": {"sizeLimit": "10Gi"}}


def test_a_login_for_everybody_is_said_where_they_log_in() -> None:
    told = config(scenarios.rendered("hub"))["JupyterHub"]["template_vars"]["announcement_login"]
    assert "under any name" in told
    assert "WARNING" in scenarios.rendered("hub").notes
    chart = scenarios.rendered("everything-on")
    assert "template_vars" not in config(chart, "doors")["JupyterHub"]
    assert "WARNING" not in chart.notes


def test_no_secret_is_in_the_configuration() -> None:
    for name in ("hub", "everything-on"):
        chart = scenarios.rendered(name)
        assert not chart.of_kind("Secret")
        for owner, pod in chart.pods():
            if owner["metadata"]["name"] in {"casita-hub", "casita-proxy"}:
                variables = [e for c in pod["spec"]["containers"] for e in c["env"]]
                plain = [e["name"] for e in variables if "value" in e]
                assert set(plain) <= {"SSL_CERT_FILE"}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"jupyterhub": {"enabled": True}}, "set both, or neither"),
        ({**HUB, "jupyterhub": {"enabled": True}}, "needs a way to log in"),
        (
            {
                "global": {"hub": {"enabled": True}},
                "jupyterhub": {"enabled": True, "hub": {"config": DUMMY}},
            },
            "needs HTTPS: set traefik.tls.secretName",
        ),
        (
            {
                **HUB,
                "global": {"hub": {"enabled": True, "namespace": "casita"}},
                "jupyterhub": {"enabled": True, "hub": {"config": DUMMY}},
            },
            "give it one of its own",
        ),
        (
            {
                **HUB,
                "jupyterhub": {
                    "enabled": True,
                    "hub": {"config": DUMMY, "db": {"type": "other"}},
                },
            },
            "set jupyterhub.hub.db.url",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ChartError, match=words):
        render(values)


CHART = scenarios.rendered("hub")
POLICIES = CHART.of_kind("NetworkPolicy")


def labelled(name: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/instance": "casita"}


SERVER = Pod("casita", {"casita.dev/session": "alice-x", "casita.dev/component": "notebook"})
WORKER = Pod("casita", {"casita.dev/session": "alice-x", "casita.dev/component": "worker"})
GATEWAY = Pod("casita-gateway", labelled("traefik"))
DOOR = Pod("casita-hub", labelled("jupyterhub"))
PROXY = Pod("casita-hub", labelled("jupyterhub-proxy"))
OPERATOR = Pod("casita-system", labelled("casita-operator"))


@pytest.mark.parametrize(
    ("source", "target", "port"),
    [
        (GATEWAY, PROXY, 8000),
        (PROXY, DOOR, 8081),
        (PROXY, SERVER, 8888),
        (DOOR, PROXY, 8001),
        (DOOR, SERVER, 8888),
        (SERVER, DOOR, 8081),
        (DOOR, Outside("188.184.0.1"), 443),
    ],
)
def test_the_way_from_the_gateway_to_a_server_and_back_is_open(
    source: Any, target: Any, port: int
) -> None:
    assert connects(POLICIES, source, target, port)


@pytest.mark.parametrize(
    ("source", "target", "port"),
    [
        (SERVER, PROXY, 8001),
        (SERVER, PROXY, 8000),
        (GATEWAY, PROXY, 8001),
        (GATEWAY, DOOR, 8081),
        (WORKER, DOOR, 8081),
        (WORKER, SERVER, 8888),
        (SERVER, SERVER, 8888),
        (GATEWAY, SERVER, 8888),
        (DOOR, OPERATOR, 8443),
        (DOOR, Outside("169.254.169.254"), 80),
        (PROXY, Outside("188.184.0.1"), 443),
        (Pod("other"), SERVER, 8888),
        (Pod("other"), DOOR, 8081),
    ],
)
def test_every_other_way_is_closed(source: Any, target: Any, port: int) -> None:
    assert not connects(POLICIES, source, target, port)


def services(chart: Rendered, namespace: str = "casita-hub") -> dict[str, dict[str, Any]]:
    return {s["name"]: s for s in config(chart, namespace)["JupyterHub"]["services"]}


def scopes(chart: Rendered, namespace: str = "casita-hub") -> dict[str, list[str]]:
    return {r["name"]: r["scopes"] for r in config(chart, namespace)["JupyterHub"]["load_roles"]}


def test_the_status_page_knows_when_servers_end_and_may_read_no_more_than_it_shows() -> None:
    chart = with_hub()
    command = services(chart)["status"]["command"]
    assert "--idle-seconds=3600" in command
    assert "--age-seconds=604800" in command
    assert scopes(chart)["user"] == ["self", "access:services!service=status"]
    assert not {"admin:users", "tokens", "admin:servers"} & set(scopes(chart)["status"])
    never = services(with_hub(cull={"enabled": False}))
    assert "cull" not in never
    assert "--idle-seconds=0" in never["status"]["command"]


def test_servers_that_nobody_uses_are_ended_as_zero_to_jupyterhub_does() -> None:
    chart = scenarios.rendered("everything-on")
    command = services(chart, "doors")["cull"]["command"]
    assert command[3:] == [
        "--timeout=7200",
        "--cull-every=60",
        "--concurrency=5",
        "--max-age=86400",
        "--cull-users=true",
        "--cull-admin-users=false",
        "--remove-named-servers=true",
    ]
    assert "admin:users" in scopes(chart, "doors")["cull"]
    assert "admin:users" not in scopes(with_hub())["cull"]


def test_a_sites_own_services_and_roles_stand_beside_the_charts() -> None:
    chart = scenarios.rendered("everything-on")
    names = {"status", "metrics", "cull", "mlflow", "reports"}
    assert set(services(chart, "doors")) == names
    assert scopes(chart, "doors")["readers"] == ["list:users"]


def test_each_image_of_the_catalogue_is_on_the_nodes_before_users_come() -> None:
    chart = with_hub()
    pod = chart.one("DaemonSet", "casita-hub-puller", "casita-hub")["spec"]["template"]["spec"]
    site = yaml.safe_load(
        chart.one("ConfigMap", "casita-hub-site", "casita-hub")["data"]["site.yaml"]
    )
    wanted = {profile["image"] for profile in site["profiles"]}
    assert {container["image"] for container in pod["initContainers"]} == wanted
    assert pod["automountServiceAccountToken"] is False
    off = with_hub(prePuller={"continuous": {"enabled": False}})
    assert not [found for found in off.objects if found["kind"] == "DaemonSet"]


def test_a_private_authority_is_trusted_for_the_identity_provider() -> None:
    chart = scenarios.rendered("everything-on")
    pod = chart.one("Deployment", "casita-hub", "doors")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert {"name": "SSL_CERT_FILE", "value": "/etc/casita/authority/ca.crt"} in container["env"]
    assert {"name": "authority", "configMap": {"name": "my-authority"}} in pod["volumes"]
