"""The values for a hub of zero-to-jupyterhub say what casita and z2jh understand."""

import re
import subprocess
import sys
import tomllib
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import kubespawner.spawner
import pytest
import yaml
from jupyterhub.app import JupyterHub
from jupyterhub.scopes import scope_definitions
from jupyterhub.services.service import Service
from traitlets.config import Config

from casita.hub.spawner import CasitaSpawner, choices

ROOT: Final = Path(__file__).parents[2]
OVERLAY: Final = ROOT / "docs/examples/z2jh-values.yaml"
RIGHTS: Final = ROOT / "docs/examples/z2jh-rights.yaml"
TEMPLATES: Final = ROOT / "charts/casita/charts/jupyterhub/templates"
CONFIG: Final = TEMPLATES / "_config.tpl"
ROLE: Final = TEMPLATES / "role.yaml"

CLASSES: Final = {"JupyterHub": JupyterHub, "CasitaSpawner": CasitaSpawner}

# The keys that z2jh has in jupyterhub/values.schema.yaml, of 5.0.0-0.dev as it was in July 2026,
# after the release 4.4.0. It refuses all others.
Z2JH: Final = {
    "": "enabled fullnameOverride nameOverride imagePullSecret imagePullSecrets hub proxy "
    "singleuser scheduling ingress httpRoute prePuller custom cull debug rbac global",
    "hub": "revisionHistoryLimit config extraFiles baseUrl command args cookieSecret image "
    "networkPolicy db labels initContainers extraEnv extraConfig fsGid service pdb existingSecret "
    "nodeSelector tolerations activeServerLimit allowNamedServers annotations "
    "authenticatePrometheus concurrentSpawnLimit consecutiveFailureLimit podSecurityContext "
    "containerSecurityContext deploymentStrategy extraContainers extraVolumeMounts extraVolumes "
    "livenessProbe readinessProbe namedServerLimitPerUser redirectToServer resources lifecycle "
    "services loadRoles shutdownOnLogout templatePaths templateVars serviceAccount extraPodSpec",
    "hub.image": "name tag pullPolicy pullSecrets",
    "hub.service": "type ports annotations extraPorts loadBalancerIP ipFamilyPolicy ipFamilies",
    "hub.networkPolicy": "enabled ingress egress egressAllowRules interNamespaceAccessLabels "
    "allowedIngressPorts",
    "proxy": "chp secretToken service https traefik labels annotations deploymentStrategy "
    "secretSync",
    "proxy.chp": "revisionHistoryLimit networkPolicy command extraCommandLineFlags extraEnv pdb "
    "nodeSelector tolerations containerSecurityContext image livenessProbe readinessProbe "
    "resources defaultTarget errorTarget extraPodSpec",
    "proxy.chp.networkPolicy": "enabled ingress egress egressAllowRules interNamespaceAccessLabels "
    "allowedIngressPorts",
    "singleuser": "networkPolicy podNameTemplate cpu memory image initContainers profileList "
    "extraFiles extraEnv nodeSelector extraTolerations extraNodeAffinity extraPodAffinity "
    "extraPodAntiAffinity cloudMetadata cmd defaultUrl events extraAnnotations extraContainers "
    "extraLabels extraPodConfig extraResource fsGid lifecycleHooks networkTools serviceAccountName "
    "startTimeout storage allowPrivilegeEscalation uid",
    "singleuser.image": "name tag pullPolicy pullSecrets",
    "singleuser.cloudMetadata": "blockWithIptables ip",
    "singleuser.networkPolicy": "enabled ingress egress egressAllowRules "
    "interNamespaceAccessLabels allowedIngressPorts",
    "singleuser.storage": "capacity dynamic extraLabels extraVolumeMounts extraVolumes "
    "homeMountPath static type",
    "cull": "enabled users adminUsers removeNamedServers timeout every concurrency maxAge",
}


@lru_cache
def overlay() -> Any:
    return yaml.safe_load(OVERLAY.read_text())


def at(path: str) -> Any:
    """Return the part of the overlay at a dotted path."""
    found = overlay()
    for key in path.split(".") if path else ():
        found = found[key]
    return found


def options() -> dict[str, str]:
    """Return the options of the status page's command."""
    given = at("hub.services.status.command")[3:]
    return dict(word.removeprefix("--").split("=", 1) for word in given)


@pytest.mark.parametrize("path", Z2JH)
def test_z2jh_knows_every_key(path: str) -> None:
    assert set(at(path)) <= set(Z2JH[path].split())


