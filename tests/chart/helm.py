"""The one place that calls Helm: render a chart's templates, without a cluster or a helm binary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from helm_python.chart import Chart, lint
from helm_python.errors import HelmError

REPOSITORY = Path(__file__).resolve().parents[2]
CHART = REPOSITORY / "charts" / "casita"
RELEASE = "casita"
NAMESPACE = "casita-system"

_LINT_WARNING = 2

Object = dict[str, Any]
"""A Kubernetes object as plain data."""


class _Loader(yaml.SafeLoader):
    """Refuses a key that is written twice, of which the second would silently win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping of keys that are all different."""
        found = super().construct_mapping(node, deep)
        if len(found) != len(node.value):
            keys = [key.value for key, _ in node.value]
            raise ChartError(f"{node.start_mark}: a key is written twice, of {keys}")
        return found


class ChartError(Exception):
    """Helm refused the values or could not render; the message has its words."""


@dataclass(frozen=True)
class Rendered:
    """What `helm template` would print, hooks and tests included, and what `helm install` says."""

    texts: Mapping[str, str]
    """Rendered text of each template that is not empty, by path inside the chart."""

    @cached_property
    def objects(self) -> tuple[Object, ...]:
        """All objects, in the order of their templates' paths."""
        return tuple(
            found
            for path, text in sorted(self.texts.items())
            if path.endswith(".yaml")
            for found in yaml.load_all(text, Loader=_Loader)
            if found
        )

    @property
    def notes(self) -> str:
        """The text that is shown after an installation."""
        return next(text for path, text in self.texts.items() if path.endswith("NOTES.txt"))

    def of_kind(self, *kinds: str) -> list[Object]:
        """All objects of these kinds."""
        return [found for found in self.objects if found["kind"] in kinds]

    def one(self, kind: str, name: str, namespace: str | None = None) -> Object:
        """The object of this kind and name.

        Raises:
            LookupError: there is none or more than one; the message has the names that there are.
        """
        found = [
            each
            for each in self.of_kind(kind)
            if each["metadata"]["name"] == name
            and (namespace is None or each["metadata"].get("namespace") == namespace)
        ]
        if len(found) != 1:
            names = [identity(each) for each in self.of_kind(kind)]
            raise LookupError(f"{len(found)} of {kind} {namespace or ''}/{name}; there are {names}")
        return found[0]

    def pods(self) -> Iterator[tuple[Object, Object]]:
        """Each object that makes pods, with its pod (metadata and spec)."""
        for each in self.objects:
            if each["kind"] == "Pod":
                yield each, each
            elif "template" in (each.get("spec") or {}):
                yield each, each["spec"]["template"]


def identity(found: Object) -> str:
    """Kind, namespace and name of an object, for messages."""
    metadata = found["metadata"]
    return f"{found['kind']} {metadata.get('namespace', '')}/{metadata['name']}"


def render(
    values: Mapping[str, Any] | None = None,
    *,
    release: str = RELEASE,
    namespace: str = NAMESPACE,
    upgrade: bool = False,
) -> Rendered:
    """Render the chart, as for an installation or for a later upgrade.

    Raises:
        ChartError: the values break the schema, do not fit together, or a template fails.
    """
    try:
        with Chart.load(CHART) as chart:
            texts = chart.render(
                dict(values or {}),
                name=release,
                namespace=namespace,
                revision=2 if upgrade else 1,
                is_install=not upgrade,
                is_upgrade=upgrade,
            )
    except HelmError as error:
        raise ChartError(str(error)) from error
    return Rendered({path: text for path, text in texts.items() if text.strip()})


def lint_messages(values: Mapping[str, Any] | None = None) -> list[str]:
    """Warnings and errors of `helm lint --with-subcharts`."""
    report = lint(CHART, dict(values or {}), with_subcharts=True)
    return [
        f"{message['path']}: {message['error']}"
        for message in report["messages"]
        if message["severity"] >= _LINT_WARNING
    ]
