"""Whatever happens on the way, the same end is reached, with nothing left over and none twice."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from casita.clients.kubernetes import Connection
from casita.config import Site
from tests.cluster.control_plane import ControlPlane
from tests.controlplane.conftest import Operate, SiteWith, connect
from tests.support import proxy as faults
from tests.support.bed import ROLES, Bed
from tests.support.clock import Clock
from tests.support.cluster import Cluster, Json, condition, eventually
from tests.support.operator import Operator
from tests.support.proxy import Call, Fault, Proxy

MANUAL: Json = {"scaling": {"mode": "Manual"}, "replicas": 2}
OBJECTS = {
    *(("Secret", f"-{role}") for role in ROLES),
    ("Service", ""),
    ("NetworkPolicy", ""),
    ("TLSRoute", ""),
    ("Pod", "-scheduler"),
}


@pytest.fixture
def connection(plane: ControlPlane) -> Connection:
    return connect(plane.kubeconfig)


@pytest.fixture
def proxy(connection: Connection) -> Iterator[Proxy]:
    with Proxy(connection) as running:
        yield running


def whole(bed: Bed, name: str = "alice") -> bool:
    """Everything of a running session is there, once, of one authority, and the status says so."""
    children = bed.children(name=name)
    workers = {where for where in children if where[1].startswith("-local-")}
    assert children.keys() - workers == OBJECTS
    assert len(workers) == 2
    session = bed.session(name)
    uid = session["metadata"]["uid"]
    for child in children.values():
        assert [o["uid"] for o in child["metadata"]["ownerReferences"]] == [uid]
        assert "deletionTimestamp" not in child["metadata"]
    authorities = {
        child["metadata"]["annotations"]["casita.dev/authority"]
        for (kind, _), child in children.items()
        if kind in ("Secret", "Pod")
    }
    assert len(authorities) == 1
    assert session["status"]["observedGeneration"] == session["metadata"]["generation"]
    assert condition(session, "CredentialsReady")["status"] == "True"
    assert condition(session, "Ready")["reason"] == "Starting"
    assert {pool["requested"] for pool in session["status"]["workers"]} == {2}
    told = {c["name"]: c["id"] for c in session["status"]["credentials"]}
    present = {
        role: children["Secret", f"-{role}"]["metadata"]["annotations"]["casita.dev/serial"]
        for role in ROLES
    }
    assert told == present
    return True


def uids(bed: Bed) -> dict[tuple[str, str], str]:
    children = bed.children(name="alice")
    return {where: child["metadata"]["uid"] for where, child in children.items()}


def kill_after(allowed: int) -> tuple[faults.Decide, threading.Event]:
    """Return a decision that lets so many writes through and then nothing, and whether it did."""
    exhausted = threading.Event()
    lock = threading.Lock()
    left = [allowed]

    def decide(call: Call) -> Fault | None:
        if not call.writes:
            return None
        with lock:
            left[0] -= 1
            if left[0] >= 0:
                return None
        exhausted.set()
        return faults.KILL

    return decide, exhausted


async def run_killed(
    site: Site, connection: Connection, writes: int, done: Callable[[], bool], clock: Clock
) -> bool:
    """Run an operator until it is killed at a write, or is done; say whether it was killed."""
    with Proxy(connection) as proxy:
        proxy.decide, exhausted = kill_after(writes)
        operator = Operator(site, proxy.connection, clock=clock)
        with operator:
            await eventually(lambda: exhausted.is_set() or done(), 30)
            killed = exhausted.is_set()
            await asyncio.to_thread(operator.kill)
    return killed


async def test_killed_between_any_two_writes_a_fresh_operator_reaches_the_same_end(
    cluster: Cluster, connection: Connection, site_with: SiteWith
) -> None:
    """For every number of writes that the first operator gets to do, from none to all."""

    async def one(writes: int) -> bool:
        name = f"t-{uuid4().hex[:8]}"
        cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        bed, site = Bed(cluster, name), site_with(sessionNamespaces=[name])
        bed.create(**MANUAL)
        killed = await run_killed(site, connection, writes, lambda: whole(bed), Clock())
        with Operator(site, connection):
            await eventually(lambda: whole(bed), 30, what=f"whole, killed after {writes} writes")
        return killed

    writes = 0
    while all(await asyncio.gather(*(one(writes + more) for more in range(3)))):
        writes += 3
    assert writes >= 9


async def step_by_step(
    site: Site, connection: Connection, done: Callable[[], bool], clock: Clock
) -> int:
    """Run operators that are killed after one write each until one has nothing left to do."""
    for count in range(60):
        if not await run_killed(site, connection, 1, done, clock):
            return count
    raise AssertionError("no end after 60 writes")


async def made(bed: Bed, operate: Operate) -> dict[str, str]:
    with operate():
        bed.create(**MANUAL)
        await eventually(lambda: whole(bed))
    return bed.serials()


async def test_killed_after_each_write_of_a_new_run_everything_gets_new_keys(
    bed: Bed, operate: Operate, site: Site, connection: Connection
) -> None:
    before = await made(bed, operate)
    bed.edit(runId="2")

    def done() -> bool:
        return whole(bed) and not set(bed.serials().values()) & set(before.values())

    assert await step_by_step(site, connection, done, Clock()) >= 10


async def test_killed_after_each_write_of_a_stop_nothing_is_left(
    bed: Bed, operate: Operate, site: Site, connection: Connection
) -> None:
    await made(bed, operate)
    bed.edit(lifecycle="Stopped")

    def done() -> bool:
        stopped = condition(bed.session(), "Ready")["reason"] == "Stopped"
        return stopped and not bed.children() and not bed.status().get("credentials")

    assert await step_by_step(site, connection, done, Clock()) >= 10


async def test_killed_after_each_write_at_the_end_of_its_life_a_session_stays_stopped(
    bed: Bed, operate: Operate, site: Site, connection: Connection
) -> None:
    await made(bed, operate)
    clock = Clock()
    clock.forward(days=8)

    def done() -> bool:
        over = condition(bed.session(), "Ready")["reason"] == "LifetimeExceeded"
        return over and not bed.children() and not bed.status().get("credentials")

    assert await step_by_step(site, connection, done, clock) >= 10


async def test_killed_after_each_write_of_a_renewal_all_leaves_are_new_and_nothing_else(
    bed: Bed, operate: Operate, site: Site, connection: Connection
) -> None:
    before = await made(bed, operate)
    uids = {child["metadata"]["uid"] for child in bed.children().values()}
    clock = Clock()
    clock.forward(days=5)

    def done() -> bool:
        after = bed.serials()
        kept = {role for role in ROLES if before[role] == after[role]}
        return whole(bed) and kept == {"authority"}

    # Three leaves; and the event, if the end was not seen before it.
    assert await step_by_step(site, connection, done, clock) in (3, 4)
    assert {child["metadata"]["uid"] for child in bed.children().values()} == uids


def every_second(fault: Fault) -> faults.Decide:
    """Let each write of an object fail the first time, and every other time after that."""
    counts: Counter[tuple[str, str]] = Counter()
    lock = threading.Lock()

    def decide(call: Call) -> Fault | None:
        if not call.writes:
            return None
        with lock:
            counts[call.method, call.name] += 1
            return fault if counts[call.method, call.name] % 2 else None

    return decide


FAULTS = {
    "busy": faults.answer(429, "TooManyRequests", Retry_After="1"),
    "failing": faults.answer(500, "InternalError"),
    "unavailable": faults.answer(503, "ServiceUnavailable"),
    "conflict": faults.answer(409, "Conflict"),
    "cut": faults.CUT,
    "answer-lost": faults.ANSWER_LOST,
    "not-json": Fault(status=200, body=b"<html>proxy</html>"),
    "slow": Fault(delay=0.3, forward=True),
}


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses between two tries of a request, in seconds; they and the queue's pass faster."""
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        found.append(seconds)
        await asyncio.sleep(seconds / 20)

    monkeypatch.setattr("casita.clients.kubernetes._sleep", sleep)
    monkeypatch.setattr("casita.sessions.queue.FIRST_PAUSE_SECONDS", 0.01)
    return found


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_writes_that_fail_are_tried_again_until_all_is_there_once(
    bed: Bed, operate: Operate, proxy: Proxy, fault: Fault, pauses: list[float]
) -> None:
    proxy.decide = every_second(fault)
    with operate(connection=proxy.connection):
        bed.create(**MANUAL)
        await eventually(lambda: whole(bed), 40)
        before = bed.serials()
        bed.edit(runId="2")
        await eventually(
            lambda: whole(bed) and not set(bed.serials().values()) & set(before.values()), 40
        )
    if fault is FAULTS["busy"]:
        assert min(pauses) >= 1  # as it was asked to
    # Whoever comes after finds nothing to do.
    proxy.decide = lambda _: None
    count = len(proxy.writes())
    with operate(connection=proxy.connection) as operator:
        await eventually(lambda: len(operator.process.cache.sessions) == 1)
        await eventually(lambda: not len(operator.process.queue))
        assert len(proxy.writes()) == count


