"""The reference page of the AnalysisSession, generated from the CRD and the tables of reasons.

``python -m casita.api.reference`` prints it; ``--write FILE`` and ``--check FILE`` keep
``docs/reference/analysissession.md`` up to date.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from casita.api.conditions import DESCRIPTIONS, REASONS
from casita.api.crd import COLUMNS, SHORT_NAME, crd
from casita.api.generated import run_generator
from casita.api.names import API_VERSION, KIND, PLURAL

_INTRODUCTION: Final = f"""\
<!-- Generated from operator/casita/api by `python -m casita.api.reference`; do not edit. -->
# {KIND}

`apiVersion: {API_VERSION}`, `kind: {KIND}`; plural `{PLURAL}`, short name `{SHORT_NAME}`;
namespaced. `kubectl explain {SHORT_NAME}.spec` tells the same as this page.

```yaml
apiVersion: {API_VERSION}
kind: {KIND}
metadata:
  name: alice
  namespace: casita
spec:
  user: alice
  scaling:
    mode: Manual
  replicas: 2
  workers:
  - pool: local
    max: 8
```

```console
$ kubectl wait --for=condition=Ready {SHORT_NAME}/alice
$ kubectl scale {SHORT_NAME}/alice --replicas=4
$ kubectl get {SHORT_NAME} --field-selector spec.user=alice --output wide
```
"""
_RANGES: Final = (
    ("minimum", "maximum", ""),
    ("minLength", "maxLength", " characters"),
    ("minItems", "maxItems", " entries"),
)


def render() -> str:
    """Return the page as Markdown."""
    properties = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    sections = [
        _INTRODUCTION,
        "## spec\n\nWhat is asked for.\n",
        _fields(properties["spec"], "spec"),
        "### Rules\n\nWhat the API server refuses besides.\n",
        _table(("field", "rule", "refusal"), _rules(properties["spec"], "spec")),
        "## status\n\nWhat was seen; the operator is its only writer.\n",
        _fields(properties["status"], "status"),
        "## Conditions\n\nA condition that is not yet known is `Unknown`.\n",
        _table(("type", "meaning"), ((f"`{kind}`", text) for kind, text in DESCRIPTIONS.items())),
        "## Reasons\n\nThe `reason` of a condition, and of the events beside it.\n",
        _table(("reason", "meaning"), ((f"`{word}`", text) for word, text in REASONS.items())),
        "## Columns\n\nWhat `kubectl get` shows; the last column tells which need `-o wide`.\n",
        _table(("column", "from", "meaning", "wide"), _columns()),
    ]
    return "\n".join(sections)


def _fields(schema: dict[str, Any], path: str) -> str:
    rows = (
        (
            f"`{name}`",
            _kind(field),
            _default(field, required=required),
            _bounds(field),
            _meaning(field),
        )
        for name, field, required in _walk(schema, path)
    )
    return _table(("field", "type", "default", "bounds", "meaning"), rows)


def _walk(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any], bool]]:
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        here = f"{path}.{name}"
        yield here, field, name in required
        yield from _walk(field, here)
        yield from _walk(field.get("items", {}), f"{here}[]")


def _rules(schema: dict[str, Any], path: str) -> Iterator[tuple[str, str, str]]:
    for rule in schema.get("x-kubernetes-validations", ()):
        yield f"`{path}`", f"`{rule['rule']}`", rule["message"]
    for name, field in schema.get("properties", {}).items():
        yield from _rules(field, f"{path}.{name}")
    if "items" in schema:
        yield from _rules(schema["items"], f"{path}[]")


def _columns() -> Iterator[tuple[str, str, str, str]]:
    for column in COLUMNS:
        wide = "yes" if column.get("priority") else ""
        yield column["name"], f"`{column['jsonPath']}`", column["description"], wide


def _kind(field: dict[str, Any]) -> str:
    if field["type"] == "array":
        keys = ", ".join(field.get("x-kubernetes-list-map-keys", ()))
        return f"list of {field['items']['type']}s" + (f" by {keys}" if keys else "")
    if field.get("format") == "date-time":
        return "time"
    return str(field["type"])


def _default(field: dict[str, Any], *, required: bool) -> str:
    if required:
        return "required"
    default = field.get("default")
    return "" if default is None else f"`{json.dumps(default)}`"


def _bounds(field: dict[str, Any]) -> str:
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    parts = [_range(field.get(low), field.get(high), unit) for low, high, unit in _RANGES]
    if "pattern" in field:
        parts.append(f"`{field['pattern']}`")
    return "; ".join(part for part in parts if part)


def _range(low: int | None, high: int | None, unit: str) -> str:
    if low is None:
        return "" if high is None else f"at most {high}{unit}"
    return f"at least {low}{unit}" if high is None else f"{low} to {high}{unit}"


def _meaning(field: dict[str, Any]) -> str:
    # What follows the first line is a list of conditions or reasons, which have their own tables.
    first, *others = field["description"].splitlines()
    return f"{first.rstrip(':')}; see below." if others else str(first)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    escaped = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in escaped)


if __name__ == "__main__":
    sys.exit(run_generator("Print the reference page of the AnalysisSession.", render()))
