"""One namespace of a cluster without nodes, and the words that tests use of what is in it."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from casita.api.names import slug
from tests.support.cluster import KINDS, MERGE, SESSION, Cluster, Json, condition, eventually

CHILDREN = ("Secret", "Service", "NetworkPolicy", "TLSRoute", "Pod")
ROLES = ("authority", "scheduler", "worker", "client")
NODE = "no-such-node"


@dataclass
class Bed:
    """Sessions in one namespace, their children, and what kubelet and gateway would say of them.

    Attributes:
        cluster: the API server, by an admin's identity.
        namespace: where everything is.
        kinds: kinds of children on this site.
    """

    cluster: Cluster
    namespace: str
    kinds: tuple[str, ...] = CHILDREN
    domain: str = field(default="af.test")

    # -- sessions -------------------------------------------------------------------------------

    def manifest(self, name: str = "alice", **spec: Any) -> Json:
        """Build a session."""
        return {
            "apiVersion": SESSION[0],
            "kind": SESSION[1],
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"user": "alice", **spec},
        }

    def create(self, name: str = "alice", **spec: Any) -> Json:
        """Create a session."""
        return self.cluster.create(self.manifest(name, **spec))

    def session(self, name: str = "alice") -> Json:
        """Read a session."""
        return self.cluster.get(*SESSION, name, self.namespace)

    def edit(self, name: str = "alice", **spec: Any) -> Json:
        """Change fields of a session's specification."""
        return self.cluster.patch(*SESSION, name, self.namespace, {"spec": spec}, MERGE)

    def delete(self, name: str = "alice", **options: Any) -> None:
        """Delete a session."""
        self.cluster.delete(*SESSION, name, self.namespace, **options)

    def status(self, name: str = "alice") -> Json:
        """Read a session's status."""
        return dict(self.session(name).get("status") or {})

    async def until(
        self,
        kind: str,
        status: str,
        reason: str | None = None,
        *,
        name: str = "alice",
        seconds: float = 20.0,
    ) -> Json:
        """Wait until a condition of the present generation is so; return the session."""

        def look() -> Json:
            session = self.session(name)
            found = condition(session, kind)
            assert found, "no such condition yet"
            assert found["observedGeneration"] == session["metadata"]["generation"], found
            assert (found["status"], reason or found["reason"]) == (status, found["reason"]), found
            return session

        return await eventually(look, seconds, what=f"{name}: {kind}={status} {reason or ''}")

    async def until_issued(self, name: str = "alice", *, seconds: float = 20.0) -> Json:
        """Wait until credentials, static objects and pods are there; return the session."""
        await self.until("CredentialsReady", "True", name=name, seconds=seconds)
        await eventually(lambda: self.child("Pod", "scheduler", name=name), seconds)
        return self.session(name)

    # -- children -------------------------------------------------------------------------------

    def child_name(self, suffix: str = "", *, name: str = "alice") -> str:
        """Return a child's name; Service, route and policy have none but the slug."""
        prefix = slug(self.namespace, name)
        return f"{prefix}-{suffix}" if suffix else prefix

    def child(self, kind: str, suffix: str = "", *, name: str = "alice") -> Json:
        """Read a child."""
        return self.cluster.get(*KINDS[kind], self.child_name(suffix, name=name), self.namespace)

    def uid(self, kind: str, suffix: str = "", *, name: str = "alice") -> str:
        """Return a child's uid."""
        return str(self.child(kind, suffix, name=name)["metadata"]["uid"])

    def edit_child(
        self, kind: str, suffix: str, body: Any, content_type: str = MERGE, *, name: str = "alice"
    ) -> Json:
        """Patch a child, as a person with kubectl would."""
        return self.cluster.patch(
            *KINDS[kind], self.child_name(suffix, name=name), self.namespace, body, content_type
        )

    def delete_child(self, kind: str, suffix: str = "", *, name: str = "alice") -> None:
        """Delete a child, as a person with kubectl would."""
        self.cluster.delete(*KINDS[kind], self.child_name(suffix, name=name), self.namespace)

    def children(self, *kinds: str, name: str | None = None) -> dict[tuple[str, str], Json]:
        """Return what is there of these kinds, or of all, by kind and what follows the slug."""
        prefix = slug(self.namespace, name) if name else None
        return {
            (kind, item["metadata"]["name"].removeprefix(prefix or "")): item
            for kind in kinds or self.kinds
            for item in self.cluster.items(*KINDS[kind], self.namespace)
            if prefix is None or item["metadata"]["name"].startswith(prefix)
        }

    def pods(self, name: str = "alice") -> set[str]:
        """Return what follows the slug in the names of a session's pods that are not going."""
        return {
            suffix.removeprefix("-")
            for (_, suffix), pod in self.children("Pod", name=name).items()
            if "deletionTimestamp" not in pod["metadata"]
        }

    def files(self, role: str, *, name: str = "alice") -> dict[str, bytes]:
        """Return the content of one of a session's Secrets."""
        data = self.child("Secret", role, name=name)["data"]
        return {file: base64.b64decode(text) for file, text in data.items()}

    def serials(self, name: str = "alice") -> dict[str, str]:
        """Return the serial numbers of a session's certificates, as its status tells them."""
        return {c["name"]: c["id"] for c in self.status(name).get("credentials") or ()}

    def events(self) -> list[Json]:
        """Return the Kubernetes events of this namespace."""
        return self.cluster.items(*KINDS["Event"], self.namespace)

    # -- kubelet's part -------------------------------------------------------------------------

    def place(self, suffix: str, *, name: str = "alice") -> None:
        """Give a pod to a node: from now on it goes only when `clear` says it has ended."""
        self.cluster.bind(self.child_name(suffix, name=name), self.namespace, NODE)

    def clear(self, suffix: str, *, name: str = "alice") -> None:
        """Say that a pod that was told to end has ended."""
        pod = self.child_name(suffix, name=name)
        self.cluster.delete("v1", "Pod", pod, self.namespace, gracePeriodSeconds=0)

    def mark(self, suffix: str, status: Json, *, name: str = "alice") -> None:
        """Set fields of a pod's status."""
        pod = self.child_name(suffix, name=name)
        self.cluster.patch(
            "v1", "Pod", pod, self.namespace, {"status": status}, subresource="status"
        )

    def mark_ready(self, *suffixes: str, name: str = "alice") -> None:
        """Say that pods run and answer."""
        for suffix in suffixes:
            self.mark(suffix, pod_status(ready=True), name=name)

    def mark_ended(
        self, suffix: str, reason: str = "Error", code: int = 1, *, at: str, name: str = "alice"
    ) -> None:
        """Say that a pod's process has ended for good, at the time `at`."""
        end = {"exitCode": code, "reason": reason, "finishedAt": at, "startedAt": at}
        phase = "Failed" if code else "Succeeded"
        self.mark(suffix, pod_status(phase, state={"terminated": end}), name=name)

    # -- the gateway's part ---------------------------------------------------------------------

    def host(self, name: str = "alice") -> str:
        """Return the host of a session."""
        return f"{slug(self.namespace, name)}.dask.{self.domain}"

    def answer_route(
        self, accepted: str = "True", reason: str = "Accepted", *, name: str = "alice"
    ) -> None:
        """Say of a session's route what the gateway would."""
        route = self.child("TLSRoute", name=name)
        said = {
            "type": "Accepted",
            "status": accepted,
            "reason": reason,
            "message": f"said with {reason}",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
            "observedGeneration": route["metadata"]["generation"],
        }
        parent = {
            "parentRef": route["spec"]["parentRefs"][0],
            "controllerName": "example.org/gateway",
            "conditions": [said],
        }
        self.cluster.patch(
            *KINDS["TLSRoute"],
            route["metadata"]["name"],
            self.namespace,
            {"status": {"parents": [parent]}},
            subresource="status",
        )


def pod_status(phase: str = "Running", *, ready: bool = False, state: Json | None = None) -> Json:
    """Build a pod's status with its one container."""
    answer = "True" if ready else "False"
    container = {
        "name": "any",
        "image": "any",
        "imageID": "",
        "ready": ready,
        "restartCount": 0,
        "state": state or {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
    }
    return {
        "phase": phase,
        "conditions": [
            {"type": "PodScheduled", "status": "True"},
            {"type": "Ready", "status": answer},
        ],
        "containerStatuses": [container],
    }


def texts(value: Any) -> Iterator[str]:
    """Yield every text within plain data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield from texts(key)
            yield from texts(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from texts(entry)
