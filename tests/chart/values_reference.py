"""Make docs/reference/values.md of the comments in values.yaml and of the schema.

Run as ``python -m tests.chart.values_reference``; a test fails when the two differ.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.chart.helm import REPOSITORY
from tests.chart.values_file import Schema, Value, resolve, values

TARGET = REPOSITORY / "docs" / "reference" / "values.md"

_HEAD = """\
<!-- Generated from charts/casita/values.yaml and values.schema.yaml by
     `python -m tests.chart.values_reference`; do not edit. -->

# Values of the chart

An unknown value, or one of the wrong type, is refused by Helm before anything is installed. An
empty default with *(derived)* stands for what its description says.
"""


def generate() -> str:
    """Return the text of the page."""
    found = values()
    parts = [value for value in found if len(value.path) == 1]
    pages = [_HEAD, *(_part(part, [v for v in found if v.path[0] == part.name]) for part in parts)]
    return "\n".join(pages)


def _part(part: Value, found: list[Value]) -> str:
    lines = [f"## {part.name}", "", part.comment, "", "| value | type | default | |", "|-|-|-|-|"]
    lines += [
        f"| `{value.name}` | {_type(value.schema)} | {_code(value.default)} | {value.comment} |"
        for value in found
        if not value.is_section
    ]
    for value in found:
        if fields := _fields(value):
            lines += ["", f"### {value.name}", "", *fields]
    return "\n".join(lines) + "\n"


def _fields(value: Value) -> list[str]:
    """Return a table of what an entry, or an object that is empty by default, may have."""
    entry = resolve(value.schema.get("items", value.schema))
    if value.is_section or "properties" not in entry:
        return []
    required = entry.get("required", ())
    return [
        "| field | type | |",
        "|-|-|-|",
        *(
            f"| `{name}`{' (required)' if name in required else ''} | {_type(resolve(each))} "
            f"| {each.get('description', '')} |"
            for name, each in entry["properties"].items()
        ),
    ]


def _type(found: Schema) -> str:
    if "enum" in found:
        return " or ".join(_code(each) for each in found["enum"])
    name: str = found.get("type", "any")
    if name == "array":
        return f"list of {_type(resolve(found.get('items', {})))}"
    bounds = " ".join(_bounds(found))
    return f"{name}, {bounds}" if bounds else name


def _bounds(found: Schema) -> Iterator[str]:
    if "minimum" in found:
        yield f"≥ {found['minimum']}"
    if "maximum" in found:
        yield f"≤ {found['maximum']}"


def _code(value: Any) -> str:
    """Return a value as code that a table's cell can hold."""
    text = value if isinstance(value, str) and value else json.dumps(value)
    return f"`{text}`".replace("|", "\\|")


if __name__ == "__main__":
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(generate())
