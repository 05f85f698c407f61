"""Who may make, change, scale and delete whose session, by the chart's own policies and Roles.

Tried against a real API server on which Helm installed the chart.
"""

import base64
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from casita.credentials.verify import load_certificate
from tests.chart import scenarios
from tests.chart.helm import CHART
from tests.cluster.binaries import binary, module_folder
from tests.cluster.control_plane import ControlPlane
from tests.cluster.errors import ClusterError
from tests.cluster.steps import Steps

SYSTEM, SHARED, ALICES, DOOMED = "casita-system", "casita", "user-alice", "doomed"
HUB = "system:serviceaccount:hub:hub"
VALUES = {
    "global": {"domain": "af.example.org", "sessions": {"namespaces": [SHARED, ALICES, DOOMED]}},
    "operator": {
        "makers": [
            {
                "name": "physicists",
                "subjects": [{"kind": "Group", "name": "physicists"}],
                "profiles": ["default"],
            },
            {
                "name": "teacher",
                "subjects": [{"kind": "User", "name": "carol"}],
                "users": ["alice"],
                "profiles": ["default", "large"],
            },
            {
                "name": "hub",
                "subjects": [{"kind": "ServiceAccount", "name": "hub", "namespace": "hub"}],
                "users": ["*"],
                "profiles": ["*"],
            },
        ],
        "profiles": {"large": {"image": {"repository": "casita/notebook"}}},
    },
}


@dataclass(frozen=True)
class Facility:
    """The chart, installed; and people who use it."""

    plane: ControlPlane
    people: dict[str, Path]

    def kubectl(self, who: str, *arguments: str, stdin: str = "") -> str:
        """Run kubectl as somebody: a person, `admin`, or anybody by impersonation."""
        if who in self.people:
            return self.plane.kubectl(*arguments, stdin=stdin, as_user=self.people[who])
        identity = () if who == "admin" else ("--as", who)
        return self.plane.kubectl(*arguments, *identity, stdin=stdin)

    def make(self, who: str, user: str, namespace: str = SHARED, **spec: Any) -> str:
        """Make a session in a user's name and return its own name."""
        name = f"{user}-{uuid4().hex[:6]}"
        manifest = session(name, user, namespace, **spec)
        self.kubectl(who, "create", "--filename", "-", stdin=manifest)
        return name

    def change(self, who: str, name: str, spec: dict[str, Any], namespace: str = SHARED) -> str:
        """Merge something into a session's spec."""
        patch = yaml.safe_dump({"spec": spec})
        return self.kubectl(
            who, "patch", "asess", name, "-n", namespace, "--type=merge", "--patch", patch
        )

    def scale(self, who: str, name: str, namespace: str = SHARED) -> str:
        """Scale a session."""
        return self.kubectl(who, "scale", "asess", name, "-n", namespace, "--replicas=3")

    def delete(self, who: str, name: str, namespace: str = SHARED) -> str:
        """Delete a session."""
        return self.kubectl(who, "delete", "asess", name, "-n", namespace)


def session(name: str, user: str, namespace: str, **spec: Any) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "casita.dev/v1alpha1",
            "kind": "AnalysisSession",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"user": user, **spec},
        }
    )


