"""A hundred logins at once: each gets a server and a session of its own, and nothing is done twice.

How long it takes, and what keeps the hub busy meanwhile, is measured by
``tests/performance/logins.py``.
"""

import asyncio
from collections import Counter

from casita.api.names import slug
from casita.config import Site
from tests.cluster.control_plane import ControlPlane
from tests.controlplane.conftest import MakeHub, Operate
from tests.support.audit import WRITES, counts
from tests.support.bed import Bed
from tests.support.cluster import SESSION, Json
from tests.support.hub import HERE, Hub
from tests.support.kubelet import kubelet

LOGINS = 100
START_SECONDS = 200

WRITES_PER_LOGIN = {"create analysissessions": 1, "create pods": 1}
"""All that a first login asks of the API server: the watches tell the rest."""

READS = 72
"""However many log in: a list of sessions, pods and events, then a list and a watch of each anew
every ten seconds at the most, for two minutes. A watch for each login would be more at once."""


async def logged_in(hub: Hub, user: str) -> Json:
    """Log in, ask for a server, and return the last that is told of its start."""
    status, told = await hub.start(user)
    assert status in (201, 202), told
    *_, last = await hub.progress(user)
    return dict(last)


def asked_by_the_hub(plane: ControlPlane, namespace: str) -> Counter[str]:
    """Count the requests of the hub's account; a watch tells of its end, which is no request."""
    account = f"system:serviceaccount:{namespace}:casita-hub"
    return counts(
        event
        for event in plane.audit_events()
        if event["user"]["username"] == account
        and event.get("objectRef")
        and not (event["verb"] == "watch" and event["stage"] == "ResponseComplete")
    )


async def test_a_hundred_logins_at_once_get_a_server_and_a_session_each_within_the_budget(
    bed: Bed, operate: Operate, unrouted: Site, make_hub: MakeHub, plane: ControlPlane
) -> None:
    users = [f"user{number:03d}" for number in range(LOGINS)]
    hub = make_hub(operator_seconds=START_SECONDS)
    hub.configure(
        {
            "JupyterHub": {"concurrent_spawn_limit": 0},
            "CasitaSpawner": {
                "start_timeout": START_SECONDS,
                "http_timeout": START_SECONDS,
                "session_seconds": START_SECONDS,
                # On a slow machine a request is not given up, to be sent again: it is counted.
                "k8s_api_request_timeout": START_SECONDS,
                "k8s_api_request_retry_timeout": START_SECONDS,
            },
        }
    )
    with operate(unrouted):
        async with hub.running(), kubelet(bed, HERE):
            ends = await asyncio.gather(*(logged_in(hub, user) for user in users))
    assert [end for end in ends if not end.get("ready")] == []
    sessions = bed.cluster.items(*SESSION, bed.namespace)
    assert {s["metadata"]["name"]: s["spec"]["user"] for s in sessions} == {u: u for u in users}
    label = "casita.dev/component=notebook"
    pods = bed.cluster.items("v1", "Pod", bed.namespace, label_selector=label)
    servers = {p["metadata"]["annotations"]["hub.jupyter.org/username"]: p for p in pods}
    assert len(pods) == LOGINS
    assert {
        user: pod["metadata"]["labels"]["casita.dev/session"] for user, pod in servers.items()
    } == {user: slug(bed.namespace, user) for user in users}
    asked = asked_by_the_hub(plane, bed.namespace)
    writes = {what: number for what, number in asked.items() if what.split()[0] in WRITES}
    assert writes == {what: number * LOGINS for what, number in WRITES_PER_LOGIN.items()}
    assert asked.total() - sum(writes.values()) <= READS, asked


async def test_a_pod_whose_creation_was_given_up_is_replaced_and_its_session_goes_on(
    bed: Bed, operate: Operate, unrouted: Site, make_hub: MakeHub
) -> None:
    """A busy hub gives a request up after three seconds; the API server may have heard it."""
    container = {"name": "notebook", "image": "example.org/notebook:1"}
    bed.cluster.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": "jupyter-alice",
                "namespace": bed.namespace,
                "labels": {"component": "singleuser-server"},
            },
            "spec": {"containers": [container]},
        }
    )
    with operate(unrouted):
        async with make_hub().running() as hub, kubelet(bed, HERE):
            end = await logged_in(hub, "alice")
    assert end.get("ready"), end
    assert bed.session("alice")["spec"]["lifecycle"] == "Running"
