"""The cache: a session is looked at again for what others do, and not for our own writes.

An own write's event may come before its answer, after it, or not at all; all must end alike.
"""

from typing import Any

import pytest

from casita.api.names import API_VERSION, KIND, MANAGER
from casita.manifests.common import labels
from casita.manifests.resources import POD, SECRET, SERVICE, Resource
from casita.sessions.cache import STATUS, Cache, SessionKey
from casita.sessions.observed import ChildKey
from tests.unit.sessions_site import OWNER

KEY: SessionKey = (OWNER.namespace, OWNER.name)
SERVICE_KEY: ChildKey = (SERVICE.kind, "a")


class Told(list[SessionKey]):
    """Sessions to look at again, in the order of telling."""

    def since(self) -> int:
        """Return how often something was told since the last call."""
        count = len(self)
        self.clear()
        return count


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def cache(told: Told) -> Cache:
    """A cache that knows the session and nothing else."""
    cache = Cache(told.append)
    cache.session_seen(session(1))
    assert told.since() == 1
    return cache


def session(
    version: int, *, generation: int = 1, finalizers: tuple[str, ...] = (), **status: Any
) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "namespace": OWNER.namespace,
        "name": OWNER.name,
        "uid": OWNER.uid,
        "generation": generation,
        "resourceVersion": str(version),
        **({"finalizers": list(finalizers)} if finalizers else {}),
    }
    return {"metadata": metadata, "spec": {"user": "alice"}, "status": status}


def item(version: int, name: str = "a", uid: str = "1", **beside: Any) -> dict[str, Any]:
    owner = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": OWNER.name,
        "uid": OWNER.uid,
        "controller": True,
    }
    metadata = {
        "name": name,
        "uid": uid,
        "resourceVersion": str(version),
        "labels": labels(OWNER, "scheduler"),
        "ownerReferences": [owner],
    }
    return {"metadata": metadata, **beside}


def seen(cache: Cache, version: int, resource: Resource = SERVICE, **beside: Any) -> None:
    cache.seen(resource, OWNER.namespace, item(version, **beside))


def test_an_own_write_is_no_news_when_its_event_comes_first(cache: Cache, told: Told) -> None:
    with cache.writing(KEY, SERVICE_KEY):
        seen(cache, 5, spec={"ports": []})
        cache.written(KEY, SERVICE, item(5))
    assert told.since() == 0
    assert cache.children(KEY)[SERVICE_KEY].version == 5
    assert cache.children(KEY)[SERVICE_KEY].unchecked is None


def test_an_own_write_is_no_news_when_its_event_comes_last(cache: Cache, told: Told) -> None:
    with cache.writing(KEY, SERVICE_KEY):
        cache.written(KEY, SERVICE, item(5))
    seen(cache, 5, spec={"ports": []})
    assert told.since() == 0


def test_a_write_without_an_answer_is_news_by_its_event(cache: Cache, told: Told) -> None:
    def write() -> None:
        with cache.writing(KEY, SERVICE_KEY):
            seen(cache, 5, spec={"ports": []})
            raise TimeoutError

    with pytest.raises(TimeoutError):
        write()
    assert told.since() == 1
    assert cache.children(KEY)[SERVICE_KEY].unchecked is not None


@pytest.mark.parametrize("foreign", [4, 6])
def test_somebody_elses_change_beside_an_own_write_is_news_and_is_compared(
    cache: Cache, told: Told, foreign: int
) -> None:
    seen(cache, 3)
    told.clear()
    with cache.writing(KEY, SERVICE_KEY):
        for version in sorted((5, foreign)):
            seen(cache, version, spec={"ports": [version]})
        cache.written(KEY, SERVICE, item(5))
    assert told.since() == 1
    assert cache.children(KEY)[SERVICE_KEY].unchecked is not None


def test_a_change_before_an_own_write_is_compared_when_the_writes_event_comes_later(
    cache: Cache, told: Told
) -> None:
    seen(cache, 3)
    told.clear()
    with cache.writing(KEY, SERVICE_KEY):
        seen(cache, 4, spec={"ports": [4]})
        cache.written(KEY, SERVICE, item(5))
    seen(cache, 5, spec={"ports": [4]})
    assert told.since() == 2
    assert cache.children(KEY)[SERVICE_KEY].unchecked is not None


