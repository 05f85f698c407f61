"""The demo pool: what its pods may, hold and reach, and what HTCondor is told."""

import re

import pytest
import yaml

from casita.api.names import slug
from casita.config import Site
from casita.manifests.common import Owner
from casita.manifests.network_policy import network_policy
from tests.chart import scenarios
from tests.chart.helm import ChartError, Object, Rendered, render
from tests.chart.network import End, Outside, Pod, connects, lets_in, lets_out

CHART = scenarios.rendered("own-batch-and-cache")
FULL = scenarios.rendered("everything-on")
SITE = yaml.safe_load(CHART.one("ConfigMap", "casita-operator")["data"]["site.yaml"])
ALICE = network_policy(Owner("casita", "alice", "uid-alice"), Site.model_validate(SITE))
POLICIES = [*CHART.of_kind("NetworkPolicy"), dict(ALICE)]
AP, EP, POOL = "casita-htcondor", "casita-htcondor-ep", "casita-pool"
OWN = {"global": {"batch": {"enabled": True}}}


def pod_of(name: str, chart: Rendered = CHART) -> Object:
    template: Object = chart.one("Deployment", name)["spec"]["template"]
    return template


def end(name: str) -> Pod:
    namespace = CHART.one("Deployment", name)["metadata"]["namespace"]
    return Pod(namespace, pod_of(name)["metadata"]["labels"])


def config(name: str, chart: Rendered = CHART) -> str:
    text: str = chart.one("ConfigMap", name)["data"]["condor_config"]
    return text


def knob(name: str, of: str, chart: Rendered = CHART) -> str:
    """Return what a configuration says last of a knob."""
    found = re.findall(rf"^{re.escape(name)} = ?(.*)$", config(of, chart), re.MULTILINE)
    assert found, f"{of} has no {name}"
    return str(found[-1])


def test_there_is_no_pool_unless_asked_for() -> None:
    chart = scenarios.rendered("minimal")
    assert not [each for each in chart.objects if "htcondor" in each["metadata"]["name"]]


def test_the_access_point_runs_one_at_a_time_as_htcondors_own_account() -> None:
    deployment = CHART.one("Deployment", AP, "casita-system")["spec"]
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    security = pod_of(AP)["spec"]["securityContext"]
    assert (security["runAsUser"], security["runAsGroup"], security["fsGroup"]) == (100, 101, 101)