async def test_a_session_whose_writes_fail_delays_no_other(
    bed: Bed, operate: Operate, proxy: Proxy
) -> None:
    prefix, failing = bed.child_name(), FAULTS["failing"]
    proxy.decide = lambda call: failing if call.writes and prefix in call.name else None
    with operate(connection=proxy.connection):
        bed.create(**MANUAL)
        await bed.until("CredentialsReady", "False", "ApiError")
        bed.create("bob", **MANUAL)
        await eventually(lambda: whole(bed, "bob"), 5)
        proxy.decide = lambda _: None
        await eventually(lambda: whole(bed), 30)


async def test_cut_watches_are_resumed_and_what_happened_meanwhile_is_seen(
    bed: Bed, operate: Operate, proxy: Proxy
) -> None:
    with operate(connection=proxy.connection):
        bed.create(**MANUAL)
        await eventually(lambda: whole(bed))
        uids = {
            where: child["metadata"]["uid"] for where, child in bed.children(name="alice").items()
        }
        proxy.decide = lambda call: faults.CUT if call.watches else None
        proxy.cut_watches()
        bed.delete_child("Service")
        bed.delete_child("Secret", "worker")
        bed.create("bob", **MANUAL)
        proxy.decide = lambda _: None
        await eventually(lambda: whole(bed, "bob"))
        await eventually(lambda: whole(bed))
        after = {
            where: child["metadata"]["uid"] for where, child in bed.children(name="alice").items()
        }
    changed = {where for where in uids if uids[where] != after[where]}
    assert changed == {("Service", ""), ("Secret", "-worker")}


