"""What was seen of a session's children, reduced to what decisions need."""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from sys import intern
from typing import Any, Final

from casita.api.conditions import Reason
from casita.api.names import (
    AUTHORITY_ANNOTATION,
    CERTIFICATE_ANNOTATION,
    COMPONENT_LABEL,
    GROUP,
    HASH_ANNOTATION,
    KIND,
    MANAGER,
    POOL_LABEL,
)
from casita.manifests.containers import INSTANT
from casita.manifests.resources import (
    INGRESS_ROUTE_TCP,
    NETWORK_POLICY,
    POD,
    SECRET,
    SERVICE,
    TLS_ROUTE,
    Resource,
)
from casita.manifests.secrets import FILES

ChildKey = tuple[str, str]
"""Kind and name, within one session's namespace."""

_COMPARED: Final = {r.kind for r in (SERVICE, NETWORK_POLICY, TLS_ROUTE, INGRESS_ROUTE_TCP)}
_EXACT: Final = frozenset({"selector", "matchLabels"})
_IMAGE_REASONS: Final = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}
)


@dataclass(frozen=True, slots=True)
class PodState:
    """How a pod is."""

    ready: bool = False
    ended: bool = False
    succeeded: bool = False
    ended_at: str | None = None
    reason: Reason = Reason.STARTING
    message: str = ""


@dataclass(frozen=True, slots=True)
class RouteState:
    """What the gateway says of a route; `None` is: nothing yet."""

    accepted: bool | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Child:
    """One owned object.

    Attributes:
        owner_uid: uid of the session that controls it.
        unchecked: specification as JSON, kept only until it has been compared with the plan.
        suspect: its content may not be what we wrote (Secrets, watched by metadata alone).
    """

    resource: Resource
    name: str
    uid: str
    owner_uid: str
    version: int
    deleting: bool
    labels: Mapping[str, str]
    facts: Mapping[str, str]
    unchecked: bytes | None = None
    suspect: bool = False
    pod: PodState | None = None
    route: RouteState | None = None

    @property
    def key(self) -> ChildKey:
        """Kind and name."""
        return self.resource.kind, self.name

    @property
    def planned_hash(self) -> str | None:
        """Hash of the object as it was planned when last written."""
        return self.facts.get(HASH_ANNOTATION)

    @property
    def component(self) -> str:
        """Role within the session."""
        return self.labels.get(COMPONENT_LABEL, "")

    @property
    def pool(self) -> str:
        """Pool of a worker."""
        return self.labels.get(POOL_LABEL, "")


