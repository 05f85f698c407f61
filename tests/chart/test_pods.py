"""Pods of the chart are restricted, hold no needless token, and come from where the site says."""

from collections.abc import Iterator

import yaml

from tests.chart import scenarios
from tests.chart.helm import Object, Rendered, identity

TOKEN_HOLDERS = {
    "Deployment casita-system/casita-operator": "casita-operator",
    "Deployment casita-gateway/casita-gateway": "casita-gateway",
    "Deployment front-door/casita-gateway": "casita-gateway",
    "Deployment casita-hub/casita-hub": "casita-hub",
    "Deployment doors/casita-hub": "casita-hub",
    "Deployment casita-servicex/casita-servicex": "casita-servicex",
    "Deployment columns/casita-servicex": "casita-servicex",
    "Deployment casita-servicex/casita-servicex-app": "casita-servicex-app",
    "Deployment columns/casita-servicex-app": "casita-servicex-app",
    "Job casita-system/casita-prepare": "casita-prepare",
    "Job casita-system/casita-stop": "casita-stop",
}
"""What speaks to the Kubernetes API, and as whom."""
NOT_RESTRICTED = {"htcondor-ep"}
"""Parts that start processes as other users; tests/chart/test_htcondor.py says what they may."""
VOLUMES = {"configMap", "emptyDir", "secret", "projected", "downwardAPI", "persistentVolumeClaim"}


def containers(pod: Object) -> Iterator[Object]:
    yield from pod["spec"].get("initContainers", ())
    yield from pod["spec"]["containers"]


def test_pods_are_restricted(chart: Rendered) -> None:
    """Each field that the restricted Pod Security Standard names, by its own text."""
    for owner, pod in chart.pods():
        if pod["metadata"]["labels"]["app.kubernetes.io/name"] in NOT_RESTRICTED:
            continue
        spec, name = pod["spec"], identity(owner)
        for field in ("hostNetwork", "hostPID", "hostIPC", "hostUsers"):
            assert field not in spec, f"{name}: {field}"
        for volume in spec.get("volumes", ()):
            assert set(volume) - {"name"} <= VOLUMES, f"{name}: {volume}"
        security = spec["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["runAsUser"] > 0, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in containers(pod):
            own = container["securityContext"]
            assert own == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert not [port for port in container.get("ports", ()) if "hostPort" in port], name


def test_only_what_asks_the_api_has_a_token(chart: Rendered) -> None:
    for owner, pod in chart.pods():
        name, spec = identity(owner), pod["spec"]
        has_token = spec["automountServiceAccountToken"]
        assert has_token == (name in TOKEN_HOLDERS), name
        assert spec.get("serviceAccountName") == TOKEN_HOLDERS.get(name), name
    for account in chart.of_kind("ServiceAccount"):
        assert account["automountServiceAccountToken"] is False, identity(account)


def test_pods_do_not_learn_of_services_by_environment(chart: Rendered) -> None:
    assert all(pod["spec"]["enableServiceLinks"] is False for _, pod in chart.pods())


def test_pods_ask_for_memory_and_are_bounded(chart: Rendered) -> None:
    for owner, pod in chart.pods():
        for container in containers(pod):
            resources = container["resources"]
            assert {"cpu", "memory"} <= set(resources["requests"]), identity(owner)
            assert "memory" in resources["limits"], identity(owner)


def test_long_running_containers_are_probed(chart: Rendered) -> None:
    for found in chart.of_kind("Deployment"):
        for container in found["spec"]["template"]["spec"]["containers"]:
            ports = {port["name"] for port in container.get("ports", ())}
            for name in ("livenessProbe", "readinessProbe"):
                probe = container[name]
                asked = probe.get("httpGet") or probe.get("tcpSocket")
                assert "exec" in probe or asked["port"] in ports, identity(found)


def test_there_is_one_operator_at_a_time(chart: Rendered) -> None:
    spec = chart.one("Deployment", "casita-operator")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_images_come_from_the_sites_registry_by_digest() -> None:
    chart = scenarios.rendered("private-registry")
    site = yaml.safe_load(chart.one("ConfigMap", "casita-operator")["data"]["site.yaml"])
    images = [profile["image"] for profile in site["profiles"]]
    for owner, pod in chart.pods():
        images += [container["image"] for container in containers(pod)]
        assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}], identity(owner)
    assert site["imagePullSecrets"] == ["registry"]
    for image in images:
        assert image.startswith("registry.example.org/"), image
        assert "@sha256:" in image, image


def test_tags_are_never_latest(chart: Rendered) -> None:
    for _, pod in chart.pods():
        for container in containers(pod):
            name = container["image"].partition("@")[0]
            assert name.rpartition(":")[2] not in {"", "latest", name}, container["image"]


def test_pods_go_where_the_site_says() -> None:
    chart = scenarios.rendered("everything-on")
    for owner, pod in chart.pods():
        spec = pod["spec"]
        assert spec["nodeSelector"], identity(owner)
        assert spec["tolerations"], identity(owner)
        assert spec["affinity"], identity(owner)
        assert spec["priorityClassName"] == "system-cluster-critical", identity(owner)
        assert {each["imagePullPolicy"] for each in containers(pod)} == {"Always"}