def helm(plane: ControlPlane, *arguments: str, stdin: str = "") -> str:
    """Run Helm as admin."""
    done = subprocess.run(
        [str(binary("helm", Steps(quiet=True))), *arguments],
        env={
            **os.environ,
            "KUBECONFIG": str(plane.kubeconfig),
            # Nothing of this machine's own Helm.
            **{f"HELM_{each}_HOME": str(plane.folder) for each in ("CONFIG", "CACHE", "DATA")},
        },
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def facility() -> Iterator[Facility]:
    gateway = module_folder("crds", "sigs.k8s.io/gateway-api") / "config" / "crd" / "standard"
    with ControlPlane(manifests=[gateway]) as plane:
        # There are no nodes to run the hook's Job.
        helm(
            plane,
            *("install", "casita", str(CHART), "--namespace", SYSTEM, "--create-namespace"),
            *("--no-hooks", "--values", "-"),
            stdin=yaml.safe_dump(VALUES),
        )
        plane.kubectl("label", "namespace", ALICES, "casita.dev/user=alice")
        people = {
            name: plane.user_kubeconfig(name, groups)
            for name, groups in {
                "alice": ["physicists"],
                "bob": ["physicists"],
                "carol": [],
                "dave": [],
                "mallory": [],
            }.items()
        }
        found = Facility(plane, people)
        _until_enforced(found)
        yield found


def _until_enforced(facility: Facility) -> None:
    """The API server looks for new policies once a second."""
    deadline = time.monotonic() + 30
    for name in ("session-maker", "session-scale"):
        while time.monotonic() < deadline:
            try:
                if name == "session-maker":
                    made = facility.make("alice", "bob")
                    facility.delete("admin", made)
                else:
                    made = facility.make("alice", "alice")
                    facility.scale("alice", made)
            except ClusterError as error:
                if f"casita-{name}" in str(error):
                    break
        else:
            pytest.fail(f"policy casita-{name} is not enforced")
    facility.kubectl("admin", "delete", "asess", "--all", "-n", SHARED)


@pytest.fixture
def refused() -> Callable[..., str]:
    """Calls something that must be refused, and returns what the user reads."""

    def call(action: Callable[..., str], *arguments: Any, **options: Any) -> str:
        with pytest.raises(ClusterError, match="Forbidden") as caught:
            action(*arguments, **options)
        return str(caught.value)

    return call


Refused = Callable[..., str]


def test_people_make_change_and_delete_their_own_sessions(facility: Facility) -> None:
    name = facility.make("alice", "alice")
    facility.change("alice", name, {"replicas": 3})
    facility.delete("alice", name)


def test_nobody_makes_a_session_in_anothers_name(facility: Facility, refused: Refused) -> None:
    words = refused(facility.make, "alice", "bob")
    assert "alice may not create a session of user bob: set spec.user to your own name" in words
    assert "verb mint on sessionusers/bob (casita.dev) in namespace casita" in words


def test_applying_is_making(facility: Facility, refused: Refused) -> None:
    manifest = session("by-apply", "bob", SHARED)
    refused(facility.kubectl, "alice", "apply", "--server-side", "--filename", "-", stdin=manifest)


def test_nobody_touches_anothers_session(facility: Facility, refused: Refused) -> None:
    name = facility.make("bob", "bob")
    words = refused(facility.change, "alice", name, {"replicas": 3})
    assert "alice may not update a session of user bob: ask an admin" in words
    refused(facility.kubectl, "alice", "label", "asess", name, "-n", SHARED, "a=b")
    words = refused(facility.delete, "alice", name)
    assert "alice may not delete a session of user bob: ask an admin" in words
    refused(facility.kubectl, "alice", "delete", "asess", "--all", "-n", SHARED)
    facility.delete("bob", name)


def test_a_session_cannot_be_given_away(facility: Facility) -> None:
    name = facility.make("alice", "alice")
    with pytest.raises(ClusterError, match="user cannot be changed"):
        facility.change("alice", name, {"user": "bob"})


def test_a_session_cannot_be_taken(facility: Facility) -> None:
    name = facility.make("bob", "bob")
    with pytest.raises(ClusterError, match="user cannot be changed"):
        facility.change("alice", name, {"user": "alice"})


def test_the_hub_acts_for_everybody(facility: Facility) -> None:
    for user in ("alice", "bob"):
        name = facility.make(HUB, user, profile="large")
        facility.change(HUB, name, {"replicas": 1})
        facility.scale(HUB, name)
        facility.delete(HUB, name)


def test_admins_act_for_everybody(facility: Facility) -> None:
    name = facility.make("admin", "bob", profile="large")
    facility.scale("admin", name)
    facility.delete("admin", name)


def test_who_may_mint_one_user_may_mint_no_other(facility: Facility, refused: Refused) -> None:
    facility.delete("carol", facility.make("carol", "alice"))
    refused(facility.make, "carol", "bob")


def test_who_has_no_rights_is_refused_by_kubernetes_itself(
    facility: Facility, refused: Refused
) -> None:
    assert 'User "mallory" cannot create' in refused(facility.make, "mallory", "mallory")


def test_a_profile_is_for_those_who_may_use_it(facility: Facility, refused: Refused) -> None:
    words = refused(facility.make, "alice", "alice", profile="large")
    assert "alice may not use profile large: set spec.profile to one that you may use" in words
    facility.make("alice", "alice", profile="default")
    name = facility.make("alice", "alice")
    refused(facility.change, "alice", name, {"profile": "large"})


def test_no_profile_is_the_default_one(facility: Facility, refused: Refused) -> None:
    rights = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "large-only", "namespace": SHARED},
        "rules": [
            {
                "apiGroups": ["casita.dev"],
                "resources": ["sessionprofiles"],
                "resourceNames": ["large"],
                "verbs": ["use"],
            }
        ],
    }
    facility.kubectl("admin", "create", "--filename", "-", stdin=yaml.safe_dump(rights))
    for kind, role in (("role", "large-only"), ("clusterrole", "casita-session-user")):
        facility.kubectl(
            *("admin", "create", "rolebinding", f"dave-{role}", "-n", SHARED),
            *("--user=dave", f"--{kind}={role}"),
        )
    facility.delete("dave", facility.make("dave", "dave", profile="large"))
    assert "profile default" in refused(facility.make, "dave", "dave")


