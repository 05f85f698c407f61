"""A cluster as tests see it: the generated client, and waiting with a deadline."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import kubernetes
from kubernetes.dynamic import DynamicClient

SESSION: Final = ("casita.dev/v1alpha1", "AnalysisSession")
KINDS: Final = {
    kind: (api_version, kind)
    for api_version, kind in (
        SESSION,
        ("v1", "Namespace"),
        ("v1", "Secret"),
        ("v1", "Service"),
        ("v1", "Pod"),
        ("v1", "ConfigMap"),
        ("v1", "ServiceAccount"),
        ("networking.k8s.io/v1", "NetworkPolicy"),
        ("gateway.networking.k8s.io/v1", "TLSRoute"),
        ("traefik.io/v1alpha1", "IngressRouteTCP"),
        ("events.k8s.io/v1", "Event"),
        ("rbac.authorization.k8s.io/v1", "Role"),
        ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    )
}
"""API version and kind, by kind."""

MERGE: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"

Json = dict[str, Any]
T = TypeVar("T")


class Cluster:
    """Objects on one API server, by one identity."""

    def __init__(self, kubeconfig: Path) -> None:
        client = kubernetes.config.new_client_from_config(str(kubeconfig))
        self._dynamic = DynamicClient(client)

    def resource(self, api_version: str, kind: str) -> Any:
        """Return the dynamic client's handle of a kind."""
        return self._dynamic.resources.get(api_version=api_version, kind=kind)

    def create(self, manifest: Json, **options: Any) -> Json:
        """Create an object."""
        handle = self.resource(manifest["apiVersion"], manifest["kind"])
        namespace = manifest["metadata"].get("namespace")
        answer = handle.create(body=manifest, namespace=namespace, **options)
        return dict(answer.to_dict())

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Json:
        """Read an object."""
        handle = self.resource(api_version, kind)
        return dict(handle.get(name=name, namespace=namespace).to_dict())

    def items(
        self, api_version: str, kind: str, namespace: str | None = None, **options: Any
    ) -> list[Json]:
        """List objects."""
        answer = self.resource(api_version, kind).get(namespace=namespace, **options).to_dict()
        return list(answer["items"])

    def patch(
        self,
        api_version: str,
        kind: str,
        name: str,
        namespace: str | None,
        body: Any,
        content_type: str = MERGE,
        subresource: str | None = None,
    ) -> Json:
        """Patch an object, or a subresource of it."""
        handle = self.resource(api_version, kind)
        if subresource is not None:
            handle = handle.subresources[subresource]
        answer = handle.patch(name=name, namespace=namespace, body=body, content_type=content_type)
        return dict(answer.to_dict())

    def delete(
        self, api_version: str, kind: str, name: str, namespace: str | None = None, **options: Any
    ) -> None:
        """Delete an object; `options` are fields of DeleteOptions."""
        self.resource(api_version, kind).delete(name=name, namespace=namespace, body=options)

    def bind(self, pod: str, namespace: str, node: str) -> None:
        """Give a pod to a node, as the kube-scheduler would; the node need not exist."""
        target = {"apiVersion": "v1", "kind": "Node", "name": node}
        body = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": pod, "namespace": namespace},
            "target": target,
        }
        handle = self.resource("v1", "Pod").subresources["binding"]
        handle.create(name=pod, namespace=namespace, body=body)


async def eventually(
    look: Callable[[], T], seconds: float = 20.0, *, what: str = "", pause: float = 0.05
) -> T:
    """Call `look` until it returns something true, and return that.

    A not-found answer or a failed assertion inside counts as not yet. At the deadline the last
    error, or the last value, is told.
    """
    deadline = time.monotonic() + seconds
    last: object = None
    while time.monotonic() < deadline:
        try:
            found = await asyncio.to_thread(look)
            if found:
                return found
            last = found
        except (AssertionError, LookupError, kubernetes.client.ApiException) as error:
            last = error
        await asyncio.sleep(pause)
    raise AssertionError(f"not within {seconds:g} s: {what or look!r}; last: {last!r}")


async def repeatedly(
    send: Callable[[], Awaitable[T]], done: Callable[[T], bool], seconds: float = 10.0
) -> T:
    """Send until the answer is as wanted, and return it."""
    deadline = time.monotonic() + seconds
    while not done(answer := await send()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s; last answer: {answer!r}"
        await asyncio.sleep(0.05)
    return answer


def condition(session: Json, kind: str) -> Json:
    """Return one condition of a session."""
    conditions = (session.get("status") or {}).get("conditions") or []
    return next((c for c in conditions if c["type"] == kind), {})
