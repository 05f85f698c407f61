"""Names of metrics: which PromQL uses, and which there are."""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

from casita.operator.metrics_reference import sources
from tests.chart.dashboards.files import DASHBOARDS
from tests.chart.helm import CHART

RULES: Final = CHART / "charts/monitoring/files/rules.yaml"

OTHERS: Final = {
    "traefik_entrypoint_requests_total": "Traefik: HTTP requests, by entry point and status.",
    "traefik_open_connections": "Traefik: open connections, by entry point and protocol.",
    "traefik_tls_certs_not_after": "Traefik: when a certificate ends, in seconds since 1970.",
    "jupyterhub_running_servers": "JupyterHub: users' servers that run.",
    "jupyterhub_server_spawn_duration_seconds_bucket": (
        "JupyterHub: how long starts of servers take, by how they ended."
    ),
    "jupyterhub_server_spawn_duration_seconds_count": (
        "JupyterHub: starts of servers, by how they ended."
    ),
    "nv_inference_request_success": "Triton: requests that were answered, by model.",
    "nv_inference_request_failure": "Triton: requests that failed, by model.",
    "nv_inference_count": "Triton: inputs that models were run for, by model.",
    "nv_inference_exec_count": "Triton: runs of models, for a batch each, by model.",
    "nv_inference_request_duration_us": (
        "Triton: time from requests' arrival to their answers, added up, in microseconds."
    ),
    "nv_inference_queue_duration_us": (
        "Triton: time of requests in the queue, added up, in microseconds."
    ),
    "nv_inference_compute_infer_duration_us": (
        "Triton: time that models took, added up over requests, in microseconds."
    ),
    "nv_gpu_utilization": "Triton: share of the time in which a GPU worked.",
    "nv_gpu_memory_used_bytes": "Triton: memory of a GPU that is used.",
    "nv_gpu_memory_total_bytes": "Triton: memory of a GPU.",
    "up": "Prometheus: 1 if it had an answer from a target.",
    "ALERTS": "Prometheus: alerts that are pending or fire.",
}
"""Metrics that casita uses and does not make, with what they say."""

_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_LABELS: Final = re.compile(r"\{[^}]*\}|\[[^\]]*\]")
_GROUPING: Final = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_NAME: Final = re.compile(r"(?<![\w:.$])[A-Za-z_:][\w:]*(?!\s*\()(?![\w:])")
_WORDS: Final = {"and", "or", "unless", "bool", "offset"}


def used_by(expression: str) -> set[str]:
    """Return the names of the metrics in a PromQL expression."""
    bare = _LABELS.sub("", _QUOTED.sub('""', expression))
    return set(_NAME.findall(_GROUPING.sub("", bare))) - _WORDS


def rules() -> list[dict[str, Any]]:
    """Return all rules of the chart."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def used() -> set[str]:
    """Return the names of the metrics that rules and dashboards use."""
    queries = [rule["expr"] for rule in rules()]
    queries += [query for dashboard in DASHBOARDS for query in dashboard.queries]
    return set().union(*map(used_by, queries))


def own() -> set[str]:
    """Return the names of all samples of casita's own metrics, and of what rules record."""
    families = [family for source in sources() for family in source.registry.collect()]
    names = {sample.name for family in families for sample in family.samples}
    return names | {rule["record"] for rule in rules() if "record" in rule}


def in_text(text: str) -> set[str]:
    """Return the names of all samples that a process shows."""
    # Not by the client's parser, which gives counters of old another name.
    return set(re.findall(r"^([A-Za-z_:][\w:]*)[{ ]", text, re.MULTILINE))
