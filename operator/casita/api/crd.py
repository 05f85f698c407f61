"""The CustomResourceDefinition, generated from the models.

``python -m casita.api.crd`` prints it; ``--write FILE`` and ``--check FILE`` keep the chart's copy
(``charts/casita/charts/operator/files/analysissession-crd.yaml``) up to date.
"""

import json
import sys
from typing import Any, Final

import yaml

from casita.api.generated import run_generator
from casita.api.names import GROUP, KIND, PLURAL, VERSION
from casita.api.schema import structural_schema
from casita.api.session import SessionSpec
from casita.api.status import SessionStatus

SHORT_NAME: Final = "asess"
CATEGORY: Final = "casita"

_DESCRIPTION: Final = (
    "An analysis session: one user's private Dask cluster, with its certificates, its scheduler, "
    "the route that leads to it, and its workers."
)
_API_VERSION: Final = "Version of the schema that this object follows."
_KIND: Final = "Kind of the object."
_HEADER: Final = (
    "# Generated from operator/casita/api by `python -m casita.api.crd`; do not edit.\n"
)


def _ready(field: str) -> str:
    return f'.status.conditions[?(@.type=="Ready")].{field}'


def _column(
    name: str, path: str, description: str, *, kind: str = "string", wide: bool = False
) -> dict[str, Any]:
    column = {"name": name, "type": kind, "jsonPath": path, "description": description}
    return {**column, "priority": 1} if wide else column


# Expires is text: the API server prints a date column as the time since then, and "<invalid>" for
# every time to come (apimachinery, pkg/util/duration).
COLUMNS: Final = (
    _column("User", ".spec.user", "Whose session it is."),
    _column("Ready", _ready("status"), "Whether a client can connect."),
    _column("Reason", _ready("reason"), "Why it is ready or not."),
    _column("Workers", ".status.replicas", "Workers that are ready.", kind="integer"),
    _column("Scheduler", ".status.scheduler.address", "Address in the cluster.", wide=True),
    _column(
        "Expires",
        '.status.credentials[?(@.name=="authority")].notAfter',
        "When the session's authority expires, UTC.",
        wide=True,
    ),
    _column("Age", ".metadata.creationTimestamp", "Time since the object was made.", kind="date"),
)


def crd() -> dict[str, Any]:
    """Return the definition as a plain object."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": [SHORT_NAME],
                "categories": [CATEGORY],
            },
            "versions": [_version()],
        },
    }


def _version() -> dict[str, Any]:
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "selectableFields": [{"jsonPath": ".spec.user"}],
        "additionalPrinterColumns": [dict(column) for column in COLUMNS],
        "schema": {"openAPIV3Schema": _schema()},
    }


def _schema() -> dict[str, Any]:
    return {
        "description": _DESCRIPTION,
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"description": _API_VERSION, "type": "string"},
            "kind": {"description": _KIND, "type": "string"},
            "metadata": {"type": "object"},
            "spec": structural_schema(SessionSpec, defaults=True),
            "status": structural_schema(SessionStatus, defaults=False),
        },
    }


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as it reads."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def render() -> str:
    """Return the definition as YAML."""
    # By way of JSON, so that no two nodes are one object, which YAML would write as an anchor.
    separate = json.loads(json.dumps(crd()))
    return _HEADER + yaml.dump(separate, Dumper=_Dumper, sort_keys=False, width=96)


if __name__ == "__main__":
    sys.exit(run_generator("Print the CustomResourceDefinition.", render()))
