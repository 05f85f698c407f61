"""Rules and dashboards use metrics that there are; alerts fire when they should, and not before."""

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import jupyterhub.metrics
import pytest
import yaml
from prometheus_client import REGISTRY

from tests import prometheus
from tests.chart import rules_reference
from tests.chart.dashboards.files import DASHBOARDS, files
from tests.support.metric_names import OTHERS, RULES, in_text, own, rules, used, used_by
from tests.support.prometheus import promtool

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests/data/monitoring"
SERIES = sorted(DATA.glob("*.yaml"))
LABELS = {"state", "kind", "check", "status", "reason"}
"""Of the metrics themselves, as far as rules select by them."""
ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}


def test_promtool_accepts_the_rules() -> None:
    assert "SUCCESS" in promtool("check", "rules", str(RULES))


@pytest.mark.parametrize("series", SERIES, ids=lambda path: path.stem)
def test_rules_say_what_the_series_mean(series: Path) -> None:
    promtool("test", "rules", str(series))


def test_every_alert_is_seen_to_fire_and_not_to_fire() -> None:
    seen: dict[str, set[bool]] = defaultdict(set)
    for path in SERIES:
        for test in yaml.safe_load(path.read_text())["tests"]:
            for case in test.get("promql_expr_test", ()):
                name = case["expr"].partition('alertname="')[2].partition('"')[0]
                seen[name].add(bool(case["exp_samples"]))
    assert {name for name, found in seen.items() if found == {True, False}} - {""} == set(ALERTS)


def test_a_metric_is_found_by_its_name_wherever_it_stands() -> None:
    query = 'sum by (a, b) (rate(x_total{c="d > e_f"}[5m])) / on (g) (x:y:ratio > 0.5) or up'
    assert used_by(query) == {"x_total", "x:y:ratio", "up"}


def test_every_metric_that_is_used_is_documented() -> None:
    assert used() - own() == set(OTHERS)


def test_metrics_of_others_are_real_ones() -> None:
    recorded = set().union(*(in_text(path.read_text()) for path in DATA.glob("*.prom")))
    assert jupyterhub.metrics.RUNNING_SERVERS
    hub = {
        f"{family.name}{suffix}"
        for family in REGISTRY.collect()
        for suffix in ("", "_bucket", "_count")
    }
    assert set(OTHERS) - {"up", "ALERTS"} <= recorded | hub


@pytest.mark.parametrize("rule", ALERTS.values(), ids=ALERTS)
def test_an_alert_says_what_it_means_and_what_to_do(rule: dict[str, Any]) -> None:
    said = rule["annotations"]
    assert set(said) == {"summary", "description", "runbook_url"}
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    page, _, anchor = said["runbook_url"].partition("#")
    headings = [line for line in (ROOT / page).read_text().splitlines() if line.startswith("## ")]
    assert f"## {rule['alert']}" in headings
    assert anchor == rule["alert"].lower()


def test_every_section_about_an_alert_is_about_one_that_there_is() -> None:
    lines = (ROOT / "docs/operations/alerts.md").read_text().splitlines()
    told = [line.removeprefix("## ") for line in lines if line.startswith("## Casita")]
    assert told == list(ALERTS)


def test_the_reference_of_rules_is_up_to_date() -> None:
    assert rules_reference.TARGET.read_text() == rules_reference.generate(), (
        "run `python -m tests.chart.rules_reference`"
    )


def test_the_dashboards_files_are_up_to_date() -> None:
    there = {path: path.read_text() for path in next(iter(files())).parent.iterdir()}
    assert there == files(), "run `python -m tests.chart.dashboards`"


def test_panels_do_not_overlap_and_say_how_they_are_read() -> None:
    for dashboard in DASHBOARDS:
        places: set[tuple[int, int]] = set()
        for panel in dashboard.render()["panels"]:
            at = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(at["x"], at["x"] + at["w"])
                for y in range(at["y"], at["y"] + at["h"])
            }
            assert not cells & places, panel["title"]
            assert at["x"] + at["w"] <= 24
            places |= cells
            if panel["type"] != "row":
                assert panel["description"].endswith("."), panel["title"]
                assert panel["datasource"]["uid"] == "${datasource}"


def test_the_documented_job_makes_the_labels_that_rules_go_by() -> None:
    """It is the one that the test clusters' Prometheus has."""
    objects = list(yaml.safe_load_all(prometheus.manifest("image:1")))
    (config,) = (each for each in objects if each["kind"] == "ConfigMap")
    (job,) = yaml.safe_load(config["data"]["prometheus.yaml"])["scrape_configs"]
    made = {relabel.get("target_label") for relabel in job["relabel_configs"]}
    assert {"namespace", "service", "server", "pod"} <= made
    labels = {label for rule in rules() for label in re.findall(r'(\w+)=~?"', rule["expr"])}
    assert labels <= made | LABELS