MOUNTED = {
    "casita-operator": {
        *("casita-system-authority", "our-authority"),
        *("casita-root-key", "our-root", "my-root-key"),
        *("casita-idtoken-key", "our-idtoken-key", "my-idtoken-key"),
        *("casita-macaroon-key", "our-macaroon-key", "my-macaroon-key"),
        "our-cache-authority",
    },
    "htcondor-ap": {"casita-idtoken-key", "my-idtoken-key", "my-older-key"},
    "htcondor-ep": {"casita-htcondor-ep-token"},
    "xcache": {
        *("casita-macaroon-key", "my-macaroon-key", "my-origin-token"),
        "casita-xcache-tls",
    },
    "servicex": {"casita-servicex", "our-database"},
    "servicex-database": {"casita-servicex"},
    "servicex-broker": {"casita-servicex"},
    "servicex-did-rucio": {"my-proxy"},
    # The key that checks tokens; its other two are variables of it.
    "mlflow": {"casita-mlflow"},
}
"""Who may hold which Secret, by the name of the part."""


def mounted(pod: Object) -> set[str]:
    found = set()
    for volume in pod["spec"].get("volumes", ()):
        sources = [volume, *volume.get("projected", {}).get("sources", ())]
        found |= {s["secret"]["secretName"] for s in sources[:1] if "secret" in s}
        found |= {s["secret"]["name"] for s in sources[1:] if "secret" in s}
    return found


def test_secrets_are_mounted_by_those_they_are_for(chart: Rendered) -> None:
    for owner, pod in chart.pods():
        part = pod["metadata"]["labels"]["app.kubernetes.io/name"]
        assert mounted(pod) <= MOUNTED.get(part, set()), identity(owner)


def test_machines_that_run_jobs_hold_no_key(chart: Rendered) -> None:
    for owner, pod in chart.pods():
        if owner["metadata"]["namespace"] not in {"casita-system", "casita-gateway", "front-door"}:
            assert not [name for name in mounted(pod) if name.endswith("-key")], identity(owner)


def test_the_operator_mounts_what_it_is_told_of(scenario: str, chart: Rendered) -> None:
    pod = chart.one("Deployment", "casita-operator")["spec"]["template"]
    given = scenarios.values(scenario).get("global", {})
    external = bool(given.get("cache", {}).get("authoritySecret"))
    parts = [given.get(part, {}).get("enabled", False) for part in ("batch", "cache")]
    assert len(mounted(pod)) == 2 + sum(parts) + external


def test_the_sites_own_secrets_are_mounted_and_none_is_made() -> None:
    chart = scenarios.rendered("existing-secrets")
    pod = chart.one("Deployment", "casita-operator")["spec"]["template"]["spec"]
    secrets = {v["secret"]["secretName"] for v in pod["volumes"] if "secret" in v}
    assert secrets == {"our-authority", "our-root"}
    job = chart.one("Job", "casita-prepare")["spec"]["template"]["spec"]["containers"][0]
    assert job["args"] == ["prepare", "--namespace=casita-system", "--route-api=TLSRoute"]
    assert not [role for role in chart.of_kind("Role") if "prepare" in role["metadata"]["name"]]


def test_the_system_secrets_are_made_by_a_hook_and_never_rendered(chart: Rendered) -> None:
    assert chart.of_kind("Secret") == []
    pod = chart.one("Deployment", "casita-operator")["spec"]["template"]["spec"]
    held = {v["secret"]["secretName"] for v in pod["volumes"] if "secret" in v}
    made = set()
    for job in chart.of_kind("Job"):
        if job["metadata"]["name"] == "casita-stop":
            continue
        assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
        arguments = job["spec"]["template"]["spec"]["containers"][0]["args"]
        made |= {each.partition("=")[2] for each in arguments if "-secret=" in each}
    brought = {name for name in held if name.startswith(("our-", "my-"))}
    assert made - {"casita-xcache-tls"} == held - brought


def test_hooks_make_what_the_job_needs_before_it(chart: Rendered) -> None:
    hooks = [found for found in chart.objects if _weight(found) is not None]
    jobs = [found for found in hooks if found["kind"] == "Job"]
    for job in jobs:
        others = [found for found in hooks if found not in jobs and _hook(found) == _hook(job)]
        assert {found["kind"] for found in others} >= {"ServiceAccount", "NetworkPolicy"}
        assert all((_weight(found) or 0) < (_weight(job) or 0) for found in others)


def test_sessions_with_jobs_are_stopped_while_the_operator_is_there_and_no_others(
    scenario: str, chart: Rendered
) -> None:
    given = scenarios.values(scenario).get("global", {})
    hooks = [found for found in chart.objects if _hook(found) == "pre-delete"]
    if not given.get("batch", {}).get("enabled", False):
        assert hooks == []
        return
    spec = chart.one("Job", "casita-stop", "casita-system")["spec"]
    arguments = spec["template"]["spec"]["containers"][0]["args"]
    asked = [each.partition("=")[2] for each in arguments if each.startswith("--namespace=")]
    assert asked == given.get("sessions", {}).get("namespaces", ["casita"])
    (seconds,) = [int(each.partition("=")[2]) for each in arguments if "--seconds=" in each]
    # It says what is left before Kubernetes ends it, and that before Helm's five minutes are over.
    assert seconds + 30 <= spec["activeDeadlineSeconds"] < 300


def _hook(found: Object) -> str | None:
    hook: str | None = found["metadata"].get("annotations", {}).get("helm.sh/hook")
    return hook


def _weight(found: Object) -> int | None:
    annotations = found["metadata"].get("annotations", {})
    weight = annotations.get("helm.sh/hook-weight")
    return None if weight is None else int(weight)
