"""Who makes the request at hand. The door says so, and MLflow asks here.

It travels by a context variable, which follows a request into MLflow's threads: no header of a
request can reach it.
"""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from flask import Response
from werkzeug.datastructures import Authorization


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody whom the door let in.

    Attributes:
        name: the user, as sessions have it.
        admin: whether the hub says that it is an admin, who came by a browser.
    """

    name: str
    admin: bool = False


CURRENT: Final[ContextVar[Identity | None]] = ContextVar("casita_tracking_identity", default=None)


def authenticate() -> Authorization | Response:
    """Return who asks; for `authorization_function` of MLflow's `basic_auth.ini`."""
    identity = CURRENT.get()
    if identity is None:
        return Response("nobody is known to make this request", status=401)
    return Authorization("casita", {"username": identity.name})
