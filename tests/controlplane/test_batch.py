"""Jobs of a session: asked for, removed and awaited as its life goes, by a real API server.

The batch system is one in memory (`tests.support.batch`): it keeps jobs, and runs none. What
HTCondor itself makes of them is looked at by the end-to-end tests.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from casita.api.names import BATCH_FINALIZER
from casita.clients.batch.jobs import JobState
from casita.config import Site
from casita.credentials import idtoken
from casita.credentials.keys import idtoken_key_file
from casita.credentials.system import new_idtoken_key
from casita.credentials.verify import load_certificate, verify_leaf
from casita.credentials.x509 import Role
from casita.operator import process
from casita.operator.process import Ports
from tests.cluster.control_plane import ControlPlane
from tests.controlplane.conftest import Operate, SiteWith
from tests.support.audit import counts, requests, writes
from tests.support.batch import OUT_OF_REACH, REFUSED, BatchSystem, Call, Fault
from tests.support.bed import Bed
from tests.support.clock import Clock
from tests.support.cluster import SESSION, Json, condition, eventually
from tests.support.operator import Operator
from tests.support.reporter import reporting, run_of

POOL: Json = {"pool": "batch", "backend": "HTCondor", "max": 50, "cores": 2, "memoryMiB": 3000}
MANUAL: Json = {"scaling": {"mode": "Manual"}, "workers": [POOL]}
RUNNING, LEAVING = JobState.RUNNING, JobState.LEAVING
QUIET_SECONDS = 10.0


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    (tmp_path / "idtoken").write_bytes(new_idtoken_key())
    return tmp_path / "idtoken"


@pytest.fixture
def site(site_with: SiteWith, key_file: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site with a batch system; the site's own checks of it are looked at elsewhere."""
    monkeypatch.setattr(process, "site_checks", lambda *_: {})
    return site_with(
        batch={
            "collector": "cm.af.test:9618",
            "schedd": "casita@af.test",
            "trustDomain": "af.pool",
            "uidDomain": "af.users",
            "keyFile": str(key_file),
            "workers": {"queueSeconds": 7200, "wallSeconds": 3600},
        }
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def system(clock: Clock) -> BatchSystem:
    return BatchSystem(lambda: clock().timestamp())


@dataclass
class Facility:
    """An operator and its batch system, and what tests say to both."""

    bed: Bed
    system: BatchSystem
    clock: Clock
    operate: Operate

    def start(self, **options: Any) -> Operator:
        return self.operate(back_end=self.system, clock=self.clock, **options)

    async def ready(self, name: str = "alice", **spec: Any) -> None:
        """Create a session, and let its scheduler answer."""
        self.bed.create(name, **{**MANUAL, **spec})
        await self.bed.until_issued(name)
        self.bed.mark_ready("scheduler", name=name)
        await self.bed.until("SchedulerReady", "True", name=name)

    def uid(self, name: str = "alice") -> str:
        return str(self.bed.session(name)["metadata"]["uid"])

    def staying(self, name: str = "alice") -> int:
        return len(self.system.of(self.uid(name)))

    async def until_jobs(self, count: int, name: str = "alice", seconds: float = 20.0) -> None:
        await eventually(lambda: self.staying(name) == count, seconds, what=f"{count} jobs")

    async def let_time_pass(
        self, operator: Operator, look: Callable[[], object], name: str = "alice"
    ) -> None:
        """Move the clock on, look at the session, until `look` returns something true."""

        def moved() -> object:
            self.clock.forward(seconds=20)
            operator.look(self.bed.namespace, name)
            return look()

        await eventually(moved, 30.0, pause=0.2)

    def finalizers(self, name: str = "alice") -> list[str]:
        return list(self.bed.session(name)["metadata"].get("finalizers") or ())

    def gone(self, name: str = "alice") -> bool:
        found = self.bed.cluster.items(*SESSION, self.bed.namespace)
        return name not in {item["metadata"]["name"] for item in found}

    def counts(self, name: str = "alice") -> tuple[int, int, int]:
        """Return workers desired, requested and ready of the first pool, as status tells."""
        entry = self.bed.status(name)["workers"][0]
        return entry["desired"], entry["requested"], entry["ready"]

    def notes(self, reason: str) -> list[str]:
        return [event["note"] for event in self.bed.events() if event["reason"] == reason]

    def calls(self, verb: str) -> list[Call]:
        return [call for call in self.system.calls if call.verb == verb]


@pytest.fixture
def facility(bed: Bed, system: BatchSystem, clock: Clock, operate: Operate) -> Facility:
    return Facility(bed, system, clock, operate)


async def test_jobs_follow_replicas_up_and_down_and_become_workers(
    facility: Facility, free_ports: Ports
) -> None:
    bed, system = facility.bed, facility.system
    with facility.start(ports=free_ports) as operator:
        await facility.ready(replicas=5)
        await facility.until_jobs(5)
        uid = facility.uid()
        assert facility.finalizers() == [BATCH_FINALIZER]
        assert [(c.count, c.session) for c in facility.calls("submit")] == [(5, uid)]
        await eventually(lambda: facility.counts() == (5, 5, 0))
        await bed.until("WorkersReady", "True", "Scaling")
        workers = [system.start(uid, identity) for identity in ("1.0", "1.1")]
        async with reporting(bed, free_ports.report) as reporter:
            await reporter.tell(workers=[{"name": name, "reachable": True} for name in workers])
            await eventually(lambda: facility.counts() == (5, 5, 2))
            bed.edit(replicas=2)
            await facility.until_jobs(2)
            assert {job.worker for job in system.of(uid)} == set(workers)
            await bed.until("WorkersReady", "True", "Served")
            assert facility.counts() == (2, 2, 2)
            bed.edit(replicas=0)
            await eventually(lambda: len(system.of(uid, LEAVING)) == 2)
            system.end(uid, "1.0", "1.1")
            await reporter.tell(workers=[])
            await facility.let_time_pass(operator, lambda: facility.counts() == (0, 0, 0))
    assert len(facility.calls("submit")) == 1


async def test_a_submission_is_in_the_users_name_and_its_certificate_ends_with_the_job(
    facility: Facility, key_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bed = facility.bed
    caplog.set_level("INFO", "casita.audit")
    with facility.start():
        await facility.ready(replicas=1)
        await facility.until_jobs(1)
    call = facility.calls("submit")[0]
    assert call.identity == "alice@af.users"
    key = idtoken_key_file(key_file, "casita").read()
    said = idtoken.claims(key, call.token)
    assert said["sub"] == "alice@af.users"
    assert said["exp"] - said["iat"] == 600
    assert call.job is not None
    assert (call.job.cores, call.job.memory_mi_b, call.job.pool) == (2, 3000, "batch")
    assert call.job.scheduler == f"tls://{bed.host()}:1"
    assert call.job.run == run_of(bed)
    assert set(call.files) == {"ca.pem", "tls.crt", "tls.key"}
    assert call.files["ca.pem"] == bed.files("authority")["tls.crt"]
    leaf = verify_leaf(
        call.files["tls.crt"],
        call.files["tls.key"],
        call.files["ca.pem"],
        datetime.now(UTC),
        role=Role.WORKER,
        names=(f"{bed.child_name()}-worker",),
    )
    life = leaf.not_after - datetime.now(UTC)
    drain = 300
    assert timedelta(0) < timedelta(hours=4, seconds=drain) - life < timedelta(minutes=2)
    assert leaf.not_after < load_certificate(call.files["ca.pem"]).not_valid_after_utc
    kinds = {vars(record)["kind"] for record in caplog.records if record.name == "casita.audit"}
    assert {"idtoken-operator", "batch-worker"} <= kinds
    assert call.token not in caplog.text


async def test_a_session_without_jobs_asks_nobody_and_is_deleted_without_an_operator(
    facility: Facility,
) -> None:
    bed = facility.bed
    with facility.start():
        await facility.ready(replicas=0)
        await facility.ready("bob", workers=[{"pool": "local", "max": 3}], replicas=1)
        await eventually(lambda: "local-0" in bed.pods("bob"))
    for name in ("alice", "bob"):
        assert facility.finalizers(name) == []
        bed.delete(name)
        await eventually(lambda: facility.gone(name), 5)  # noqa: B023 - awaited here
    assert facility.system.calls == []


async def test_a_deletion_waits_for_a_schedd_that_is_down_and_leaves_no_job(
    facility: Facility,
) -> None:
    bed, system = facility.bed, facility.system
    with facility.start() as operator:
        await facility.ready(replicas=3)
        await facility.until_jobs(3)
        uid = facility.uid()
        system.start(uid, "1.0")
        await eventually(lambda: facility.counts() == (3, 3, 0))
        system.down = True
        bed.delete()
        await eventually(lambda: facility.calls("remove"))
        assert not facility.gone()
        # The scheduler goes, so that workers end by themselves.
        await eventually(lambda: not bed.pods())
        await facility.let_time_pass(operator, lambda: facility.notes("DeletionWaits"))
        assert OUT_OF_REACH in facility.notes("DeletionWaits")[0]
        system.down = False
        await facility.let_time_pass(operator, lambda: not system.of(uid))
        assert not facility.gone()  # one drains
        system.end(uid, "1.0")
        await facility.let_time_pass(operator, facility.gone)
    assert system.jobs[uid] == {}
    assert len(facility.notes("DeletionWaits")) == 1


async def test_a_dead_schedd_does_not_hold_a_deletion_up_for_ever_and_what_is_left_is_told(
    facility: Facility,
) -> None:
    bed, system = facility.bed, facility.system
    with facility.start() as operator:
        await facility.ready(replicas=2)
        await facility.until_jobs(2)
        await eventually(lambda: facility.counts() == (2, 2, 0))
        system.hung.add(facility.uid())
        bed.delete()
        await eventually(lambda: facility.calls("remove"))
        assert not facility.gone()
        facility.clock.forward(hours=1)
        operator.look(bed.namespace)
        await eventually(facility.gone)
        assert "2 jobs, first 1.0" in facility.notes("JobsLeft")[0]
        left = operator.process.metrics.registry.get_sample_value("casita_batch_jobs_left_total")
        assert left == 1


async def test_other_finalizers_are_left_alone(facility: Facility) -> None:
    bed = facility.bed
    with facility.start() as operator:
        bed.cluster.create(
            {
                **bed.manifest(**MANUAL, replicas=1),
                "metadata": {
                    "name": "alice",
                    "namespace": bed.namespace,
                    "finalizers": ["example.org/mine"],
                },
            }
        )
        await bed.until_issued()
        bed.mark_ready("scheduler")
        await facility.until_jobs(1)
        assert facility.finalizers() == ["example.org/mine", BATCH_FINALIZER]
        bed.edit(lifecycle="Stopped")
        wanted = ["example.org/mine"]
        await facility.let_time_pass(operator, lambda: facility.finalizers() == wanted)


async def test_a_finalizer_that_somebody_took_away_is_put_back_while_there_are_jobs(
    facility: Facility,
) -> None:
    bed = facility.bed
    with facility.start():
        await facility.ready(replicas=1)
        await facility.until_jobs(1)
        await eventually(lambda: facility.counts() == (1, 1, 0))
        bed.cluster.patch(*SESSION, "alice", bed.namespace, {"metadata": {"finalizers": None}})
        await eventually(lambda: facility.finalizers() == [BATCH_FINALIZER])


async def test_a_session_that_is_stopped_loses_its_jobs_and_gets_others_when_it_runs_again(
    facility: Facility,
) -> None:
    bed, system = facility.bed, facility.system
    with facility.start() as operator:
        await facility.ready(replicas=2)
        await facility.until_jobs(2)
        uid, first = facility.uid(), run_of(bed)
        bed.edit(lifecycle="Stopped")
        await facility.until_jobs(0)
        await facility.let_time_pass(operator, lambda: not facility.finalizers())
        bed.edit(lifecycle="Running")
        await bed.until_issued()
        bed.mark_ready("scheduler")
        await facility.until_jobs(2)
        assert facility.finalizers() == [BATCH_FINALIZER]
        second = run_of(bed)
        assert {job.run for job in system.of(uid)} == {second} != {first}
        bed.edit(runId="next")
        await eventually(lambda: run_of(bed) != second)
        await bed.until_issued()
        bed.mark_ready("scheduler")
        await eventually(lambda: {job.run for job in system.of(uid)} == {run_of(bed)})
        await facility.until_jobs(2)


@pytest.mark.parametrize("fault", [Fault.HUNG, Fault.HUNG_AFTER])
async def test_an_operator_that_is_killed_while_it_submits_asks_for_nothing_twice(
    facility: Facility, fault: Fault
) -> None:
    bed, system = facility.bed, facility.system
    with facility.start() as operator:
        await facility.ready(replicas=0)
        system.faults += [Fault.NONE, fault]  # a question, then the submission
        bed.edit(replicas=4)
        await eventually(lambda: facility.calls("submit"))
        operator.kill()
    assert facility.finalizers() == [BATCH_FINALIZER]
    assert facility.staying() == (4 if fault is Fault.HUNG_AFTER else 0)
    with facility.start() as operator:
        await facility.until_jobs(4)
        await eventually(lambda: facility.counts() == (4, 4, 0))
        assert len(facility.calls("submit")) == (1 if fault is Fault.HUNG_AFTER else 2)
        bed.edit(replicas=1)
        await facility.until_jobs(1)


async def test_a_schedd_that_hangs_delays_nobody(facility: Facility) -> None:
    bed, system = facility.bed, facility.system
    with facility.start():
        await facility.ready(replicas=0)
        system.hung.add(facility.uid())
        bed.edit(replicas=2)
        await eventually(lambda: facility.calls("query"))
        begin = time.monotonic()
        await facility.ready("bob", replicas=1)
        await facility.until_jobs(1, "bob")
        assert time.monotonic() - begin < 10
        bed.edit(workers=[POOL, {"pool": "local", "min": 1, "max": 1}])
        await eventually(lambda: "local-0" in bed.pods(), 5)  # nor its own session's pods


async def test_what_the_batch_system_says_is_told(facility: Facility) -> None:
    bed, system = facility.bed, facility.system
    with facility.start() as operator:
        await facility.ready(replicas=0)
        system.faults += [Fault.NONE, Fault.REFUSED]
        bed.edit(replicas=1)
        session = await bed.until("WorkersReady", "False", "SubmitRefused")
        message = condition(session, "WorkersReady")["message"]
        assert message == f"pool batch: {REFUSED}"
        await facility.let_time_pass(operator, lambda: facility.staying() == 1)
        uid = facility.uid()
        identity = system.of(uid)[0].id
        system.hold(uid, identity, "Error from slot1@ep: no such directory")

        def told(reason: str) -> bool:
            found = condition(bed.session(), "WorkersReady")
            return bool(found["status"] == "False" and found["reason"] == reason)

        await facility.let_time_pass(operator, lambda: told("JobsHeld"))
        message = condition(bed.session(), "WorkersReady")["message"]
        assert "no such directory" in message
        # Held for long: another one is asked for.
        await facility.let_time_pass(operator, lambda: identity not in system.jobs[uid])
        await facility.until_jobs(1)
        system.down = True
        await facility.let_time_pass(operator, lambda: told("ScheddUnreachable"))
    assert {"SubmitRefused", "JobsHeld"} <= {event["reason"] for event in bed.events()}


async def test_jobs_that_are_all_there_cost_no_request_and_a_restart_writes_nothing(
    facility: Facility, free_ports: Ports, plane: ControlPlane
) -> None:
    bed, system = facility.bed, facility.system
    with facility.start(ports=free_ports):
        await facility.ready(replicas=2)
        await facility.until_jobs(2)
        uid = facility.uid()
        workers = [system.start(uid, identity) for identity in ("1.0", "1.1")]
        async with reporting(bed, free_ports.report) as reporter:
            await reporter.tell(workers=[{"name": name, "reachable": True} for name in workers])
            await bed.until("WorkersReady", "True", "Served")
        before = len(list(requests(plane.audit_events(), bed.namespace)))
        questions = len(system.calls)
        await asyncio.sleep(QUIET_SECONDS)  # the time itself is what is looked at
        found = list(requests(plane.audit_events(), bed.namespace, since=before))
        assert counts(found) == {}
        assert len(system.calls) <= questions + 1
    before = len(list(requests(plane.audit_events(), bed.namespace)))
    with facility.start() as operator:
        await eventually(lambda: len(system.calls) > questions + 1)  # it asks what is there
        await eventually(lambda: not len(operator.process.queue))
        bed.edit(profile="none")  # something that does happen, so that all else is over
        await bed.until("Ready", "False", "UnknownProfile")
    found = list(requests(plane.audit_events(), bed.namespace, since=before))
    assert writes(found)["patch analysissessions/status"] == 1
    assert "patch analysissessions" not in writes(found)
