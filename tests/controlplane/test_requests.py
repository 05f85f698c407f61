"""What the operator asks of the API server, counted by the server's own audit log."""

import asyncio
from collections.abc import Callable

import pytest

from casita.config import Site
from tests.cluster.control_plane import ControlPlane
from tests.controlplane.conftest import Operate
from tests.support.audit import counts, requests, writes
from tests.support.bed import Bed
from tests.support.cluster import Json, eventually
from tests.support.gateway import Gateway

OBJECTS = 8
"""Four Secrets, Service, NetworkPolicy, route, scheduler."""

QUIET_SECONDS = 20.0
"""How long nothing may be asked; the bench looks for ten minutes."""

Asked = Callable[[], list[Json]]


@pytest.fixture
def asked(plane: ControlPlane, namespace: str) -> Asked:
    """Returns the operator's requests in this namespace so far."""
    return lambda: list(requests(plane.audit_events(), namespace))


async def make_ready(bed: Bed, gateway: Gateway, name: str, workers: int) -> None:
    """Create a session and play kubelet and gateway until it is ready with its workers."""
    bed.create(name, scaling={"mode": "Manual"}, replicas=workers)
    await bed.until_issued(name)
    pools = [f"local-{index}" for index in range(workers)]
    await eventually(lambda: bed.pods(name) == {"scheduler", *pools})
    gateway.route(bed.host(name), bed.files("scheduler", name=name))
    bed.answer_route(name=name)
    bed.mark_ready("scheduler", name=name)
    await bed.until("Ready", "True", name=name)


async def test_a_session_costs_nine_objects_and_one_per_worker_three_status_patches_two_events(
    bed: Bed, operate: Operate, routed: Site, gateway: Gateway, asked: Asked
) -> None:
    workers = 3
    with operate(routed):
        await make_ready(bed, gateway, "alice", workers)
    found = writes(asked())
    statuses = found.pop("patch analysissessions/status")
    events = found.pop("create events", 0)
    assert found.total() == OBJECTS + workers <= 9 + workers, found
    assert {name.split()[0] for name in found} == {"create"}
    assert statuses <= 3
    assert events <= 2
    assert "get secrets" not in counts(asked())


async def test_nothing_is_asked_while_nothing_happens(
    bed: Bed, operate: Operate, routed: Site, gateway: Gateway, asked: Asked
) -> None:
    with operate(routed):
        for name in ("alice", "bob"):
            await make_ready(bed, gateway, name, 1)
        before = len(asked())
        await asyncio.sleep(QUIET_SECONDS)  # the time itself is what is looked at
        assert asked()[before:] == []


async def test_a_restart_writes_nothing_and_reads_only_lists(
    bed: Bed, operate: Operate, routed: Site, gateway: Gateway, asked: Asked
) -> None:
    names = [f"s{index}" for index in range(5)]
    with operate(routed):
        for name in names:
            await make_ready(bed, gateway, name, 1)
    before = len(asked())
    with operate(routed) as operator:
        await eventually(lambda: len(operator.process.cache.sessions) == len(names))
        # Something that does happen, so that the pass over all is known to be over.
        bed.edit("s0", profile="none")
        await bed.until("Ready", "False", "UnknownProfile", name="s0")
        await eventually(lambda: not len(operator.process.queue))
    found = counts(asked()[before:])
    kinds = {
        verb: {n.split()[1] for n in found if n.startswith(verb)} for verb in ("list", "watch")
    }
    assert found.pop("patch analysissessions/status") == 1
    assert found.pop("create events", 0) <= 1
    assert {name.split()[0] for name in found} == {"list", "watch"}, found
    assert len(kinds["list"]) == len(kinds["watch"]) == 6
