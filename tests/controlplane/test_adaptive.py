"""Sessions that scale with their work: by reports as a real scheduler sends them."""

from typing import Any

import pytest

from casita.operator.process import Ports
from tests.cluster.control_plane import ControlPlane
from tests.controlplane.conftest import Operate, SiteWith
from tests.support.bed import Bed
from tests.support.clock import Clock
from tests.support.cluster import Json, condition, eventually
from tests.support.reporter import Reporter, reporting

POOLS: list[Json] = [{"pool": "a", "max": 3}, {"pool": "b", "max": 3, "cores": 2}]


def workers(bed: Bed, name: str = "alice") -> set[str]:
    return bed.pods(name) - {"scheduler"}


async def until_workers(bed: Bed, wanted: set[str], name: str = "alice") -> None:
    await eventually(lambda: workers(bed, name) == wanted, what=f"workers {sorted(wanted)}")


def message(bed: Bed, name: str = "alice") -> str:
    return str(condition(bed.session(name), "WorkersReady")["message"])


def counts(bed: Bed, pool: str, name: str = "alice") -> tuple[int, int, int]:
    found = next(p for p in bed.status(name)["workers"] if p["pool"] == pool)
    return found["desired"], found["requested"], found["ready"]


class Scheduler:
    """What a session's scheduler would report: the workers whose pods are there are reachable."""

    def __init__(self, reporter: Reporter, name: str = "alice") -> None:
        self._reporter, self._name = reporter, name

    def full(self, worker: str) -> str:
        return self._reporter.bed.child_name(worker, name=self._name)

    async def ask(
        self, busy: tuple[str, ...] = (), retire: tuple[str, ...] = (), **demand: Any
    ) -> Json:
        """Report a demand, with workers by what follows the session's slug."""
        here = [self.full(w) for w in sorted(workers(self._reporter.bed, self._name))]
        return await self._reporter.tell(
            self._name,
            workers=[{"name": name, "reachable": True} for name in here],
            demand={
                **demand,
                "busy": [self.full(w) for w in busy],
                "retire": [self.full(w) for w in retire],
            },
        )


async def test_workers_come_with_the_work_and_go_when_they_have_done_theirs(
    bed: Bed, operate: Operate, free_ports: Ports
) -> None:
    with operate(ports=free_ports):
        bed.create(workers=POOLS, replicas=7)
        await bed.until_issued()
        async with reporting(bed, free_ports.report) as reporter:
            scheduler = Scheduler(reporter)
            await scheduler.ask(cores=0)
            await bed.until("WorkersReady", "True", "Served")
            await eventually(lambda: message(bed) == "0 workers wanted, the minimum of the pools")
            assert not workers(bed)

            await scheduler.ask(cores=4)
            await until_workers(bed, {"a-0", "a-1", "a-2", "b-0"})
            bed.mark_ready("a-0", "a-1", "a-2", "b-0")
            await bed.until("WorkersReady", "True", "Served")
            await eventually(lambda: message(bed) == "4 workers wanted for the work at hand")
            answer = await scheduler.ask(cores=4)
            assert answer["mode"] == "Adaptive"
            assert [(p["pool"], p["desired"], p["ready"]) for p in answer["pools"]] == [
                ("a", 3, 3),
                ("b", 1, 1),
            ]

            for worker in ("a-0", "a-1", "a-2", "b-0"):
                bed.place(worker)
            await scheduler.ask(cores=1, busy=("a-1", "b-0"), retire=("a-0", "a-2"))
            await until_workers(bed, {"a-1", "b-0"})  # the idle ones, whatever their age
            await eventually(lambda: counts(bed, "b") == (0, 1, 1))
            await eventually(lambda: message(bed).endswith("1 more until their tasks are done"))
            await scheduler.ask(cores=1, busy=("a-1",), retire=("b-0", "a-1"))
            await until_workers(bed, {"a-1"})
            assert bed.child("Pod", "b-0")["metadata"]["deletionGracePeriodSeconds"] == 310


