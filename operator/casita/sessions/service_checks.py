"""One check of a part of the site, by the way that the part asks for, and why it failed."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote

from casita.clients.checking.process import run_check
from casita.clients.checking.request import CheckAnswer, CheckRequest, ServiceCheck
from casita.clients.checking.service import check_service
from casita.clients.errors import ApiError
from casita.clients.kubernetes import KubernetesClient
from casita.manifests.resources import POD
from casita.sessions.observed import pod_state

MAX_PODS: Final = 20
"""As many of a server's pods are looked at."""

_MAX_MESSAGE: Final = 900


async def check_part(request: CheckRequest, client: KubernetesClient) -> CheckAnswer:
    """Check one part of the site.

    Args:
        request: what to check.
        client: to ask why pods are not up, once for each failure.
    """
    if not isinstance(request, ServiceCheck):
        return await run_check(request)
    answer = await check_service(request)
    if answer.ok or request.pods is None:
        return answer
    why = await _why_not_up(client, request.pods.namespace, request.pods.labels)
    return replace(answer, message=f"{answer.message}; {why}"[:_MAX_MESSAGE])


async def _why_not_up(client: KubernetesClient, namespace: str, labels: Mapping[str, str]) -> str:
    selector = quote(",".join(f"{name}={value}" for name, value in labels.items()))
    path = f"{POD.path(namespace)}?labelSelector={selector}&limit={MAX_PODS}"
    try:
        found = await client.list_page(path, "application/json")
    except ApiError as error:
        return f"why its pods are not up is not known: {error}"
    return pods_trouble(found.get("items") or ())


def pods_trouble(pods: Iterable[Mapping[str, Any]]) -> str:
    """Say why a service's pods are not up, each reason once; pods that go say nothing."""
    states = [
        pod_state(pod.get("status") or {})
        for pod in pods
        if "deletionTimestamp" not in pod["metadata"]
    ]
    if not states:
        return "it has no pod"
    lines = {f"{s.reason}: {s.message}" if s.message else str(s.reason) for s in states}
    return f"its pods: {'; '.join(sorted(lines))}"