def test_a_lost_right_to_a_profile_does_not_block_stopping(facility: Facility) -> None:
    name = facility.make(HUB, "alice", profile="large")
    facility.change("alice", name, {"lifecycle": "Stopped"})
    facility.delete("alice", name)


def test_scaling_is_for_those_who_act_for_all(facility: Facility, refused: Refused) -> None:
    name = facility.make("alice", "alice")
    words = refused(facility.scale, "alice", name)
    assert "change spec.replicas of your own session instead" in words
    refused(facility.scale, "bob", name)
    refused(facility.scale, "carol", name)


def test_in_a_users_own_namespace_that_user_scales(facility: Facility, refused: Refused) -> None:
    name = facility.make("alice", "alice", ALICES)
    facility.scale("alice", name, ALICES)
    refused(facility.scale, "bob", name, ALICES)


def test_status_is_not_for_users(facility: Facility, refused: Refused) -> None:
    name = facility.make("alice", "alice")
    refused(
        *(facility.kubectl, "alice", "patch", "asess", name, "-n", SHARED, "--subresource=status"),
        *("--type=merge", "--patch", "status: {replicas: 5}"),
    )


def test_the_operator_writes_status_and_nothing_else(facility: Facility, refused: Refused) -> None:
    operator = f"system:serviceaccount:{SYSTEM}:casita-operator"
    name = facility.make("alice", "alice")
    status = yaml.safe_load(session(name, "alice", SHARED)) | {"status": {"observedGeneration": 1}}
    facility.kubectl(
        *(operator, "apply", "--server-side", "--subresource=status", "--validate=false"),
        *("--filename", "-"),
        stdin=yaml.safe_dump(status),
    )
    written = facility.kubectl("alice", "get", "asess", name, "-n", SHARED, "-o", "yaml")
    assert yaml.safe_load(written)["status"]["observedGeneration"] == 1
    refused(facility.change, operator, name, {"replicas": 1})
    refused(facility.kubectl, operator, "get", "secrets", "-n", SYSTEM)
    refused(facility.kubectl, operator, "get", "namespaces")


def test_the_gateway_reads_sessions_and_not_the_release(
    facility: Facility, refused: Refused
) -> None:
    gateway = "system:serviceaccount:casita-gateway:casita-gateway"
    facility.kubectl(gateway, "get", "services,endpointslices,tlsroutes", "-n", SHARED)
    refused(facility.kubectl, gateway, "get", "secrets", "-n", SYSTEM)
    refused(facility.kubectl, gateway, "get", "secrets", "--all-namespaces")


FILES = {
    "system-authority": {"tls.crt", "tls.key"},
    "root-key": {"key"},
    "idtoken-key": {"key"},
    "macaroon-key": {"key"},
    "xcache-tls": {"tls.crt", "tls.key", "ca.pem"},
}
"""What the hook makes, and the files in it."""


