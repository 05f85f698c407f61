"""The facility as a whole: is it well, and who uses it?"""

from tests.chart.dashboards.grafana import (
    GREEN,
    ORANGE,
    RED,
    YES_OR_NO,
    Dashboard,
    Panel,
    stat,
)

_NOW = [
    stat(
        "Alerts",
        "Alerts of casita's that fire now; docs/operations/alerts.md tells of each.",
        'count(ALERTS{alertname=~"Casita.+", alertstate="firing"}) or vector(0)',
        steps=[(RED, 1)],
    ),
    stat(
        "Sessions that can be used",
        "Sessions whose condition Ready is true.",
        'sum(casita_sessions{ready="True"}) or vector(0)',
    ),
    stat(
        "Share of them",
        "Of the sessions that are to run, those that a client can connect to.",
        "casita:sessions_ready:ratio",
        unit="percentunit",
        base=RED,
        steps=[(ORANGE, 0.8), (GREEN, 0.95)],
        legend="{{namespace}}",
    ),
    stat(
        "Workers",
        "Workers that are registered at their schedulers.",
        'sum(casita_workers{state="ready"})',
    ),
    stat(
        "Users' servers",
        "Servers that the hub has running.",
        "sum(jupyterhub_running_servers)",
    ),
    stat(
        "Parts that do their work",
        "What the operator found at its last check of the site's parts.",
        "min by (check) (casita_check_ok)",
        base=RED,
        steps=[(GREEN, 1)],
        mappings=YES_OR_NO,
        legend="{{check}}",
    ),
]
_USE = [
    Panel(
        "Sessions by reason",
        "Sessions by the reason of their condition Ready.",
        {"{{reason}}": "sum by (reason) (casita_sessions)"},
        stacked=True,
        minimum=0,
    ),
    Panel(
        "Workers",
        "Desired: what sessions want. Requested: what the back end was asked for. Ready: what "
        "works.",
        {"{{state}}": "sum by (state) (casita_workers)"},
        minimum=0,
    ),
    Panel(
        "Cores by user",
        "Cores of ready workers, by the user of their session.",
        {"{{user}}": "sum by (user) (rate(casita_worker_core_seconds_total[$__rate_interval]))"},
        stacked=True,
        minimum=0,
    ),
]
_OPERATOR = [
    Panel(
        "Queue",
        "Sessions that wait for the operator, or that it works on. It should be near 0.",
        {"sessions": "sum(casita_queue_length)"},
        width=6,
        minimum=0,
    ),
    Panel(
        "Duration of a pass",
        "How long the operator takes for one pass over one session.",
        {
            "half": "histogram_quantile(0.5, sum by (le) "
            "(rate(casita_reconcile_duration_seconds_bucket[$__rate_interval])))",
            "nine in ten": "histogram_quantile(0.9, sum by (le) "
            "(rate(casita_reconcile_duration_seconds_bucket[$__rate_interval])))",
        },
        unit="s",
        width=6,
        minimum=0,
        steps=[(RED, 5)],
    ),
    Panel(
        "Passes that failed",
        "Passes over a session that did not reach their end, and were tried again.",
        {"failures": "sum(rate(casita_reconcile_errors_total[$__rate_interval]))"},
        unit="ops",
        width=6,
        minimum=0,
    ),
    Panel(
        "Requests to the Kubernetes API",
        "By the operator, watches apart, by status.",
        {"{{code}}": "sum by (code) (rate(casita_kubernetes_requests_total[$__rate_interval]))"},
        unit="reqps",
        width=6,
        stacked=True,
        minimum=0,
    ),
]
_DOORS = [
    Panel(
        "Connections through the gateway",
        "Open connections, by entry point: `dask` leads to schedulers, `websecure` to the hub.",
        {"{{entrypoint}}": "sum by (entrypoint) (traefik_open_connections)"},
        width=6,
        minimum=0,
    ),
    Panel(
        "Requests through the gateway",
        "HTTP requests, by status. Those of sessions are not seen: they are encrypted throughout.",
        {"{{code}}": "sum by (code) (rate(traefik_entrypoint_requests_total[$__rate_interval]))"},
        unit="reqps",
        width=6,
        stacked=True,
        minimum=0,
    ),
    Panel(
        "Starts of servers",
        "How starts of users' servers ended.",
        {
            "{{status}}": "sum by (status) "
            "(rate(jupyterhub_server_spawn_duration_seconds_count[$__rate_interval]))"
        },
        unit="ops",
        width=6,
        minimum=0,
    ),
    Panel(
        "How long a start takes",
        "Of nine in ten starts that succeeded.",
        {
            "nine in ten": "histogram_quantile(0.9, sum by (le) (rate("
            'jupyterhub_server_spawn_duration_seconds_bucket{status="success"}'
            "[$__rate_interval])))"
        },
        unit="s",
        width=6,
        minimum=0,
    ),
]

FACILITY = Dashboard(
    name="facility",
    title="casita: facility",
    description="The facility as a whole: is it well, and who uses it?",
    rows={"Now": _NOW, "Use": _USE, "Operator": _OPERATOR, "Gateway and hub": _DOORS},
)
