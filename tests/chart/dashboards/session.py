"""One session: can it be used, does it have its workers, how long are its credentials good for?"""

from tests.chart.dashboards.grafana import (
    GREEN,
    ORANGE,
    RED,
    YES_OR_NO,
    Dashboard,
    Panel,
    Variable,
    stat,
    table,
)

_LABELS = 'session_namespace="$namespace", session="$session"'
_THIS = f"{{{_LABELS}}}"

_STATE = [
    stat(
        "Ready",
        "Whether a client can connect.",
        f"max(casita_session_ready{_THIS})",
        base=RED,
        steps=[(GREEN, 1)],
        mappings=YES_OR_NO,
    ),
    stat(
        "Workers",
        "Workers that are registered at its scheduler.",
        f'sum(casita_session_workers{{{_LABELS}, state="ready"}})',
    ),
    stat(
        "Next end of a credential",
        "Time left of the credential that ends first. It is renewed long before.",
        f"min(casita_session_credential_seconds{_THIS})",
        unit="s",
        base=RED,
        steps=[(ORANGE, 1800), (GREEN, 3600)],
    ),
    table(
        "Reason",
        "The reason of its condition Ready.",
        f"max by (reason) (casita_session_ready{_THIS})",
        width=12,
        height=4,
    ),
]
_TIME = [
    Panel(
        "Ready",
        "Whether a client could connect, and the reason.",
        {"{{reason}}": f"max by (reason) (casita_session_ready{_THIS})"},
        minimum=0,
        maximum=1,
    ),
    Panel(
        "Workers by pool",
        "Desired: what the session wants. Requested: what the back end was asked for. Ready: what "
        "works.",
        {"{{pool}} {{state}}": f"sum by (pool, state) (casita_session_workers{_THIS})"},
        minimum=0,
    ),
    Panel(
        "Time left of credentials",
        "It falls, and rises when the credential is renewed. One that only falls is not renewed; "
        "`authority` is as long as the session may live.",
        {"{{kind}}": f"min by (kind) (casita_session_credential_seconds{_THIS})"},
        unit="s",
        minimum=0,
    ),
]

SESSION = Dashboard(
    name="session",
    title="casita: session",
    description="One session: can it be used, does it have its workers and its credentials?",
    rows={"Now": _STATE, "In time": _TIME},
    variables=[
        Variable("namespace", "Namespace", "casita_session_ready", "session_namespace"),
        Variable(
            "session", "Session", 'casita_session_ready{session_namespace="$namespace"}', "session"
        ),
    ],
)
