"""A session as the page shows it. Pure.

What comes of here is shown to the session's own user and to the hub's admins: names, times and
words, never material.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from casita.api.conditions import ConditionStatus, ConditionType, Reason
from casita.api.session import Lifecycle
from casita.hub.status.servers import Limits, Server, ends

Json = dict[str, Any]

TITLES: Final = {
    ConditionType.CREDENTIALS_READY: "Credentials",
    ConditionType.SCHEDULER_READY: "Dask scheduler",
    ConditionType.ROUTE_READY: "Way in from outside",
    ConditionType.WORKERS_READY: "Workers",
    ConditionType.DATA_READY: "Data",
    ConditionType.SERVICES_READY: "Services",
}

_SERVICES: Final = {
    "Gateway": ConditionType.ROUTE_READY,
    "Data cache": ConditionType.DATA_READY,
}
"""What of the site a session meets, and where it tells of that."""

_CREDENTIALS: Final = {
    "authority": "Certificate authority of the session",
    "scheduler": "Certificate of the scheduler",
    "worker": "Certificate of the workers",
    "client": "Certificate of your notebook",
    "idtoken": "Token for the batch system",
    "macaroon": "Token for data",
    "mlflow": "Token for tracking",
    "servicex": "Token for ServiceX",
}

_WAYS: Final = frozenset({Reason.STARTING, Reason.ISSUING, Reason.SCALING})
"""What is on its way, not wrong."""

_ENDED: Final = frozenset({Reason.IDLE_STOPPED, Reason.LIFETIME_EXCEEDED})
"""It stopped by itself, and stays so until it is run anew."""
_QUIET: Final = frozenset({Reason.STOPPED, *_ENDED})

READY, STARTING, STOPPED, TROUBLE, UNKNOWN = "ready", "starting", "stopped", "trouble", "unknown"


def session_view(session: Mapping[str, Any], server: Server | None, limits: Limits) -> Json:
    """Return one session for the page.

    Args:
        session: the object.
        server: the hub's server that it belongs to; `None` for one that was made by hand, and for
            one whose server is not up.
        limits: when the hub ends servers.
    """
    spec, status = session["spec"], session.get("status") or {}
    conditions = {c["type"]: c for c in status.get("conditions") or ()}
    ready = conditions.get(ConditionType.READY) or {}
    end = ends(server, limits) if server else None
    return {
        "name": session["metadata"]["name"],
        "user": spec["user"],
        "profile": spec.get("profile") or "",
        "state": _state(ready),
        "words": _words(ready),
        "running": _is_to_run(spec, ready),
        "server": {"url": server.url, "ready": server.ready} if server else None,
        "ends": {"at": end[0].isoformat(), "why": end[1]} if end else None,
        "conditions": [_condition(kind, conditions[kind]) for kind in TITLES if kind in conditions],
        "credentials": [
            {
                "title": _CREDENTIALS.get(credential["name"], credential["name"]),
                "notAfter": credential["notAfter"],
                "renewed": "renewalTime" in credential,
            }
            for credential in status.get("credentials") or ()
        ],
        "pools": [
            {key: pool[key] for key in ("pool", "desired", "requested", "ready")}
            for pool in status.get("workers") or ()
        ],
        "external": (status.get("scheduler") or {}).get("externalAddress") or "",
        "secret": status.get("credentialsSecretName") or "",
        "namespace": session["metadata"]["namespace"],
    }


def site_view(sessions: Iterable[Mapping[str, Any]]) -> list[Json]:
    """Return how the site's services are, as the sessions that run meet them.

    Of others' sessions no more is told than how many.
    """
    running = [s for s in sessions if s["spec"].get("lifecycle") != Lifecycle.STOPPED]
    return [_service(title, kind, running) for title, kind in _SERVICES.items()]


def _service(title: str, kind: ConditionType, sessions: Iterable[Mapping[str, Any]]) -> Json:
    states = [
        _state(condition)
        for session in sessions
        for condition in (session.get("status") or {}).get("conditions") or ()
        if condition["type"] == kind and condition["reason"] != Reason.NOT_CONFIGURED
    ]
    good, bad = states.count(READY), states.count(TROUBLE)
    if not good + bad:
        return {"title": title, "state": UNKNOWN, "words": "no session has met it yet"}
    if not bad:
        return {"title": title, "state": READY, "words": "answers"}
    words = f"{bad} of {good + bad} sessions have trouble with it"
    return {"title": title, "state": TROUBLE, "words": words}


def totals(views: Iterable[Json]) -> Json:
    """Return the sums of many sessions, for admins."""
    listed = list(views)
    pools = [pool for view in listed for pool in view["pools"]]
    return {
        "sessions": len(listed),
        "users": len({view["user"] for view in listed}),
        **{state: sum(view["state"] == state for view in listed) for state in (READY, TROUBLE)},
        "workersReady": sum(pool["ready"] for pool in pools),
        "workersWanted": sum(pool["desired"] for pool in pools),
    }


def _is_to_run(spec: Mapping[str, Any], ready: Mapping[str, Any]) -> bool:
    return spec.get("lifecycle") != Lifecycle.STOPPED and ready.get("reason") not in _ENDED


def _words(ready: Mapping[str, Any]) -> str:
    """Return how a session is; of a stop no more than who looks can undo with a button."""
    if ready.get("reason") == Reason.STOPPED:
        return "stopped"
    return str(ready.get("message") or ready.get("reason") or "casita has not looked at it yet")


def _condition(kind: ConditionType, condition: Mapping[str, Any]) -> Json:
    return {
        "title": TITLES[kind],
        "state": _state(condition),
        "words": condition.get("message") or condition["reason"],
    }


def _state(condition: Mapping[str, Any]) -> str:
    status, reason = condition.get("status"), condition.get("reason")
    if status == ConditionStatus.TRUE:
        return READY
    if reason in _QUIET:
        return STOPPED
    if status != ConditionStatus.FALSE:
        return UNKNOWN
    waits = reason in _WAYS or str(reason).startswith(("Awaiting", "Waiting"))
    return STARTING if waits else TROUBLE
