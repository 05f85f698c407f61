"""Hold objects of other projects' kinds against the schemas that their CRDs have.

The CRDs are those of Go modules that are pinned under tests/cluster/go. Their CEL rules are an API
server's to check.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from tests.chart.helm import Object, identity
from tests.cluster.binaries import module_folder

_Schema = dict[str, Any]

_MODULES = {
    "cert-manager.io": ("neighbours", "github.com/cert-manager/cert-manager", "deploy/crds"),
    "gateway.networking.k8s.io": ("crds", "sigs.k8s.io/gateway-api", "config/crd/standard"),
    "keda.sh": ("keda", "github.com/kedacore/keda/v2", "config/crd/bases"),
    "monitoring.coreos.com": (
        "neighbours",
        "github.com/prometheus-operator/prometheus-operator",
        "example/prometheus-operator-crd",
    ),
    "traefik.io": (
        "traefik",
        "github.com/traefik/traefik/v3",
        "docs/content/reference/dynamic-configuration",
    ),
}
"""By API group: what pins the module, the module, and the folder of CRDs in it."""


class SchemaError(Exception):
    """An object is not what the schema of its kind asks for; the message says where."""


def known(found: Object) -> bool:
    """Say whether the object's API group is one whose CRDs are at hand."""
    return found["apiVersion"].partition("/")[0] in _MODULES


def validate(found: Object) -> None:
    """Hold an object against the schema of its kind; fields that it does not have are refused.

    Raises:
        LookupError: no CRD serves this kind at this version.
        SchemaError: the object breaks the schema.
    """
    errors = [
        f"{'.'.join(map(str, error.absolute_path)) or 'the object'}: {error.message}"
        for error in _validator(found["apiVersion"], found["kind"]).iter_errors(found)
    ]
    if errors:
        raise SchemaError(f"{identity(found)}: {'; '.join(errors)}")


@cache
def _validator(api_version: str, kind: str) -> Draft202012Validator:
    group, _, version = api_version.partition("/")
    for crd in _definitions(group, kind):
        for each in crd["spec"]["versions"]:
            if each["served"] and each["name"] == version:
                schema = _closed(each["schema"]["openAPIV3Schema"])
                schema["properties"]["metadata"] = {}
                return Draft202012Validator(schema)
    raise LookupError(f"no CRD serves {kind} of {api_version}")


def _definitions(group: str, kind: str) -> list[_Schema]:
    """Return the CRDs of a kind: files are named by the group and the kind's plural."""
    if group not in _MODULES:
        return []
    *pinned, inside = _MODULES[group]
    paths = (module_folder(*pinned) / inside).glob(f"{group}_{kind.lower()}*.yaml")
    crds = [_read(path) for path in sorted(paths)]
    return [crd for crd in crds if crd["spec"]["names"]["kind"] == kind]


def _read(path: Path) -> _Schema:
    found: _Schema = yaml.safe_load(path.read_text())
    return found


def _closed(schema: Any) -> Any:
    """Return a schema that refuses the fields which it does not name; an API server drops them."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {
        # Names of fields are no words of the schema language.
        key: {name: _closed(each) for name, each in value.items()}
        if key == "properties"
        else _closed(value)
        for key, value in schema.items()
    }
    if "properties" in found and not found.get("x-kubernetes-preserve-unknown-fields"):
        found.setdefault("additionalProperties", False)
    if found.get("nullable") and "type" in found:
        found["type"] = [found["type"], "null"]
    return found
