"""Read values.yaml with its comments, beside the schema, as a list of documented values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from tests.chart.helm import CHART

VALUES = CHART / "values.yaml"
SCHEMA = CHART / "values.schema.json"

Schema = dict[str, Any]


@dataclass(frozen=True)
class Value:
    """One value, or one section of values."""

    path: tuple[str, ...]
    default: Any
    comment: str
    """The comment above it, in one line, without its marks."""
    documented: bool
    """Whether the comment starts with ``--``, so that it enters the reference."""
    schema: Schema
    """What the schema says of it; empty if nothing."""
    is_section: bool
    """Whether it only groups others."""

    @property
    def name(self) -> str:
        """The path as Helm's ``--set`` writes it."""
        return ".".join(self.path)


@cache
def schema() -> Schema:
    """The schema that Helm reads."""
    found: Schema = json.loads(SCHEMA.read_text())
    return found


def resolve(found: Schema) -> Schema:
    """Follow a reference into the schema's definitions, and look past a permitted null."""
    if "$ref" in found:
        target = schema()["definitions"][found["$ref"].rpartition("/")[2]]
        return resolve({**target, **{k: v for k, v in found.items() if k != "$ref"}})
    choices = [each for each in found.get("anyOf", ()) if each != {"type": "null"}]
    if len(choices) == 1:
        return resolve({**choices[0], **{k: v for k, v in found.items() if k != "anyOf"}})
    return found


def values() -> list[Value]:
    """All sections and values, in the order of the file."""
    text = VALUES.read_text()
    return list(_walk(yaml.compose(text), text.splitlines(), (), schema()))


def _walk(
    node: yaml.Node | None, lines: list[str], path: tuple[str, ...], within: Schema
) -> Iterator[Value]:
    if not isinstance(node, yaml.MappingNode):
        raise TypeError(f"{'.'.join(path) or VALUES.name}: expected a mapping")
    for key, child in node.value:
        here = (*path, str(key.value))
        known = resolve(_property(within, key.value))
        section = (
            isinstance(child, yaml.MappingNode)
            and bool(child.value)
            and ("properties" in known or isinstance(known.get("additionalProperties"), dict))
        )
        comment = _comment(lines, key.start_mark.line)
        default = yaml.safe_load(yaml.serialize(child))
        yield Value(
            here, default, comment.removeprefix("-- "), comment.startswith("-- "), known, section
        )
        if section:
            yield from _walk(child, lines, here, known)


def _property(within: Schema, name: str) -> Schema:
    found: Schema | None = within.get("properties", {}).get(name)
    if found is None and isinstance(within.get("additionalProperties"), dict):
        found = within["additionalProperties"]
    return found or {}


def _comment(lines: list[str], line: int) -> str:
    """Return the comment lines directly above a line, joined."""
    found: list[str] = []
    for above in reversed(lines[:line]):
        if not above.strip().startswith("#"):
            break
        found.insert(0, above.strip().removeprefix("#").strip())
    return " ".join(found)
