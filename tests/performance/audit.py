"""What was asked of the API server, and when: read from the server's own audit log.

Times are the server's, of arrival and of the answer, so that both sides of a comparison are
measured by one clock and none by itself.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from casita.api.names import MANAGER, PLURAL
from tests.cluster.control_plane import ControlPlane
from tests.performance.client import AGENT
from tests.performance.site import NAMESPACE
from tests.support.audit import WRITES
from tests.support.audit import requests as requests_of
from tests.support.cluster import Json

OPERATOR: Final = MANAGER
STATUS: Final = f"{PLURAL}/status"


@dataclass(frozen=True)
class Request:
    """One answered request.

    Attributes:
        verb: the API's, e.g. ``create``, ``watch``.
        resource: plural, with its subresource if there is one.
        name: of the object; empty for lists.
        code: HTTP status.
        began: seconds since the epoch.
        ended: seconds since the epoch.
    """

    verb: str
    resource: str
    name: str
    code: int
    began: float
    ended: float

    @property
    def is_write(self) -> bool:
        """Whether it changes something."""
        return self.verb in WRITES


def requests(plane: ControlPlane, agent: str = OPERATOR) -> list[Request]:
    """Return what one client has asked in the namespace so far, oldest answer first."""
    return list(_requests(requests_of(plane.audit_events(), NAMESPACE, agent=agent)))


def from_first_session_to_last_status(plane: ControlPlane, agent: str) -> float:
    """Return the seconds from the first session's arrival to the last status's answer."""
    created = [r for r in requests(plane, AGENT) if (r.verb, r.resource) == ("create", PLURAL)]
    statuses = [r for r in requests(plane, agent) if r.resource == STATUS]
    return max(r.ended for r in statuses) - min(r.began for r in created)


def count(found: Iterable[Request]) -> dict[str, int]:
    """Count requests by verb and resource."""
    counts: dict[str, int] = {}
    for request in found:
        what = f"{request.verb} {request.resource}"
        counts[what] = counts.get(what, 0) + 1
    return dict(sorted(counts.items()))


def _requests(events: Iterable[Json]) -> Iterator[Request]:
    for event in events:
        reference = event["objectRef"]
        parts = [reference["resource"], reference.get("subresource", "")]
        yield Request(
            verb=event["verb"],
            resource="/".join(filter(None, parts)),
            name=reference.get("name", ""),
            code=int((event.get("responseStatus") or {}).get("code", 0)),
            began=_seconds(event["requestReceivedTimestamp"]),
            ended=_seconds(event["stageTimestamp"]),
        )


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
