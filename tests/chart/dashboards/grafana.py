"""What a dashboard of Grafana 11 is made of, as far as casita's need it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from string import ascii_uppercase
from typing import Any, Final

Json = dict[str, Any]

SCHEMA_VERSION: Final = 39
WIDTH: Final = 24
"""Columns of a dashboard's grid."""
SOURCE: Final[Json] = {"type": "prometheus", "uid": "${datasource}"}
"""Whichever Prometheus is chosen at the top."""

GREEN, ORANGE, RED = "green", "orange", "red"
YES_OR_NO: Final = ({"type": "value", "options": {"0": {"text": "no"}, "1": {"text": "yes"}}},)


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        title: what it shows.
        description: how to read it, in plain words.
        queries: PromQL, by the legend of its series (Grafana's ``{{label}}``).
        kind: Grafana's type of panel.
        unit: Grafana's name of the unit.
        steps: colours by the value from which on they hold; the first is for all below.
        stacked: whether series stand on each other.
    """

    title: str
    description: str
    queries: Mapping[str, str]
    kind: str = "timeseries"
    unit: str = "short"
    width: int = 8
    height: int = 7
    steps: Sequence[tuple[str, float]] = ()
    base: str = GREEN
    minimum: float | None = None
    maximum: float | None = None
    mappings: Sequence[Json] = ()
    stacked: bool = False


def stat(title: str, description: str, query: str, **more: Any) -> Panel:
    """Return one figure, or one for each series."""
    legend = more.pop("legend", "")
    size = {"width": 4, "height": 4}
    return Panel(title, description, {legend: query}, kind="stat", **{**size, **more})


def table(title: str, description: str, query: str, **more: Any) -> Panel:
    """Return the labels and the value of each series, as they are now."""
    return Panel(title, description, {"": query}, kind="table", **more)


@dataclass(frozen=True)
class Variable:
    """A choice at the top of a dashboard: values of a label."""

    name: str
    title: str
    metric: str
    label: str
    everything: bool = False
    """Whether all of them may be chosen at once."""


@dataclass(frozen=True)
class Dashboard:
    """One dashboard; rows of panels by their titles."""

    name: str
    title: str
    description: str
    rows: Mapping[str, Sequence[Panel]]
    variables: Sequence[Variable] = field(default=())

    @property
    def queries(self) -> list[str]:
        """All PromQL of it."""
        panels = [panel for row in self.rows.values() for panel in row]
        return [query for panel in panels for query in panel.queries.values()]

    def render(self) -> Json:
        """Return it as Grafana takes it."""
        return {
            "uid": f"casita-{self.name}",
            "title": self.title,
            "description": self.description,
            "tags": ["casita"],
            "schemaVersion": SCHEMA_VERSION,
            "version": 1,
            "editable": True,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": "now-3h", "to": "now"},
            "timezone": "",
            "annotations": {"list": []},
            "links": [_links()],
            "templating": {"list": [_source(), *map(_variable, self.variables)]},
            "panels": list(_panels(self.rows)),
        }


def _panels(rows: Mapping[str, Sequence[Panel]]) -> Iterable[Json]:
    numbers = count(1)
    top = 0
    for title, panels in rows.items():
        place = {"x": 0, "y": top, "w": WIDTH, "h": 1}
        yield {
            "id": next(numbers),
            "type": "row",
            "title": title,
            "collapsed": False,
            "panels": [],
            "gridPos": place,
        }
        top += 1
        left = tallest = 0
        for panel in panels:
            if left + panel.width > WIDTH:
                top, left, tallest = top + tallest, 0, 0
            place = {"x": left, "y": top, "w": panel.width, "h": panel.height}
            yield {"id": next(numbers), "gridPos": place, **_panel(panel)}
            left, tallest = left + panel.width, max(tallest, panel.height)
        top += tallest


def _panel(panel: Panel) -> Json:
    now = panel.kind == "table"
    steps: list[Json] = [{"color": panel.base, "value": None}]
    steps += [{"color": color, "value": value} for color, value in panel.steps]
    defaults: Json = {
        "unit": panel.unit,
        "thresholds": {"mode": "absolute", "steps": steps},
        "mappings": list(panel.mappings),
        "custom": _custom(panel),
    }
    if panel.kind == "timeseries":
        defaults["color"] = {"mode": "palette-classic"}
    bounds = {"min": panel.minimum, "max": panel.maximum}
    defaults |= {name: bound for name, bound in bounds.items() if bound is not None}
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "targets": [
            {
                "refId": letter,
                "datasource": SOURCE,
                "expr": query,
                "legendFormat": legend or "__auto",
                "instant": now,
                "range": not now,
                "format": "table" if now else "time_series",
            }
            for letter, (legend, query) in zip(ascii_uppercase, panel.queries.items(), strict=False)
        ],
        "fieldConfig": {"defaults": defaults, "overrides": []},
        **_options(panel.kind),
    }


def _custom(panel: Panel) -> Json:
    if panel.kind != "timeseries":
        return {}
    shown = {"mode": "line" if panel.steps else "off"}
    stacking = {"mode": "normal" if panel.stacked else "none", "group": "A"}
    return {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 30 if panel.stacked else 5,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": stacking,
        "thresholdsStyle": shown,
    }


def _options(kind: str) -> Json:
    last = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    if kind == "timeseries":
        legend = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}
        return {"options": {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}}
    if kind == "table":
        hidden = {"id": "organize", "options": {"excludeByName": {"Time": True}}}
        return {"options": {"showHeader": True}, "transformations": [hidden]}
    if kind == "stat":
        shown = {"colorMode": "value", "graphMode": "area", "textMode": "auto"}
        return {"options": {"reduceOptions": last, **shown}}
    return {"options": {"reduceOptions": last}}


def _source() -> Json:
    return {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
    }


def _variable(variable: Variable) -> Json:
    query = f"label_values({variable.metric}, {variable.label})"
    found: Json = {
        "name": variable.name,
        "label": variable.title,
        "type": "query",
        "datasource": SOURCE,
        # 1 is Grafana's number for values of a label.
        "query": {"qryType": 1, "query": query, "refId": variable.name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": variable.everything,
        "includeAll": variable.everything,
    }
    return found | ({"allValue": ".+"} if variable.everything else {})


def _links() -> Json:
    return {
        "title": "casita",
        "type": "dashboards",
        "tags": ["casita"],
        "asDropdown": True,
        "includeVars": False,
        "keepTime": True,
        "targetBlank": False,
        "icon": "external link",
        "tooltip": "",
        "url": "",
    }
