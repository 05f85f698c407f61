"""Make values.schema.json, which Helm reads, of values.schema.yaml, which people write.

Run as ``python -m tests.chart.values_schema``; a test fails when the two differ.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter

from tests.chart.helm import CHART

SOURCE = CHART / "values.schema.yaml"
TARGET = CHART / "values.schema.json"

PARTS = tuple(
    each["name"] for each in yaml.safe_load((CHART / "Chart.yaml").read_text())["dependencies"]
)
"""The chart's parts."""

Schema = dict[str, Any]

_OURS = ("x-model", "x-partial")
_DROPPED = ("title", "default", "x-kubernetes-validations")
"""Keywords of Python models' schemas that say nothing to Helm."""


def generate(source: Path = SOURCE) -> str:
    """Return the text of values.schema.json."""
    schema = _closed(yaml.safe_load(source.read_text()))
    for part in PARTS:
        # Helm copies `global` into the values of each part before it looks at the schema.
        schema["properties"][part]["properties"]["global"] = {"type": "object"}
    return json.dumps(schema, indent=2) + "\n"


def _closed(schema: Any) -> Any:
    """Close each object that lists properties, and put the schemas of models in place."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "x-model" in schema:
        return _of_type(schema["x-model"])
    found = {key: _closed(value) for key, value in schema.items() if key not in _OURS}
    if found.get("type") == "object" and "properties" in found:
        found["additionalProperties"] = False
        if not schema.get("x-partial"):
            found["required"] = list(found["properties"])
    return found


def _of_type(path: str) -> Schema:
    """Return the JSON schema of a Python type, without references.

    Args:
        path: ``module:attribute``, or ``module:model#field``.
    """
    where, _, field = path.partition("#")
    module, _, attribute = where.partition(":")
    schema = TypeAdapter(getattr(import_module(module), attribute)).json_schema(by_alias=True)
    definitions = schema.get("$defs", {})
    found: Schema = _inlined(schema["properties"][field] if field else schema, definitions)
    found.pop("description", None)
    return found


def _inlined(schema: Any, definitions: Mapping[str, Schema]) -> Any:
    if isinstance(schema, list):
        return [_inlined(each, definitions) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        target = dict(definitions[schema["$ref"].rpartition("/")[2]])
        target.pop("description", None)  # its class's docstring; the field's own says more
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        return _inlined({**target, **rest}, definitions)
    found: Schema = {}
    for key, value in schema.items():
        if key == "properties":
            found[key] = {name: _inlined(each, definitions) for name, each in value.items()}
        elif key not in (*_DROPPED, "$defs"):
            found[key] = _inlined(value, definitions)
    if "patternProperties" in found:
        found["additionalProperties"] = False
    return found


if __name__ == "__main__":
    TARGET.write_text(generate())