def test_the_hook_makes_the_systems_secrets_once(facility: Facility) -> None:
    """With no more rights than the chart gives it."""
    chart = scenarios.rendered("own-batch-and-cache")
    objects = [*chart.of_kind("ServiceAccount", "Role", "RoleBinding"), *chart.of_kind("Job")]
    hooks = [found for found in objects if found["metadata"]["name"] == "casita-prepare"]
    *rights, job = hooks
    facility.kubectl("admin", "apply", "--filename", "-", stdin=yaml.safe_dump_all(rights))
    token = facility.kubectl("admin", "create", "token", "casita-prepare", "-n", SYSTEM).strip()
    account = facility.plane.folder / "prepare.kubeconfig"
    account.write_text(yaml.safe_dump(_by_token(facility.plane, token)))
    arguments = job["spec"]["template"]["spec"]["containers"][0]["args"]

    def prepare() -> dict[str, Any]:
        subprocess.run(
            [sys.executable, "-m", "casita.operator.cli", *arguments],
            env={**os.environ, "KUBECONFIG": str(account)},
            check=True,
        )
        names = [f"casita-{name}" for name in FILES]
        found = facility.kubectl("admin", "get", "secrets", *names, "-n", SYSTEM, "-o", "yaml")
        return {each["metadata"]["name"]: each["data"] for each in yaml.safe_load(found)["items"]}

    made = prepare()
    assert {name.removeprefix("casita-"): set(files) for name, files in made.items()} == FILES
    assert base64.b64decode(made["casita-macaroon-key"]["key"]).endswith(b"\n")
    authority, leaf = (
        base64.b64decode(made[f"casita-{name}"]["tls.crt"])
        for name in ("system-authority", "xcache-tls")
    )
    assert base64.b64decode(made["casita-xcache-tls"]["ca.pem"]) == authority
    load_certificate(leaf).verify_directly_issued_by(load_certificate(authority))
    assert prepare() == made


def _by_token(plane: ControlPlane, token: str) -> dict[str, Any]:
    """A kubeconfig of a service account."""
    config: dict[str, Any] = yaml.safe_load(plane.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    return config


def test_pods_of_the_chart_pass_the_restricted_standard(facility: Facility) -> None:
    for kind, name, namespace in (
        ("deployment", "casita-operator", SYSTEM),
        ("deployment", "casita-gateway", "casita-gateway"),
    ):
        found = yaml.safe_load(
            facility.kubectl("admin", "get", kind, name, "-n", namespace, "-o", "yaml")
        )
        account = found["spec"]["template"]["spec"]["serviceAccountName"]
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": SHARED},
            "spec": {**found["spec"]["template"]["spec"], "serviceAccountName": "default"},
        }
        assert account.startswith("casita-")
        facility.kubectl(
            *("admin", "create", "--dry-run=server", "--filename", "-"), stdin=yaml.safe_dump(pod)
        )


@pytest.mark.parametrize("scenario", scenarios.NAMES)
def test_every_object_of_the_chart_is_accepted(facility: Facility, scenario: str) -> None:
    """By the schemas of the API server and of the Gateway API, and by every admission rule."""
    objects = [
        found
        for found in scenarios.rendered(scenario).objects
        if found["kind"] not in {"Namespace", "PrometheusRule", "ScaledObject", "ServiceMonitor"}
    ]
    namespaces = {found["metadata"].get("namespace") for found in objects} - {None}
    facility.kubectl(
        *("admin", "apply", "--server-side", "--filename", "-"),
        stdin=yaml.safe_dump_all(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            for name in namespaces
        ),
    )
    facility.kubectl(
        *("admin", "apply", "--server-side", "--dry-run=server", "--force-conflicts"),
        *("--validate=strict", "--filename", "-"),
        stdin=yaml.safe_dump_all(objects),
    )


def test_policies_have_no_type_errors(facility: Facility) -> None:
    found = yaml.safe_load(
        facility.kubectl("admin", "get", "validatingadmissionpolicies", "-o", "yaml")
    )
    for policy in found["items"]:
        assert "expressionWarnings" not in policy["status"].get("typeChecking", {})


def test_a_namespace_goes_with_everybodys_sessions(facility: Facility) -> None:
    facility.make("admin", "bob", DOOMED)
    facility.kubectl("admin", "delete", "namespace", DOOMED, "--timeout=60s")


def test_uninstalling_keeps_the_sessions(facility: Facility) -> None:
    values = {
        "global": {"sessions": {"namespaces": ["second"]}},
        "operator": {"crds": {"install": False}},
    }
    where = ("second", "--namespace", "second-system", "--no-hooks")
    arguments = ("--create-namespace", "--values", "-")
    helm(facility.plane, "install", *where, str(CHART), *arguments, stdin=yaml.safe_dump(values))
    name = facility.make("admin", "alice", "second")
    helm(facility.plane, "uninstall", *where)
    assert name in facility.kubectl("admin", "get", "asess", "-n", "second")
