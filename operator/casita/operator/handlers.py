"""What kopf does here: deliver the events of AnalysisSessions. Everything else is the queue's."""

import aiohttp
import kopf

from casita.api.names import GROUP, PLURAL, VERSION
from casita.sessions.cache import Cache


class NoDiffBase(kopf.DiffBaseStorage):
    """Keeps nothing of an object as it was: only handlers of changes need that, there are none.

    kopf asks at every event all the same, and its own storages copy the whole object for an answer:
    that was a quarter of a restart's CPU.
    """

    def build(self, **_: object) -> kopf.BodyEssence:
        """Return the part of an object by which changes are told: none."""
        return kopf.BodyEssence()

    def fetch(self, **_: object) -> None:
        """Return what was stored: nothing."""

    def store(self, **_: object) -> None:
        """Refuse: nothing is ever handled as a change."""
        raise NotImplementedError("the operator has no handlers of changes")


def settings_for() -> kopf.OperatorSettings:
    """Return kopf's settings: it writes nothing, keeps nothing, and never waits on a handler."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.scanning.disabled = True  # no watches of CRDs and namespaces: no rights for them
    settings.queueing.worker_limit = None
    settings.queueing.idle_timeout = 0.1  # a worker kept for an idle object is 13 kB
    settings.watching.chunk_size = 500
    settings.watching.server_timeout = 600
    settings.watching.inactivity_timeout = 70  # bookmarks come about every minute
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 5
    settings.networking.enforce_retry_after = True
    return settings


def register(
    registry: kopf.OperatorRegistry, cache: Cache, session: aiohttp.ClientSession, server: str
) -> None:
    """Register the two handlers: log in with our own connection; note each event in the cache."""

    @kopf.on.login(registry=registry)
    def login(**_: object) -> kopf.AiohttpSession:
        return kopf.AiohttpSession(aiohttp_session=session, server=server)

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def note(event: kopf.RawEvent, **_: object) -> None:
        item = event["object"]
        if event["type"] == "DELETED":
            gone = item["metadata"]
            cache.session_gone(gone["namespace"], gone["name"], gone["uid"])
        else:
            cache.session_seen(item)
