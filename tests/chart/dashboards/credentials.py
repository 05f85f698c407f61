"""Credentials of all sessions: is each renewed in time?"""

from tests.chart.dashboards.grafana import (
    GREEN,
    ORANGE,
    RED,
    Dashboard,
    Panel,
    stat,
    table,
)

_NOW = [
    stat(
        "Expired",
        "Credentials in use that have ended: their sessions cannot do what they are for.",
        'sum(casita_credentials{left="expired"}) or vector(0)',
        steps=[(RED, 1)],
    ),
    stat(
        "Overdue",
        "Credentials that should have been renewed five minutes ago or earlier.",
        "sum(casita_renewals_overdue) or vector(0)",
        steps=[(ORANGE, 1)],
    ),
    stat(
        "Next end, by kind",
        "Time left of the credential that ends first, of each kind.",
        "min by (kind) (casita_session_credential_seconds)",
        unit="s",
        width=16,
        base=RED,
        steps=[(ORANGE, 1800), (GREEN, 3600)],
        legend="{{kind}}",
    ),
]
_TIME = [
    Panel(
        "Next end, by kind",
        "A line that falls and does not rise again is a kind that is not renewed.",
        {"{{kind}}": "min by (kind) (casita_session_credential_seconds)"},
        unit="s",
        minimum=0,
    ),
    Panel(
        "Made, by kind",
        "Credentials that were made, renewals included.",
        {"{{kind}}": "sum by (kind) (rate(casita_credentials_issued_total[$__rate_interval]))"},
        unit="ops",
        minimum=0,
    ),
    Panel(
        "By the time they have left",
        "Credentials in use: how many have at most so long.",
        {"{{left}}": "sum by (left) (casita_credentials)"},
        stacked=True,
        minimum=0,
    ),
]
_LISTS = [
    table(
        "Those that end first",
        "The twenty credentials with the least time left, and their sessions.",
        "bottomk(20, min by (session_namespace, session, kind) "
        "(casita_session_credential_seconds))",
        unit="s",
        width=12,
        height=10,
    ),
    table(
        "Certificates of the gateway",
        "Time left of the certificates that the gateway has, by their names.",
        "min by (cn, sans) (traefik_tls_certs_not_after) - time()",
        unit="s",
        width=12,
        height=10,
    ),
]

CREDENTIALS = Dashboard(
    name="credentials",
    title="casita: credentials",
    description="Certificates and tokens of all sessions: is each renewed in time?",
    rows={"Now": _NOW, "In time": _TIME, "One by one": _LISTS},
)