async def test_what_the_user_asks_of_the_scheduler_is_done_within_the_pools_bounds(
    bed: Bed, operate: Operate, free_ports: Ports
) -> None:
    with operate(ports=free_ports):
        bed.create(workers=[{"pool": "a", "min": 1, "max": 2}, POOLS[1]])
        await bed.until_issued()
        async with reporting(bed, free_ports.report) as reporter:
            scheduler = Scheduler(reporter)
            await scheduler.ask(workers=3)
            await until_workers(bed, {"a-0", "a-1", "b-0"})
            await scheduler.ask(pools={"b": 9, "a": 0})
            await until_workers(bed, {"a-0", "b-0", "b-1", "b-2"})
            await scheduler.ask(cores=100, maximum=2)
            await until_workers(bed, {"a-0", "a-1"})
            bed.edit(scaling={"mode": "Manual"}, replicas=1)
            await until_workers(bed, {"a-0"})


async def test_a_restart_of_the_operator_leaves_the_workers_alone(
    bed: Bed, operate: Operate, free_ports: Ports
) -> None:
    with operate(ports=free_ports):
        bed.create(workers=POOLS)
        await bed.until_issued()
        async with reporting(bed, free_ports.report) as reporter:
            await Scheduler(reporter).ask(cores=3)
            await until_workers(bed, {"a-0", "a-1", "a-2"})
            bed.mark_ready("a-0", "a-1", "a-2")
            await eventually(lambda: counts(bed, "a") == (3, 3, 3))
    before = {worker: bed.uid("Pod", worker) for worker in workers(bed)}
    lost, written = before["a-1"], bed.session()["metadata"]["resourceVersion"]
    with operate(ports=free_ports) as operator:
        bed.create("bob")
        await bed.until_issued("bob")
        operator.look(bed.namespace)
        assert bed.session()["metadata"]["resourceVersion"] == written
        bed.delete_child("Pod", "a-1")  # another comes in its place though no report has
        await eventually(lambda: len(workers(bed) - {"a-1"}) == 3 or bed.uid("Pod", "a-1") != lost)
        assert len(workers(bed)) == 3
        for worker in ("a-0", "a-2"):
            assert bed.uid("Pod", worker) == before[worker]
        async with reporting(bed, free_ports.report) as reporter:
            await Scheduler(reporter).ask(cores=0)
            await until_workers(bed, set())


async def test_a_new_run_begins_with_the_minimum(
    bed: Bed, operate: Operate, free_ports: Ports
) -> None:
    with operate(ports=free_ports):
        bed.create(workers=POOLS)
        await bed.until_issued()
        async with reporting(bed, free_ports.report) as reporter:
            await Scheduler(reporter).ask(cores=3)
            await until_workers(bed, {"a-0", "a-1", "a-2"})
        scheduler = bed.uid("Pod", "scheduler")
        bed.edit(runId="2")
        await eventually(lambda: bed.uid("Pod", "scheduler") != scheduler)
        await bed.until("CredentialsReady", "True")
        assert not workers(bed)


async def test_scaling_by_hand_in_adaptive_mode_is_one_event_and_nothing_else(
    bed: Bed, operate: Operate, plane: ControlPlane
) -> None:
    with operate():
        bed.create(workers=POOLS)
        await bed.until_issued()
        plane.kubectl("scale", "-n", bed.namespace, "asess/alice", "--replicas=3")

        def told() -> list[Json]:
            found = [event for event in bed.events() if event["reason"] == "ScaleIgnored"]
            assert found, "no such event yet"
            return found

        assert "spec.replicas is 3" in (await eventually(told))[0]["note"]
        bed.edit(idleTimeoutSeconds=600)  # another look at it
        await bed.until("CredentialsReady", "True")
        assert len(told()) == 1
        assert not workers(bed)


async def test_a_session_that_nobody_uses_stops_in_time_and_starts_by_a_new_run_id(
    bed: Bed, operate: Operate, free_ports: Ports
) -> None:
    with operate(ports=free_ports):
        bed.create(idleTimeoutSeconds=60)
        await bed.until_issued()
        async with reporting(bed, free_ports.report) as reporter:
            await reporter.tell(idleSeconds=59)
            # A second later, though nothing more is reported.
            session = await bed.until("Ready", "False", "IdleStopped", seconds=10)
            assert "60 s" in condition(session, "Ready")["message"]
        await eventually(lambda: not bed.children())
    with operate(ports=free_ports):
        bed.edit(idleTimeoutSeconds=3600)
        await bed.until("Ready", "False", "IdleStopped")
        assert not bed.children()
        bed.edit(runId="2")
        await bed.until_issued()
    assert [event["reason"] for event in bed.events()].count("IdleStopped") == 1