def test_a_secret_that_somebody_edits_during_an_own_write_is_suspect(
    cache: Cache, told: Told
) -> None:
    managed = [{"manager": MANAGER, "fieldsV1": {"f:data": {}}}]
    place = SECRET.kind, "a"
    cache.written(KEY, SECRET, item(3))
    with cache.writing(KEY, place):
        for version in (4, 5):
            edited = item(version)
            edited["metadata"]["managedFields"] = managed
            cache.seen(SECRET, OWNER.namespace, edited)
        cache.written(KEY, SECRET, item(5))
    assert told.since() == 1
    assert cache.children(KEY)[place].suspect


def test_other_objects_of_the_session_are_told_while_a_write_waits(
    cache: Cache, told: Told
) -> None:
    with cache.writing(KEY, SERVICE_KEY):
        seen(cache, 7, name="b")
        assert told.since() == 1
        seen(cache, 8, POD)  # of the same name, but of another kind
        assert told.since() == 1


def test_a_loss_is_told_even_while_a_write_waits(cache: Cache, told: Told) -> None:
    seen(cache, 3)
    told.clear()
    with cache.writing(KEY, SERVICE_KEY):
        cache.gone(SERVICE, OWNER.namespace, item(4))
        assert told.since() == 1


def test_a_pod_that_changed_before_the_answer_is_news(cache: Cache, told: Told) -> None:
    place = POD.kind, "a"
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    with cache.writing(KEY, place):
        seen(cache, 5, POD, status={"phase": "Pending"})
        seen(cache, 6, POD, status=ready)
        cache.written(KEY, POD, item(5))
    assert told.since() == 1
    pod = cache.children(KEY)[place].pod
    assert pod is not None
    assert pod.ready


def test_the_own_status_is_no_news_early_or_late(cache: Cache, told: Told) -> None:
    with cache.writing(KEY, STATUS):
        cache.session_seen(session(2, replicas=1))
        cache.status_written(KEY, session(2)["metadata"], {"replicas": 1})
    cache.session_seen(session(2, replicas=1))
    assert told.since() == 0
    assert cache.sessions[KEY].version == 2


def test_a_status_that_somebody_else_wrote_is_news(cache: Cache, told: Told) -> None:
    with cache.writing(KEY, STATUS):
        cache.session_seen(session(2, replicas=1))
        cache.session_seen(session(3, replicas=9))
        cache.status_written(KEY, session(2)["metadata"], {"replicas": 1})
    assert told.since() == 1
    assert cache.sessions[KEY].status == {"replicas": 9}


def test_own_finalizers_are_no_news_and_an_older_event_does_not_undo_them(
    cache: Cache, told: Told
) -> None:
    written = session(3, finalizers=("mine",))
    cache.finalizers_written(KEY, written["metadata"])
    cache.session_seen(written)
    assert told.since() == 0
    cache.session_seen(session(2))
    assert cache.sessions[KEY].finalizers == ("mine",)
    assert cache.sessions[KEY].version == 3


def test_finalizers_that_somebody_else_wrote_are_known_by_the_next_answer(
    cache: Cache, told: Told
) -> None:
    others = session(3, finalizers=("theirs",))
    cache.status_written(KEY, others["metadata"], {})
    assert cache.sessions[KEY].finalizers == ("theirs",)
    cache.session_seen(session(4, finalizers=("theirs", "more")))
    assert told.since() == 1
    assert cache.sessions[KEY].finalizers == ("theirs", "more")


def test_when_a_deletion_was_asked_for_is_known(cache: Cache, told: Told) -> None:
    item = session(2, finalizers=("mine",))
    item["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    cache.session_seen(item)
    assert told.since() == 1
    assert cache.sessions[KEY].deleting
    assert cache.sessions[KEY].deleted_at == "2026-01-01T00:00:00Z"


def test_sessions_are_known_by_their_children_before_they_are_seen(told: Told) -> None:
    cache = Cache(told.append)
    seen(cache, 3)
    assert cache.owners() == {KEY}


def test_a_new_specification_is_told_while_the_status_is_written(cache: Cache, told: Told) -> None:
    with cache.writing(KEY, STATUS):
        cache.session_seen(session(2, generation=2))
        assert told.since() == 1


def test_children_of_a_session_that_is_not_known_are_told_with_it(told: Told) -> None:
    cache = Cache(told.append)
    seen(cache, 3)
    assert told.since() == 0
    cache.session_seen(session(1))
    assert told.since() == 1
    assert SERVICE_KEY in cache.children(KEY)