async def test_a_cut_watch_writes_nothing_and_lists_nothing_again(
    bed: Bed, operate: Operate, proxy: Proxy
) -> None:
    with operate(connection=proxy.connection):
        bed.create(**MANUAL)
        await eventually(lambda: whole(bed))
        count = len(proxy.calls)
        proxy.cut_watches()
        await eventually(lambda: sum(c.watches for c in proxy.calls[count:]) >= 6)
        bed.create("bob")
        await bed.until_issued("bob")
        found = [c for c in proxy.calls[count:] if bed.child_name() in c.path]
        assert [c for c in found if c.writes] == []
        lists = [c for c in proxy.calls[count:] if c.method == "GET" and not c.watches]
        # kopf lists again when its stream breaks; the children's watches go on where they were.
        assert {c.path.rpartition("/")[2] for c in lists} <= {"analysissessions"}


async def test_an_expired_watch_is_listed_anew_and_what_vanished_is_noticed(
    bed: Bed, operate: Operate, proxy: Proxy
) -> None:
    with operate(connection=proxy.connection):
        bed.create(**MANUAL)
        await eventually(lambda: whole(bed))
        authority = bed.uid("Secret", "authority")
        hold = threading.Event()
        proxy.decide = lambda call: faults.EXPIRED if call.watches and not hold.is_set() else None
        proxy.cut_watches()
        bed.delete_child("Service")
        bed.delete_child("Pod", "scheduler")
        hold.set()
        await eventually(lambda: whole(bed))
        assert bed.uid("Secret", "authority") == authority


async def test_a_session_deleted_while_its_watch_had_expired_is_not_made_again(
    bed: Bed, operate: Operate, proxy: Proxy
) -> None:
    with operate(connection=proxy.connection) as operator:
        bed.create(**MANUAL)
        await eventually(lambda: whole(bed))
        deaf = threading.Event()
        deaf.set()

        def decide(call: Call) -> Fault | None:
            if not (call.watches and call.of("analysissessions")):
                return None
            return faults.CUT if deaf.is_set() else None

        proxy.decide = decide
        proxy.cut_watches()
        bed.delete()
        await eventually(lambda: not bed.children(name="alice"), 30)
        expired = [faults.EXPIRED]
        proxy.decide = lambda call: (
            expired.pop() if expired and call.watches and call.of("analysissessions") else None
        )
        bed.create("bob", **MANUAL)
        await eventually(lambda: whole(bed, "bob"), 30)
        # The children that it may have made meanwhile are the garbage collector's.
        await eventually(lambda: not bed.children(name="alice"), 30)
        await eventually(lambda: {name for _, name in operator.process.cache.sessions} == {"bob"})


async def test_an_api_server_that_restarts_is_waited_for(
    bed: Bed, operate: Operate, proxy: Proxy
) -> None:
    with operate(connection=proxy.connection):
        bed.create(**MANUAL)
        await eventually(lambda: whole(bed))
        proxy.decide = lambda _: faults.CUT
        proxy.cut_watches()
        bed.create("bob", **MANUAL)
        bed.edit("alice", replicas=2, runId="2")
        proxy.decide = lambda _: None
        await eventually(lambda: whole(bed) and whole(bed, "bob"), 40)