async def test_a_session_in_use_or_with_a_silent_scheduler_is_not_stopped(
    bed: Bed, operate: Operate, free_ports: Ports
) -> None:
    clock = Clock()
    with operate(ports=free_ports, clock=clock) as operator:
        bed.create(idleTimeoutSeconds=600)
        await bed.until_issued()
        async with reporting(bed, free_ports.report) as reporter:
            await reporter.tell(idleSeconds=590)
            await reporter.tell(idleSeconds=None)
            clock.forward(seconds=3600)
            operator.look(bed.namespace)
            await reporter.tell(idleSeconds=10)
            clock.forward(seconds=3600)  # nothing was heard for an hour
            operator.look(bed.namespace)
            bed.create("bob")
            await bed.until_issued("bob")
            assert condition(bed.session(), "Ready")["reason"] != "IdleStopped"
            await reporter.tell(idleSeconds=3610)
            await bed.until("Ready", "False", "IdleStopped")


MANUAL: Json = {"scaling": {"mode": "Manual"}}


async def test_two_users_share_the_sites_cores_and_nobody_has_what_another_still_holds(
    bed: Bed, operate: Operate, site_with: SiteWith
) -> None:
    site = site_with(quotas={"siteCores": 4})
    everybody = {"alice": {"local-0", "local-1", "local-2", "local-3"}}
    with operate(site):
        bed.create(**MANUAL, replicas=8)
        await until_workers(bed, everybody["alice"])
        session = await bed.until("WorkersReady", "True", "QuotaReached")
        text = condition(session, "WorkersReady")["message"]
        assert text.startswith("8 workers asked for, 4 allowed by the site's quota of 4 cores")
        for worker in everybody["alice"]:
            bed.place(worker)
        bed.mark_ready(*everybody["alice"])
        bed.create("bob", user="bob", **MANUAL, replicas=8)
        await until_workers(bed, {"local-0", "local-1"})
        await bed.until("WorkersReady", "True", "QuotaReached", name="bob")
        assert not workers(bed, "bob")  # alice's still drain
        bed.clear("local-3")
        await eventually(lambda: len(workers(bed, "bob")) == 1)
        bed.clear("local-2")
        await eventually(lambda: len(workers(bed, "bob")) == 2)
        await eventually(lambda: message(bed, "bob").startswith("8 workers asked for, 2 allowed"))
    before = {name: workers(bed, name) for name in ("alice", "bob")}
    with operate(site) as operator:
        bed.create("carol", user="carol")
        await bed.until_issued("carol")
        for name in before:
            operator.look(bed.namespace, name)
        await bed.until("WorkersReady", "True", "QuotaReached", name="bob")
        assert {name: workers(bed, name) for name in before} == before
        bed.edit("bob", lifecycle="Stopped")
        await eventually(lambda: len(workers(bed)) == 4)


async def test_sessions_of_one_user_share_the_users_cores(
    bed: Bed, operate: Operate, site_with: SiteWith
) -> None:
    with operate(site_with(quotas={"userCores": 4})):
        bed.create(**MANUAL, replicas=8)
        await eventually(lambda: len(workers(bed)) == 4)
        bed.create("second", **MANUAL, replicas=1)
        bed.create("bob", user="bob", **MANUAL, replicas=3)
        await eventually(lambda: len(workers(bed, "second")) == 1)
        await eventually(lambda: (len(workers(bed)), len(workers(bed, "bob"))) == (3, 3))
        bed.delete("second")
        await eventually(lambda: len(workers(bed)) == 4)


@pytest.mark.parametrize("kind", ["Manual", "Adaptive"])
async def test_a_quota_of_nothing_allows_nothing(
    bed: Bed, operate: Operate, site_with: SiteWith, kind: str
) -> None:
    with operate(site_with(quotas={"userCores": 0})):
        bed.create(scaling={"mode": kind}, workers=[{"pool": "a", "min": 1, "max": 3}])
        await bed.until_issued()
        session = await bed.until("WorkersReady", "True", "QuotaReached")
        assert "1 worker asked for, 0 allowed" in condition(session, "WorkersReady")["message"]
        assert not workers(bed)