def test_execute_pods_have_the_five_rights_to_start_jobs_as_others_and_no_other() -> None:
    spec = pod_of(EP)["spec"]
    (condor,) = spec["containers"]
    (deliver,) = spec["initContainers"]
    wanted = ["CHOWN", "DAC_OVERRIDE", "SETUID", "SETGID", "KILL"]
    assert condor["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": wanted}
    assert deliver["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    for container in (condor, deliver):
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    assert not [volume for volume in spec["volumes"] if "hostPath" in volume]


def test_execute_pods_are_alone_in_a_namespace_of_baseline_security() -> None:
    labels = CHART.one("Namespace", POOL)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "baseline"
    owners = [owner for owner, _ in CHART.pods() if owner["metadata"]["namespace"] == POOL]
    assert [owner["metadata"]["name"] for owner in owners] == [EP]
    without = render({**OWN, "htcondor": {"enabled": True, "createNamespace": False}})
    assert POOL not in [found["metadata"]["name"] for found in without.of_kind("Namespace")]


def test_keys_are_delivered_to_the_access_point_alone_and_htcondor_cannot_add_one() -> None:
    (deliver,) = pod_of(AP, FULL)["spec"]["initContainers"]
    files = [arg for arg in deliver["args"] if arg.startswith("--file=")]
    assert files == ["--file=facility", "--file=older"]
    assert deliver["restartPolicy"] == "Always"
    for name in (AP, EP):
        (condor,) = pod_of(name)["spec"]["containers"]
        by_path = {mount["mountPath"]: mount for mount in condor["volumeMounts"]}
        assert by_path["/run/casita"]["readOnly"] is True, name
        assert "/secrets" not in by_path, name


def test_a_changed_configuration_restarts_the_pods_that_read_it() -> None:
    def marks(**values: object) -> list[str]:
        chart = render({**OWN, "htcondor": {"enabled": True, **values}})
        pods = [pod_of(name, chart) for name in (AP, EP)]
        return [pod["metadata"]["annotations"]["checksum/config"] for pod in pods]

    plain, revoked, larger = marks(), marks(revocation="true"), marks(execute={"cpus": 4})
    assert (plain[0] != revoked[0], plain[1] == revoked[1]) == (True, True)
    assert (plain[0] == larger[0], plain[1] != larger[1]) == (True, True)


def test_only_tokens_prove_who_one_is() -> None:
    for name in (AP, EP):
        for knobs in ("SEC_DEFAULT_AUTHENTICATION_METHODS", "SEC_CLIENT_AUTHENTICATION_METHODS"):
            assert knob(knobs, name) == "IDTOKENS"
        assert knob("SEC_READ_AUTHENTICATION", name) == "REQUIRED"
        assert knob("SEC_ENABLE_TOKEN_FETCH", name) == "False"
        assert knob("SEC_ENABLE_TOKEN_REQUEST", name) == "False"


def test_trust_and_user_domain_are_the_sites() -> None:
    for name in (AP, EP):
        assert knob("TRUST_DOMAIN", name, FULL) == "af.example.org"
        assert knob("UID_DOMAIN", name, FULL) == "users.af.example.org"
    assert knob("SCHEDD_NAME", AP, FULL) == "casita@af.example.org"


def test_a_revocation_is_one_line_of_the_access_points_configuration() -> None:
    wanted = 'sub =?= "alice@users.af.example.org"'
    always = knob("SEC_TOKEN_REVOCATION_EXPR", AP)
    assert knob("SEC_TOKEN_REVOCATION_EXPR", AP, FULL) == f"{always} || ( {wanted} )"
    assert all(claim in always for claim in ("exp =?= undefined", "jti =?= undefined", "scope"))
    with pytest.raises(ChartError, match="/htcondor/revocation"):
        render({**OWN, "htcondor": {"enabled": True, "revocation": "true\nALLOW_WRITE = *"}})


@pytest.mark.parametrize("cpus", [1, 8, 64])
def test_every_slot_that_there_can_be_has_an_account_of_its_own(cpus: int) -> None:
    chart = render({**OWN, "htcondor": {"enabled": True, "execute": {"cpus": cpus}}})
    accounts = re.findall(r"^SLOT1_(\d+)_USER = slot(\d+)$", config(EP, chart), re.MULTILINE)
    assert [(int(a), int(b)) for a, b in accounts] == [(n, n) for n in range(1, 2 * cpus + 1)]
    assert knob("STARTER_ALLOW_RUNAS_OWNER", EP, chart) == "False"


def test_more_cores_than_there_are_accounts_are_refused() -> None:
    with pytest.raises(ChartError, match="/htcondor/execute/cpus"):
        render({**OWN, "htcondor": {"enabled": True, "execute": {"cpus": 65}}})


def test_the_pools_own_key_is_no_name_for_a_further_one() -> None:
    keys = [{"id": "POOL", "existingSecret": "x"}]
    with pytest.raises(ChartError, match="/htcondor/furtherKeys/0/id"):
        render({**OWN, "htcondor": {"enabled": True, "furtherKeys": keys}})


def test_the_queue_outlives_its_pod() -> None:
    claims = [volume.get("persistentVolumeClaim") for volume in pod_of(AP)["spec"]["volumes"]]
    assert {"claimName": "casita-htcondor-spool"} in claims
    assert CHART.one("PersistentVolumeClaim", "casita-htcondor-spool", "casita-system")
    mine = {"accessPoint": {"spool": {"existingClaim": "mine"}}}
    chart = render({**OWN, "htcondor": {"enabled": True, **mine}})
    assert chart.of_kind("PersistentVolumeClaim") == []


SESSION = {"casita.dev/session": slug("casita", "alice")}
ACCESS, EXECUTE = end(AP), end(EP)
NOTEBOOK = Pod("casita", {**SESSION, "casita.dev/component": "notebook"})
SCHEDULER = Pod("casita", {**SESSION, "casita.dev/component": "scheduler"})
WORKER = Pod("casita", {**SESSION, "casita.dev/component": "worker"})
STRANGER, ELSEWHERE = Pod("casita", {"app": "x"}), Pod("default")
OPERATOR, GATEWAY = end("casita-operator"), end("casita-gateway")
INTERNET = Outside("198.51.100.1")

ALLOWED: list[tuple[End, End, int]] = [
    (NOTEBOOK, ACCESS, 9618),
    (OPERATOR, ACCESS, 9618),
    (EXECUTE, ACCESS, 9618),
    (ACCESS, EXECUTE, 9618),
    (SCHEDULER, EXECUTE, 40000),
    (NOTEBOOK, EXECUTE, 40099),
    (EXECUTE, EXECUTE, 40050),
    # data between workers that are jobs and those that are pods, the scheduler's own among them
    (WORKER, EXECUTE, 40000),
    (EXECUTE, WORKER, 8789),
    (EXECUTE, SCHEDULER, 8789),
    (EXECUTE, GATEWAY, 8786),
]
REFUSED: list[tuple[End, End, int]] = [
    (STRANGER, ACCESS, 9618),
    (ELSEWHERE, ACCESS, 9618),
    (INTERNET, ACCESS, 9618),
    (GATEWAY, ACCESS, 9618),
    (NOTEBOOK, ACCESS, 22),
    # only the access point may tell a machine what to run
    (NOTEBOOK, EXECUTE, 9618),
    (OPERATOR, EXECUTE, 9618),
    (EXECUTE, EXECUTE, 9618),
    (ELSEWHERE, EXECUTE, 40000),
    (SCHEDULER, EXECUTE, 40100),
    # a scheduler is reached by the gateway, which asks for a name
    (EXECUTE, SCHEDULER, 8786),
    (EXECUTE, SCHEDULER, 8787),
    (EXECUTE, NOTEBOOK, 8888),
    (EXECUTE, NOTEBOOK, 8789),
    (EXECUTE, STRANGER, 8789),
    # jobs are users' code
    (EXECUTE, OPERATOR, 8443),
    (EXECUTE, OPERATOR, 8080),
    (EXECUTE, INTERNET, 443),
    (EXECUTE, Outside("192.0.2.1"), 6443),
    (ACCESS, INTERNET, 443),
    (ACCESS, OPERATOR, 8443),
]


@pytest.mark.parametrize(("source", "target", "port"), ALLOWED)
def test_this_is_allowed(source: End, target: End, port: int) -> None:
    assert connects(POLICIES, source, target, port)


@pytest.mark.parametrize(("source", "target", "port"), REFUSED)
def test_this_is_refused(source: End, target: End, port: int) -> None:
    assert not connects(POLICIES, source, target, port)


def test_only_the_access_point_is_let_in_by_a_machine() -> None:
    for source in (NOTEBOOK, OPERATOR, GATEWAY, ELSEWHERE, INTERNET):
        assert not lets_in(POLICIES, source, EXECUTE, 9618)


def test_workers_that_are_jobs_have_the_sites_ports_and_python() -> None:
    policy = FULL.one("NetworkPolicy", "casita-htcondor-ep")["spec"]
    ports = {"port": 20000, "endPort": 20063, "protocol": "TCP"}
    assert [ports] in [rule["ports"] for rule in policy["ingress"]]
    assert [ports] in [rule.get("ports") for rule in policy["egress"]]
    for namespace in ("casita", "cms-users"):
        egress = FULL.one("NetworkPolicy", "casita-batch", namespace)["spec"]["egress"]
        assert [rule["ports"] for rule in egress] == [[ports]]
    spec = pod_of(EP, FULL)["spec"]
    images = {each["image"] for each in (*spec["initContainers"], *spec["containers"])}
    assert images == {"registry.example.org:5000/mirror/mine/execute:v1"}
    (access,) = pod_of(AP, FULL)["spec"]["containers"]
    assert access["image"] == "registry.example.org:5000/mirror/mine/htcondor:v1"


def test_a_machine_leaves_workers_the_time_to_drain() -> None:
    assert int(knob("MachineMaxVacateTime", EP)) == 330
    assert pod_of(EP)["spec"]["terminationGracePeriodSeconds"] == 330
    for drain, stop, good in ((100, 130, True), (100, 129, False)):
        values = {
            **OWN,
            "operator": {"workers": {"drainSeconds": drain}},
            "htcondor": {"enabled": True, "execute": {"stopSeconds": stop}},
        }
        if good:
            assert knob("MachineMaxVacateTime", EP, render(values)) == "130"
        else:
            with pytest.raises(ChartError, match="set it to 130 at least"):
                render(values)


def test_accounting_groups_have_their_shares() -> None:
    assert knob("GROUP_NAMES", AP, FULL) == "cms, cms.a, atlas"
    assert knob("GROUP_ACCEPT_SURPLUS", AP, FULL) == "True"
    assert knob("GROUP_QUOTA_DYNAMIC_cms", AP, FULL) == "0.6"
    assert knob("GROUP_QUOTA_DYNAMIC_cms.a", AP, FULL) == "0.5"
    assert "GROUP_QUOTA_DYNAMIC_atlas" not in config(AP, FULL)
    assert "GROUP_NAMES" not in config(AP)


@pytest.mark.parametrize(("chart", "known"), [(CHART, ""), (FULL, "cms,cms.a,atlas")])
def test_a_job_of_no_known_group_or_in_anothers_name_is_refused(
    chart: Rendered, known: str
) -> None:
    names = config(AP, chart)
    assert "SUBMIT_REQUIREMENT_NAMES = $(SUBMIT_REQUIREMENT_NAMES) Group GroupUser" in names
    rule = knob("SUBMIT_REQUIREMENT_Group", AP, chart)
    assert rule.startswith("AccountingGroup =?= undefined ||")
    assert f'stringListIMember(AcctGroup, "{known}")' in rule
    assert "Owner" in knob("SUBMIT_REQUIREMENT_GroupUser", AP, chart)
    protected = re.findall(r"^PROTECTED_JOB_ATTRS = .*$", config(AP, chart), re.MULTILINE)
    assert any("AccountingGroup AcctGroup AcctGroupUser" in line for line in protected)


@pytest.mark.parametrize("name", ["none", "cms analysis", "cms.", "a\nb", ""])
def test_a_group_has_a_name_that_sessions_can_say(name: str) -> None:
    with pytest.raises(ChartError, match="/htcondor/accountingGroups/0/name"):
        render({**OWN, "htcondor": {"enabled": True, "accountingGroups": [{"name": name}]}})


def test_jobs_reach_what_the_site_opens() -> None:
    found = FULL.of_kind("NetworkPolicy")
    machine = Pod("machines", EXECUTE.labels)
    assert lets_out(found, machine, Outside("203.0.113.1"), 1094)
    assert not lets_out(found, machine, Outside("203.0.113.1"), 443)
