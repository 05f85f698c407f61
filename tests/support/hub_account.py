"""The hub's service account on a control plane, with the rights that the chart gives it."""

from pathlib import Path
from typing import Final

import yaml

from tests.chart.helm import render
from tests.cluster.control_plane import ControlPlane
from tests.support.bed import Bed
from tests.support.cluster import Json

VALUES: Final[Json] = {
    "global": {"hub": {"enabled": True}},
    "traefik": {"tls": {"secretName": "hub-tls"}},
    "jupyterhub": {
        "enabled": True,
        "hub": {"config": {"JupyterHub": {"authenticator_class": "dummy"}}},
        "singleuser": {"storage": {"type": "none"}},
    },
}


def make_account(plane: ControlPlane, bed: Bed, folder: Path) -> Path:
    """Make the account and its Role in a namespace; return a kubeconfig of its own."""
    where = {"namespace": bed.namespace}
    rules = render(VALUES).one("Role", "casita-hub", "casita")["rules"]
    group = "rbac.authorization.k8s.io"
    name = {"metadata": {"name": "casita-hub", **where}}
    bed.cluster.create({"apiVersion": "v1", "kind": "ServiceAccount", **name})
    bed.cluster.create({"apiVersion": f"{group}/v1", "kind": "Role", **name, "rules": rules})
    bed.cluster.create(
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            **name,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "casita-hub"},
            "subjects": [{"kind": "ServiceAccount", "name": "casita-hub", **where}],
        }
    )
    token = plane.kubectl("create", "token", "casita-hub", "-n", bed.namespace).strip()
    server = {"server": plane.url, "certificate-authority": str(plane.ca_file)}
    file = folder / "kubeconfig"
    file.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "plane", "cluster": server}],
                "users": [{"name": "hub", "user": {"token": token}}],
                "contexts": [{"name": "hub", "context": {"cluster": "plane", "user": "hub"}}],
                "current-context": "hub",
            }
        )
    )
    return file
