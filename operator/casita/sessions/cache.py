"""The operator's picture of the sessions and their children, fed by watches and own writes."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from casita.api.names import KIND
from casita.manifests.resources import SECRET, Resource
from casita.sessions.observed import Child, ChildKey, child_of, controller

SessionKey = tuple[str, str]
"""Namespace and name."""

STATUS: Final[ChildKey] = KIND, "status"
"""Stands for a session's own status among what is written for it."""


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One AnalysisSession as last seen.

    Attributes:
        version: the newest seen or written.
        finalizers: what its deletion waits for, as of that version.
        deleted_at: when its deletion was asked for, as Kubernetes writes it; empty if it was not.
    """

    uid: str
    generation: int
    spec: Mapping[str, Any]
    status: Mapping[str, Any]
    deleting: bool
    version: int = field(compare=False)
    finalizers: tuple[str, ...] = ()
    deleted_at: str = ""


@dataclass
class Cache:
    """Sessions and their children; `changed` is told the key of each session to look at again.

    A write's own event may come before its answer. `writing` holds such events back, by version,
    until the answer tells which of them was the write's: the others are news.
    """

    changed: Callable[[SessionKey], None]
    sessions: dict[SessionKey, SessionRecord] = field(default_factory=dict)
    _children: dict[SessionKey, dict[ChildKey, Child]] = field(default_factory=dict)
    _owners: dict[tuple[str, ChildKey], str] = field(default_factory=dict)
    _unanswered: dict[tuple[SessionKey, ChildKey], set[int]] = field(default_factory=dict)

    def children(self, key: SessionKey) -> Mapping[ChildKey, Child]:
        """Return what is known of a session's children, those of a predecessor included."""
        return self._children.get(key, {})

    def owners(self) -> set[SessionKey]:
        """Return the sessions that have children, known themselves or not yet."""
        return set(self._children)

    # -- sessions, from kopf ------------------------------------------------------------------

    def session_seen(self, item: Mapping[str, Any]) -> None:
        """Take in a session; look at it again unless nothing but our own status changed.

        kopf tells events of different objects in no order: what is older than what is known is
        another session's, gone by now, or was overtaken by our own status.
        """
        metadata = item["metadata"]
        key = metadata["namespace"], metadata["name"]
        known = self.sessions.get(key)
        record = SessionRecord(
            uid=metadata["uid"],
            generation=metadata["generation"],
            spec=item.get("spec") or {},
            status=item.get("status") or {},
            deleting="deletionTimestamp" in metadata,
            version=int(metadata["resourceVersion"]),
            finalizers=tuple(metadata.get("finalizers") or ()),
            deleted_at=metadata.get("deletionTimestamp", ""),
        )
        if known is not None and record.version < known.version:
            if record.uid != known.uid:
                return
            record = replace(
                record, status=known.status, version=known.version, finalizers=known.finalizers
            )
        if known is not None and known == record:
            record = replace(known, version=record.version)  # one status, not two, is kept
        self.sessions[key] = record
        if known is None or replace(known, status=record.status) != record:
            self.changed(key)
        elif known.status != record.status:
            self._news(key, STATUS, record.version)

    def session_gone(self, namespace: str, name: str, uid: str) -> None:
        """Forget a session, unless another has its name by now; children leave by own events."""
        key = namespace, name
        known = self.sessions.get(key)
        if known is not None and known.uid == uid:
            del self.sessions[key]
            self.changed(key)

    def status_written(
        self, key: SessionKey, metadata: Mapping[str, Any], status: Mapping[str, Any]
    ) -> None:
        """Note our own status, with the metadata of the answer, so that its event is no news."""
        version = int(metadata["resourceVersion"])
        self._unanswered.get((key, STATUS), set()).discard(version)
        record = self.sessions.get(key)
        if record is not None and record.uid == metadata["uid"] and record.version <= version:
            finalizers = tuple(metadata.get("finalizers") or ())
            self.sessions[key] = replace(
                record, status=status, version=version, finalizers=finalizers
            )

    def finalizers_written(self, key: SessionKey, metadata: Mapping[str, Any]) -> None:
        """Note finalizers that we wrote, from the metadata of the answer."""
        record = self.sessions.get(key)
        if record is not None:
            self.status_written(key, metadata, record.status)

    # -- children, from watches (casita.clients.watch.Listener) ---------------------------------

    def seen(self, resource: Resource, namespace: str, item: dict[str, Any]) -> None:
        """Take in a child; what is older than what is known is passed over."""
        child = child_of(resource, item)
        place = namespace, (resource.kind, item["metadata"]["name"])
        owner = _owner_name(item)
        if place in self._owners and self._owners[place] != owner:
            self._drop(namespace, place[1])  # its owner reference was taken away or changed
        if child is None or owner is None:
            return
        key = namespace, owner
        known = self._children.get(key, {}).get(child.key)
        if known is not None and known.version > child.version:
            return
        if known is not None and known.uid == child.uid:
            same = (known.pod, known.route) == (child.pod, child.route)
            if known.version == child.version and same:
                return  # our own write, or what a list told already
            child = replace(child, suspect=resource is SECRET)  # changed, and not by us
        self._put(key, child)
        self._news(key, child.key, child.version)

    def gone(self, resource: Resource, namespace: str, item: dict[str, Any]) -> None:
        """Forget a child, unless another has its name by now."""
        metadata = item["metadata"]
        place = namespace, (resource.kind, metadata["name"])
        owner = self._owners.get(place)
        if owner is None:
            return
        known = self._children.get((namespace, owner), {}).get(place[1])
        if known is not None and known.uid == metadata["uid"]:
            self._drop(namespace, place[1])

    def listed(
        self, resource: Resource, namespace: str, names: frozenset[str], version: int
    ) -> None:
        """Forget the children that a full list does not have, unless they are newer than it."""
        vanished = [
            key
            for (where, key), owner in self._owners.items()
            if where == namespace
            and key[0] == resource.kind
            and key[1] not in names
            and self._children[namespace, owner][key].version <= version
        ]
        for key in vanished:
            self._drop(namespace, key)

    # -- own writes ---------------------------------------------------------------------------

    @contextmanager
    def writing(self, key: SessionKey, child: ChildKey) -> Iterator[None]:
        """Hold events of a child, or of `STATUS`, back while a write of it has no answer yet.

        Every version that `written` did not name by the end is news, and all are without an answer.
        """
        versions = self._unanswered[key, child] = set()
        try:
            yield
        finally:
            del self._unanswered[key, child]
            if versions:
                self._tell(key)

    def written(
        self, key: SessionKey, resource: Resource, metadata_item: Mapping[str, Any]
    ) -> None:
        """Note a child that we created or applied, from the metadata of the answer.

        An event may have been here first, and may know more of a pod or a route than the answer.
        """
        child = child_of(resource, metadata_item)
        if child is None:
            return
        others = self._unanswered.get((key, child.key), set())
        others.discard(child.version)
        pod, route = child.pod, child.route
        known = self._children.get(key, {}).get(child.key)
        if known is not None and known.uid == child.uid:
            if known.version > child.version or others:
                return  # somebody else has written too: what the events tell is the truth
            pod, route = known.pod, known.route
        self._put(key, replace(child, pod=pod, route=route, suspect=False))

    def settled(self, key: SessionKey, child: ChildKey) -> None:
        """Note that a child was compared, or read and verified: it is as planned."""
        known = self._children.get(key, {}).get(child)
        if known is not None:
            self._put(key, replace(known, unchecked=None, suspect=False))

    def removed(self, key: SessionKey, child: Child) -> None:
        """Note that we asked for a child's deletion; it leaves when its event comes."""
        known = self._children.get(key, {}).get(child.key)
        if known is not None and known.uid == child.uid:
            self._put(key, replace(known, deleting=True))

    def _put(self, key: SessionKey, child: Child) -> None:
        self._children.setdefault(key, {})[child.key] = child
        self._owners[key[0], child.key] = key[1]

    def _drop(self, namespace: str, child: ChildKey) -> None:
        owner = self._owners.pop((namespace, child), None)
        if owner is None:
            return
        key = namespace, owner
        mine = self._children.get(key, {})
        mine.pop(child, None)
        if not mine:
            self._children.pop(key, None)
        self._tell(key)

    def _news(self, key: SessionKey, child: ChildKey, version: int) -> None:
        """Tell of a change, unless it may be a write's own."""
        held_back = self._unanswered.get((key, child))
        if held_back is None:
            self._tell(key)
        else:
            held_back.add(version)

    def _tell(self, key: SessionKey) -> None:
        """Tell of a change; that of a session which is not known yet is told when it is."""
        if key in self.sessions:
            self.changed(key)


def _owner_name(item: Mapping[str, Any]) -> str | None:
    """Return the name of the session that controls an object."""
    owner = controller(item["metadata"])
    return owner[0] if owner else None
