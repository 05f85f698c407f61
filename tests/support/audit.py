"""What a client asked of the API server, by the server's own audit log."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from casita.api.names import MANAGER
from tests.support.cluster import Json

WRITES: Final = frozenset({"create", "update", "patch", "delete", "deletecollection"})


def requests(
    events: Iterable[Json], namespace: str, *, agent: str = MANAGER, since: int = 0
) -> Iterator[Json]:
    """Yield the requests of one client in one namespace, after the first `since`.

    A watch is told when it begins, and again when it ends: the end is no request.
    """
    found = (
        event
        for event in events
        if event.get("userAgent") == agent
        and (event.get("objectRef") or {}).get("namespace") == namespace
        and not (event["verb"] == "watch" and event["stage"] == "ResponseComplete")
    )
    yield from list(found)[since:]


def counts(events: Iterable[Json]) -> Counter[str]:
    """Count requests as ``verb resource/subresource``."""
    return Counter(_name(event) for event in events)


def writes(events: Iterable[Json]) -> Counter[str]:
    """Count the writes among requests."""
    return counts(event for event in events if event["verb"] in WRITES)


def _name(event: Json) -> str:
    reference = event["objectRef"]
    parts = [
        reference["resource"],
        *([reference["subresource"]] if "subresource" in reference else []),
    ]
    return f"{event['verb']} {'/'.join(parts)}"
