"""A real Prometheus answers every query of the dashboards, of metrics as they really are."""

from collections.abc import Iterator
from pathlib import Path

import jupyterhub.metrics
import pytest
import yaml
from prometheus_client import REGISTRY, generate_latest

from casita.operator.metrics_reference import sources
from tests.chart.dashboards.files import DASHBOARDS
from tests.chart.dashboards.grafana import Dashboard
from tests.support.metric_names import RULES
from tests.support.prometheus import Prometheus, promtool, running

DATA = Path(__file__).resolve().parents[1] / "data/monitoring"
CHOICES = {"namespace": "casita", "session": "alice", "server": ".+", "__rate_interval": "1m"}
OURS = {source.title: generate_latest(source.registry).decode() for source in sources()}


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    system, gateway = {"namespace": "casita-system"}, {"namespace": "casita-gateway"}
    triton = {"namespace": "casita-triton", "server": "default"}
    targets = {
        "operator": (OURS["The operator"], {**system, "service": "casita-operator-metrics"}),
        "cache": (OURS["The data cache"], {**system, "service": "casita-xcache-metrics"}),
        "hub": (hub(), {"namespace": "casita-hub", "service": "casita-hub-metrics"}),
        "gateway": (recorded("traefik"), {**gateway, "service": "casita-gateway-metrics"}),
        "triton": (recorded("triton"), {**triton, "service": "casita-triton-default-metrics"}),
        "models": (
            OURS["The inference servers"],
            {**triton, "service": "casita-triton-default-models-metrics"},
        ),
    }
    folder = tmp_path_factory.mktemp("prometheus")
    rules = yaml.safe_load(RULES.read_text())
    for group in rules["groups"]:
        group.pop("interval", None)  # all at the server's own, which is a second
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
    with running(folder, targets, folder / "rules.yaml") as found:
        yield found


def hub() -> str:
    """Metrics of JupyterHub, of a start of a server that succeeded."""
    jupyterhub.metrics.SERVER_SPAWN_DURATION_SECONDS.labels("success", "").observe(3)
    jupyterhub.metrics.RUNNING_SERVERS.set(1)
    return generate_latest(REGISTRY).decode()


def recorded(name: str) -> str:
    """Metrics of others, as they were seen once."""
    return (DATA / f"{name}.prom").read_text()


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.name)
def test_every_query_of_a_dashboard_has_an_answer(
    prometheus: Prometheus, dashboard: Dashboard
) -> None:
    for query in dashboard.queries:
        chosen = query
        for name, value in CHOICES.items():
            chosen = chosen.replace(f"${name}", value)
        # A mean and a share are of what was asked of late, and nobody asks.
        assert prometheus.query(chosen) or "> 0)" in query or "ratio_rate" in query, chosen


def test_rules_work_on_real_metrics(prometheus: Prometheus) -> None:
    found = prometheus.rules()
    assert found
    assert [(rule["name"], rule.get("lastError")) for rule in found if rule["health"] != "ok"] == []


def test_what_is_wrong_is_told_and_what_is_well_is_not(prometheus: Prometheus) -> None:
    """Of the examples, a model is broken; how full the disk is, is this machine's affair."""
    told = {
        alert["labels"]["alertname"]: alert["annotations"]["description"]
        for rule in prometheus.rules()
        for alert in rule.get("alerts", ())
    }
    told.pop("CasitaCacheDiskNearlyFull", None)
    assert told == {
        "CasitaTritonModelNotReady": "Version 1 of the model broken is not ready on every replica "
        "of the inference server default."
    }


@pytest.mark.parametrize("title", OURS)
def test_promtool_finds_nothing_wrong_with_our_metrics(title: str) -> None:
    promtool("check", "metrics", stdin=OURS[title].encode())
