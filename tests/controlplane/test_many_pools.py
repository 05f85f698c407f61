"""Fifty sessions at once, each with two small pools: all are served, and nothing is done twice."""

from collections import Counter

from casita.config import Site
from tests.cluster.control_plane import ControlPlane
from tests.controlplane.conftest import Operate
from tests.support.audit import requests, writes
from tests.support.bed import Bed
from tests.support.cluster import SESSION, Json, condition, eventually
from tests.support.kubelet import kubelet

SESSIONS = 50
OBJECTS = 7
"""Four Secrets, Service, NetworkPolicy, scheduler: without a route or tokens."""

POOLS: list[Json] = [{"pool": "near", "min": 1, "max": 2}, {"pool": "far", "min": 1, "max": 4}]
MANUAL = 5
"""Workers asked for: both of the first pool, three of the second."""

ADAPTIVE = 2
"""The minimum of both pools: no scheduler asks for more here."""

WORKERS = SESSIONS // 2 * (MANUAL + ADAPTIVE)
SECONDS = 120.0


def served(session: Json) -> Json:
    """Return how a session stands, told in the words of its status."""
    status = session.get("status") or {}
    return {
        "ready": condition(session, "Ready").get("status"),
        "workers": condition(session, "WorkersReady").get("reason"),
        "replicas": status.get("replicas"),
        "pools": {pool["pool"]: pool["ready"] for pool in status.get("workers") or ()},
    }


async def test_fifty_sessions_with_pools_come_up_at_once_within_the_budget(
    bed: Bed, operate: Operate, unrouted: Site, plane: ControlPlane
) -> None:
    manual = {
        "ready": "True",
        "workers": "Served",
        "replicas": MANUAL,
        "pools": {"near": 2, "far": 3},
    }
    adaptive = {
        "ready": "True",
        "workers": "Served",
        "replicas": ADAPTIVE,
        "pools": {"near": 1, "far": 1},
    }

    def all_served() -> bool:
        sessions = bed.cluster.items(*SESSION, bed.namespace)
        for session in sessions:
            by_hand = session["spec"]["scaling"]["mode"] == "Manual"
            assert served(session) == (manual if by_hand else adaptive), session["metadata"]["name"]
        return len(sessions) == SESSIONS

    with operate(unrouted):
        async with kubelet(bed):
            for number in range(SESSIONS):
                hand = {"scaling": {"mode": "Manual"}, "replicas": MANUAL} if number % 2 else {}
                bed.create(f"s{number}", workers=POOLS, **hand)
            await eventually(all_served, SECONDS, pause=0.5)
        children = Counter(kind for kind, _ in bed.children("Secret", "Service", "Pod"))
    found = writes(requests(plane.audit_events(), bed.namespace))
    assert children == {"Secret": 4 * SESSIONS, "Service": SESSIONS, "Pod": SESSIONS + WORKERS}
    statuses = found.pop("patch analysissessions/status")
    events = found.pop("create events", 0)
    assert found.total() == OBJECTS * SESSIONS + WORKERS, found
    assert {name.split()[0] for name in found} == {"create"}
    assert found["create pods"] == SESSIONS + WORKERS
    # Pods become ready one after the other here, and each that does may be told by itself.
    assert statuses <= 3 * SESSIONS + WORKERS
    assert events <= 2 * SESSIONS