@pytest.mark.parametrize("name", at("hub.config"))
def test_the_class_has_every_trait(name: str) -> None:
    assert set(at("hub.config")[name]) <= set(CLASSES[name].class_traits(config=True))


def spawner(monkeypatch: pytest.MonkeyPatch, **z2jh: Any) -> CasitaSpawner:
    """Return the spawner as z2jh configures it: the overlay's section over KubeSpawner's."""
    monkeypatch.setattr(kubespawner.spawner, "load_config", lambda **_: None)
    monkeypatch.setattr(kubespawner.spawner, "shared_client", lambda _: None)
    sections = {"KubeSpawner": z2jh, "CasitaSpawner": at("hub.config.CasitaSpawner")}
    return CasitaSpawner(config=Config(sections), _mock=True)


async def test_the_spawner_takes_the_values_over_those_of_z2jh(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = spawner(monkeypatch, namespace="jupyterhub", uid=1000)
    assert (found.namespace, found.uid, found.gid) == ("casita", 1000, 1000)
    for name, value in at("hub.config.CasitaSpawner").items():
        assert getattr(found, name) == value


async def test_z2jhs_empty_list_of_profiles_is_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """With it, nobody could choose a profile, and every start would be refused."""
    assert spawner(monkeypatch, profile_list=[]).profile_list == []
    assert spawner(monkeypatch).profile_list is choices
    assert at("singleuser")["profileList"] is None


def test_the_spawner_has_the_name_that_the_package_gives_it() -> None:
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    where = points["jupyterhub.spawners"][at("hub.config.JupyterHub.spawner_class")]
    module, _, name = where.partition(":")
    assert getattr(import_module(module), name) is CasitaSpawner


def test_the_status_page_can_be_started_as_it_says() -> None:
    python, *start = at("hub.services.status.command")[:3]
    assert python == "python3"
    told = subprocess.run(
        [sys.executable, *start, "--help"], capture_output=True, text=True, check=True
    )
    known = set(re.findall(r"--([a-z-]+)", told.stdout))
    assert options().keys() <= known
    assert {"namespace", "hub-name"} <= options().keys()


def test_servers_begin_as_those_of_casitas_own_hub_do() -> None:
    command = at("singleuser.cmd")
    assert f"cmd: [{', '.join(command)}]" in CONFIG.read_text()
    assert find_spec(command[command.index("-m") + 1]) is not None


def test_jupyterhub_takes_the_service() -> None:
    """z2jh adds its name and its token."""
    traits = Service.class_traits(input=True)
    assert set(at("hub.services.status")) <= set(traits)


def test_the_roles_name_scopes_that_there_are() -> None:
    roles = at("hub.loadRoles")
    for role in roles.values():
        assert {scope.partition("!")[0] for scope in role["scopes"]} <= set(scope_definitions)
    assert roles["status"]["services"] == ["status"]
    assert "access:services!service=status" in roles["user"]["scopes"]
    assert "self" in roles["user"]["scopes"], "the role replaces JupyterHub's own"


def test_spawner_and_status_page_speak_of_the_same() -> None:
    traits = at("hub.config.CasitaSpawner")
    assert options()["hub-name"] == traits["hub_name"]
    assert options()["namespace"] == traits["namespace"]
    assert int(options()["idle-seconds"]) == at("cull.timeout")
    assert int(options()["age-seconds"]) == at("cull.maxAge")


def test_what_the_status_page_listens_at_is_in_the_service_of_the_hub() -> None:
    (port,) = at("hub.service.extraPorts")
    assert at("hub.services.status.url").endswith(f":{port['port']}")


def test_the_site_is_mounted_where_the_spawner_reads_it() -> None:
    (volume,), (mount,) = at("hub.extraVolumes"), at("hub.extraVolumeMounts")
    assert mount["name"] == volume["name"]
    assert at("hub.config.CasitaSpawner.site_file") == f"{mount['mountPath']}/site.yaml"


def test_the_hub_has_the_rights_over_servers_that_casitas_own_has() -> None:
    rules = ROLE.read_text().partition("\nrules:\n")[2]
    plain = "\n".join(line for line in rules.splitlines() if "{{" not in line)
    own = [rule for rule in yaml.safe_load(plain) if rule["apiGroups"] == [""]]
    role, binding, policy = yaml.safe_load_all(RIGHTS.read_text())
    assert role["rules"] == own
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    spaces = {found["metadata"]["namespace"] for found in (role, binding, policy)}
    assert spaces == {at("hub.config.CasitaSpawner.namespace")}
