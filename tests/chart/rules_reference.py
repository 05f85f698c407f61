"""Make docs/reference/rules.md of the rules, and of the metrics of others that are used.

Run as ``python -m tests.chart.rules_reference``; a test fails when the two differ.
"""

from __future__ import annotations

from html import escape
from typing import Any

from tests.chart.helm import REPOSITORY
from tests.support.metric_names import OTHERS, rules

TARGET = REPOSITORY / "docs" / "reference" / "rules.md"

_HEAD = """\
<!-- Generated from charts/casita/charts/monitoring/files/rules.yaml by
     `python -m tests.chart.rules_reference`; do not edit. -->

# Alerting rules

[Monitoring](../admin/monitoring.md) says how your Prometheus gets them,
[alerts](../operations/alerts.md) what to do about each.

## Alerts

| alert | severity | when | for |
|---|---|---|---|
"""
_RECORDED = """
## Recording rules

| series | what it is made of |
|---|---|
"""
_OTHERS = """
## Metrics of others

| metric | meaning |
|---|---|
"""


def generate() -> str:
    """Return the text of the page."""
    known = rules()
    alerts = "".join(_alert(rule) for rule in known if "alert" in rule)
    recorded = "".join(
        f"| `{rule['record']}` | {_code(rule['expr'])} |\n" for rule in known if "record" in rule
    )
    others = "".join(f"| `{name}` | {meaning} |\n" for name, meaning in OTHERS.items())
    return _HEAD + alerts + _RECORDED + recorded + _OTHERS + others


def _alert(rule: dict[str, Any]) -> str:
    name = rule["alert"]
    link = f"[{name}](../operations/alerts.md#{name.lower()})"
    summary = rule["annotations"]["summary"]
    when = f"{summary} {_code(rule['expr'])}"
    return f"| {link} | {rule['labels']['severity']} | {when} | {rule.get('for', 'at once')} |\n"


def _code(expression: str) -> str:
    """Return PromQL as code that a table's cell can hold, by every reader of Markdown."""
    return f"<code>{escape(expression, quote=False).replace('|', '&#124;')}</code>"


if __name__ == "__main__":
    TARGET.write_text(generate())
