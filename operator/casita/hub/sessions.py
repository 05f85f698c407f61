"""Sessions as the hub asks for them, and what it makes of how they stand. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from casita.api.conditions import ConditionStatus, ConditionType, Reason
from casita.api.names import API_VERSION, GROUP, KIND
from casita.api.session import Lifecycle

Json = dict[str, Any]

HUB_LABEL: Final = f"{GROUP}/hub"
"""On sessions that a hub made: which one."""
HUB_USER: Final = f"{GROUP}/hub-user"
HUB_SERVER: Final = f"{GROUP}/hub-server"
"""Annotations: whose server, by the hub's own names."""

_FINAL: Final = frozenset(
    {
        Reason.SPEC_INVALID,
        Reason.UNKNOWN_PROFILE,
        Reason.IMAGE_NOT_ALLOWED,
        Reason.EXCEEDS_PROFILE,
        Reason.NAME_TAKEN,
        Reason.FORBIDDEN,
        Reason.SIGNING_KEY_UNUSABLE,
    }
)
"""What an admin or another choice has to cure: waiting does not."""

_TOLD: Final = (
    ConditionType.CREDENTIALS_READY,
    ConditionType.SCHEDULER_READY,
    ConditionType.ROUTE_READY,
    ConditionType.DATA_READY,
)
"""Conditions that are shown while a server starts, in this order."""

_TITLES: Final = {
    ConditionType.CREDENTIALS_READY: "Credentials",
    ConditionType.SCHEDULER_READY: "Dask scheduler",
    ConditionType.ROUTE_READY: "Way in from outside",
    ConditionType.DATA_READY: "Data",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """The session that a server is to have.

    Attributes:
        namespace: of sessions.
        name: of the session.
        user: of the session, not of the hub.
        profile: of the site's catalogue.
        run: another one for each start: it makes a session run anew, with new keys.
        hub: which hub asks.
        hub_user: the hub's own name of the user.
        hub_server: name of the server; empty for the default one.
    """

    namespace: str
    name: str
    user: str
    profile: str
    run: str
    hub: str
    hub_user: str
    hub_server: str = ""


def new_session(wanted: Wanted) -> Json:
    """Return the session to create."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": wanted.name,
            "namespace": wanted.namespace,
            "labels": {HUB_LABEL: wanted.hub},
            "annotations": {HUB_USER: wanted.hub_user, HUB_SERVER: wanted.hub_server},
        },
        "spec": {"user": wanted.user, **_running(wanted)},
    }


def start_patch(wanted: Wanted, uid: str) -> Json:
    """Return the merge patch that runs a session anew, if it is still the one with this uid."""
    return {"metadata": {"uid": uid}, "spec": _running(wanted)}


def rerun_patch(uid: str, run: str) -> Json:
    """Return the merge patch that runs a session anew as it is, if it still has this uid."""
    spec = {"lifecycle": Lifecycle.RUNNING.value, "runId": run}
    return {"metadata": {"uid": uid}, "spec": spec}


def stop_patch(uid: str) -> Json:
    """Return the merge patch that stops a session, if it is still the one with this uid."""
    return {"metadata": {"uid": uid}, "spec": {"lifecycle": Lifecycle.STOPPED.value}}


def _running(wanted: Wanted) -> Json:
    return {
        "profile": wanted.profile,
        "lifecycle": Lifecycle.RUNNING.value,
        "runId": wanted.run,
    }


@dataclass(frozen=True, slots=True)
class Standing:
    """How a session stands, for a server that wants to start.

    Attributes:
        answered: the operator has looked at this run.
        usable: its Secrets are there to be mounted.
        refused: why it never will be; empty if it may.
        lines: what to tell, one line for each condition.
    """

    answered: bool = False
    usable: bool = False
    refused: str = ""
    lines: tuple[str, ...] = ()


def standing(session: Mapping[str, Any] | None, run: str) -> Standing:
    """Return how a session stands; what is told of an earlier run does not count."""
    status = (session or {}).get("status") or {}
    if session is None or status.get("runId") != run:
        return _unread(session)
    conditions = _current(session)
    ready = conditions.get(ConditionType.READY, {})
    failed = ready.get("status") == ConditionStatus.FALSE and ready.get("reason") in _FINAL
    credentials = conditions.get(ConditionType.CREDENTIALS_READY, {})
    return Standing(
        answered=bool(conditions),
        usable=credentials.get("status") == ConditionStatus.TRUE,
        refused=_words(ready) if failed else "",
        lines=tuple(
            f"{_TITLES[kind]}: {conditions[kind].get('message') or conditions[kind]['reason']}"
            for kind in _TOLD
            if kind in conditions and conditions[kind]["reason"] != Reason.NOT_CONFIGURED
        ),
    )


def _unread(session: Mapping[str, Any] | None) -> Standing:
    """A specification that the operator cannot read has no run in its status."""
    if session is None:
        return Standing()
    ready = _current(session).get(ConditionType.READY, {})
    invalid = ready.get("reason") == Reason.SPEC_INVALID
    return Standing(answered=invalid, refused=_words(ready) if invalid else "")


def _current(session: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    generation = session["metadata"].get("generation", 0)
    found = (session.get("status") or {}).get("conditions") or ()
    return {c["type"]: c for c in found if c.get("observedGeneration", 0) >= generation}


def _words(condition: Mapping[str, Any]) -> str:
    return f"{condition['reason']}: {condition.get('message', '')}".rstrip(": ")