def controller(metadata: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return name and uid of the AnalysisSession that controls an object, if one does."""
    for reference in metadata.get("ownerReferences") or ():
        group = reference["apiVersion"].partition("/")[0]
        if reference.get("controller") and reference["kind"] == KIND and group == GROUP:
            return reference["name"], reference["uid"]
    return None


def child_of(resource: Resource, item: Mapping[str, Any]) -> Child | None:
    """Reduce an object as the API tells it, or its metadata alone; `None` if nobody's child.

    Text that many objects share is kept once: of 1,000 sessions it would be 7 MB.
    """
    metadata = item["metadata"]
    owner = controller(metadata)
    if owner is None:
        return None
    annotations = metadata.get("annotations") or {}
    return Child(
        resource=resource,
        name=metadata["name"],
        uid=metadata["uid"],
        owner_uid=intern(owner[1]),
        version=int(metadata["resourceVersion"]),
        deleting="deletionTimestamp" in metadata,
        labels={intern(k): intern(v) for k, v in (metadata.get("labels") or {}).items()},
        facts={intern(k): v for k, v in annotations.items() if k.startswith(GROUP)},
        unchecked=_specification(item) if resource.kind in _COMPARED else None,
        suspect=resource is SECRET and _touched(metadata),
        pod=_pod_state(item) if resource is POD else None,
        route=_route_state(resource, item),
    )


def authority_certificate(authority: Child) -> bytes | None:
    """Return the certificate, DER, that an authority's Secret tells in its metadata.

    `None` unless it is the one whose fingerprint stands beside it.
    """
    try:
        der = base64.b64decode(authority.facts.get(CERTIFICATE_ANNOTATION, ""), validate=True)
    except ValueError:
        return None
    # The fingerprint of `casita.credentials.x509.authority_fingerprint`, without parsing.
    fingerprint = hashlib.sha256(der).digest()[:8].hex()
    return der if fingerprint == authority.facts.get(AUTHORITY_ANNOTATION) else None


def _specification(item: Mapping[str, Any]) -> bytes | None:
    """Written metadata is answered without the specification: then there is nothing to compare."""
    return json.dumps(item["spec"]).encode() if "spec" in item else None


def _touched(metadata: Mapping[str, Any]) -> bool:
    """Say whether somebody else has written to a Secret, or taken files out of it.

    Seen without reading its content: the server notes who wrote which field. Who takes a field
    away is noted nowhere, but then it is nobody's.
    """
    role = metadata["name"].rpartition("-")[2]
    missing = set(FILES.get(role, ()))
    for entry in metadata.get("managedFields") or ():
        if entry.get("manager") != MANAGER:
            return True
        missing -= {name[2:] for name in entry.get("fieldsV1", {}).get("f:data", ())}
    return bool(missing)


def _pod_state(item: Mapping[str, Any]) -> PodState:
    return pod_state(item.get("status") or {}, item["metadata"].get("creationTimestamp"))


def pod_state(status: Mapping[str, Any], created: str | None = None) -> PodState:
    """Reduce a pod's status to what a condition can tell.

    `created` is when the pod was made: one that its node rejected has no other time.
    """
    conditions = {c["type"]: c for c in status.get("conditions") or ()}
    # The worker beside a scheduler may come and go: the pod is as its scheduler is.
    every = status.get("containerStatuses") or ()
    containers = [c for c in every if c["name"] != INSTANT]
    phase = status.get("phase")
    if phase in ("Succeeded", "Failed"):
        return _ended_state(phase, status, containers, created)
    without_instant = any(c["name"] == INSTANT and not c["ready"] for c in every)
    serves = without_instant and containers and all(c["ready"] for c in containers)
    if serves or conditions.get("Ready", {}).get("status") == "True":
        return PodState(ready=True, reason=Reason.READY)
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return PodState(reason=Reason.UNSCHEDULABLE, message=scheduled.get("message", ""))
    for container in containers:
        trouble = _trouble(container)
        if trouble:
            return trouble
    return PodState()


def _trouble(container: Mapping[str, Any]) -> PodState | None:
    waiting = container.get("state", {}).get("waiting") or {}
    if waiting.get("reason") in _IMAGE_REASONS:
        text = waiting.get("message") or waiting["reason"]
        return PodState(reason=Reason.IMAGE_PULL_FAILED, message=text)
    last = container.get("lastState", {}).get("terminated")
    if last:
        return PodState(reason=_end_reason(last), message=_end_message(last))
    if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
        text = f"{waiting['reason']}: {waiting.get('message', '')}".rstrip(": ")
        return PodState(reason=Reason.FAILED, message=text)
    return None


def _ended_state(
    phase: str,
    status: Mapping[str, Any],
    containers: Iterable[Mapping[str, Any]],
    created: str | None,
) -> PodState:
    ends = [end for c in containers if (end := c.get("state", {}).get("terminated"))]
    last: Mapping[str, Any] = ends[0] if ends else {}
    return PodState(
        ended=True,
        succeeded=phase == "Succeeded",
        ended_at=last.get("finishedAt") or status.get("startTime") or created,
        reason=_end_reason(last),
        message=status.get("message") or (_end_message(last) if last else "the pod ended"),
    )


def _end_reason(end: Mapping[str, Any]) -> Reason:
    return Reason.OUT_OF_MEMORY if end.get("reason") == "OOMKilled" else Reason.FAILED


def _end_message(end: Mapping[str, Any]) -> str:
    if end.get("reason") == "OOMKilled":
        return "killed for using more memory than its limit"
    text = f"last ended with exit code {end.get('exitCode')} ({end.get('reason', 'no reason')})"
    return f"{text}: {end['message'].strip()}" if end.get("message") else text


def _route_state(resource: Resource, item: Mapping[str, Any]) -> RouteState | None:
    if resource is INGRESS_ROUTE_TCP:
        return RouteState(accepted=True)  # it has no status: the probe alone proves it
    if resource is not TLS_ROUTE:
        return None
    generation = item["metadata"].get("generation", 0)
    for parent in (item.get("status") or {}).get("parents") or ():
        conditions = {c["type"]: c for c in parent.get("conditions") or ()}
        accepted = conditions.get("Accepted")
        if accepted is None or accepted.get("observedGeneration", generation) < generation:
            continue
        for condition in (accepted, conditions.get("ResolvedRefs")):
            if condition and condition["status"] == "False":
                text = f"{condition['reason']}: {condition.get('message', '')}".rstrip(": ")
                return RouteState(accepted=False, message=text)
        return RouteState(accepted=True)
    return RouteState()


def parse_time(text: str) -> datetime:
    """Read a time as Kubernetes writes it.

    Raises:
        ValueError: it is none, or has no time zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"a time with a zone is needed, got {text!r}")
    return moment


def deviates(planned: Any, actual: Any) -> bool:
    """Say whether `actual` is not what was planned.

    Fields that the server adds by default are no deviation; but lists must be equal in length, and
    selectors exactly equal, since one more entry there changes what is selected.
    """
    if planned == actual:
        return False
    if isinstance(planned, dict) and isinstance(actual, dict):
        for field, wanted in planned.items():
            found = actual.get(field)
            if wanted != found and (field in _EXACT or deviates(wanted, found)):
                return True
        return False
    if isinstance(planned, list) and isinstance(actual, list):
        return len(planned) != len(actual) or any(map(deviates, planned, actual))
    return True
