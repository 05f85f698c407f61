"""Jobs are asked for once and forgotten never, whatever the batch system does with what it is told.

The batch system is one in memory (`tests.support.batch`): it keeps jobs, and runs none.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from casita.api.conditions import Reason
from casita.clients.batch.jobs import Account, JobState, WorkerJob
from casita.credentials.errors import CredentialError, SigningKeyError
from casita.manifests.common import Owner
from casita.sessions.batch_known import (
    EMPTY_SECONDS,
    FIRST_PAUSE_SECONDS,
    FIRST_SECONDS,
    LONGEST_PAUSE_SECONDS,
    LONGEST_SECONDS,
    LOST_SECONDS,
    NEVER_CAME_SECONDS,
    STEADY_SECONDS,
)
from casita.sessions.batch_plan import BatchPlan, plan_end
from casita.sessions.batch_queue import BatchQueue, Errand
from casita.sessions.batch_submission import worker_job
from casita.sessions.cache import SessionKey
from casita.sessions.view import QueueView, View
from tests.support.batch import OUT_OF_REACH, REFUSED, BatchSystem, Fault
from tests.unit.sessions_batch import NOW, OWNER, SITE, plan_of, spec_of, view_of

KEY = OWNER.namespace, OWNER.name
UID = OWNER.uid
RUNNING, IDLE, LEAVING = JobState.RUNNING, JobState.IDLE, JobState.LEAVING


class Bench:
    """A session with one batch pool, an operator that can be killed, and a batch system."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.now = NOW
        self.system = BatchSystem(lambda: self.now.timestamp())
        self.wanted = 0
        self.bound = False
        self.registered: set[str] = set()
        self.reported = True
        self.told: list[SessionKey] = []
        self.later: float | None = None
        self.trouble: CredentialError | None = None
        self.start()

    def start(self) -> None:
        """Start an operator, which knows nothing."""
        self.queue = BatchQueue(self.system, self.account, self.files, self.told.append, self.clock)

    def kill(self) -> None:
        """End the operator wherever it is."""
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.settle()
        self.start()

    def clock(self) -> datetime:
        return self.now

    def account(self, owner: Owner, user: str) -> Account:
        if self.trouble:
            raise self.trouble
        return Account("cm:9618", "schedd", f"{user}@af.users", f"token of {owner.name}")

    async def files(self, _owner: Owner, _user: str, _job: WorkerJob) -> Mapping[str, bytes]:
        return {"tls.key": b"secret"}

    def settle(self) -> None:
        """Let everything go on that does not wait for ever."""

        async def others() -> None:
            for _ in range(40):
                await asyncio.sleep(0)

        self.loop.run_until_complete(others())

    def view(self) -> View:
        return view_of(
            spec=spec_of(self.wanted),
            queue=self.queue.view(KEY, UID),
            now=self.now,
            bound=self.bound,
            registered=frozenset(self.registered),
            reported=self.reported,
        )

    def look(self) -> BatchPlan:
        """Do one pass, and let go on what it began."""
        view = self.view()
        assert view.queue is not None
        plan = plan_of(view)
        self.obey(plan, view.queue)
        return plan

    def obey(self, plan: BatchPlan, seen: QueueView) -> None:
        self.bound = self.bound or bool(plan.submit)  # the finalizer comes before the first job
        self.later = None
        if plan.watch:
            spec = spec_of(self.wanted)
            submit = tuple(
                (worker_job(OWNER, spec, SITE, order.pool, plan.run), order.count)
                for order in plan.submit
            )
            errand = Errand(
                *(OWNER, "alice", plan.remove, submit, plan.registered),
                steady=plan.steady,
                reported=plan.reported,
            )

            async def ensure() -> float | None:
                return self.queue.ensure(KEY, errand, seen)

            self.later = self.loop.run_until_complete(ensure())
        self.settle()

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def run_until_quiet(self, passes: int = 30, seconds: float = 310) -> None:
        """Let passes follow each other until they would have come to an end."""
        for _ in range(passes):
            self.look()
            self.pass_time(seconds)

    def verbs(self) -> list[str]:
        return [call.verb for call in self.system.calls]

    @property
    def staying(self) -> int:
        return len(self.system.of(UID))

    def close(self) -> None:
        self.kill()
        self.loop.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    found = Bench()
    yield found
    found.close()


def test_a_first_job_is_asked_for_when_it_is_known_that_there_is_none(bench: Bench) -> None:
    bench.wanted = 3
    bench.look()
    assert bench.verbs() == ["query"]
    assert bench.told == [KEY]
    bench.look()
    assert bench.verbs() == ["query", "submit", "query"]
    assert bench.staying == 3
    assert bench.system.calls[1].identity == "alice@af.users"
    for _ in range(3):
        bench.look()
    assert bench.staying == 3


def test_a_pass_returns_at_once_and_nothing_else_is_begun_while_the_batch_system_hangs(
    bench: Bench,
) -> None:
    bench.system.hung.add(UID)
    bench.wanted = 1
    for _ in range(3):
        bench.look()
        bench.pass_time(100)
        assert bench.later is None
    assert bench.verbs() == ["query"]
    assert bench.queue.view(KEY, UID).busy


def test_a_session_whose_operations_hang_delays_no_other(bench: Bench) -> None:
    bench.system.hung.add(UID)
    bench.wanted = 1
    bench.look()
    other = Errand(Owner("casita", "bob", "uid-of-bob"), "bob")

    async def ensure() -> None:
        bench.queue.ensure(("casita", "bob"), other, QueueView())

    bench.loop.run_until_complete(ensure())
    bench.settle()
    assert bench.queue.view(("casita", "bob"), "uid-of-bob").jobs == ()


@pytest.mark.parametrize("fault", [Fault.BEFORE, Fault.AFTER])
def test_after_a_lost_answer_the_queue_is_asked_before_anything_is_tried_again(
    bench: Bench, fault: Fault
) -> None:
    bench.wanted = 2
    bench.look()
    bench.system.faults += [fault]
    bench.look()
    view = bench.queue.view(KEY, UID)
    assert (view.jobs, view.trouble, view.outage) == (None, OUT_OF_REACH, True)
    bench.look()
    assert bench.verbs() == ["query", "submit"]
    bench.pass_time(FIRST_PAUSE_SECONDS)
    bench.look()
    assert bench.verbs() == ["query", "submit", "query"]
    bench.look()
    assert bench.staying == 2
    assert bench.verbs().count("submit") == (2 if fault is Fault.BEFORE else 1)


def test_a_restarted_operator_asks_for_nothing_before_it_knows_what_is_there(bench: Bench) -> None:
    bench.wanted = 2
    bench.look()
    bench.look()
    bench.kill()
    bench.system.faults += [Fault.BEFORE, Fault.REFUSED, Fault.BEFORE]
    for _ in range(4):
        bench.look()
        bench.pass_time(LONGEST_PAUSE_SECONDS)
    bench.look()
    assert bench.verbs().count("submit") == 1
    assert bench.queue.view(KEY, UID).jobs == tuple(bench.system.of(UID))


def test_what_a_batch_system_does_late_is_taken_back(bench: Bench) -> None:
    bench.wanted = 2
    bench.look()
    bench.system.faults += [Fault.LATE]
    bench.look()
    bench.pass_time(FIRST_PAUSE_SECONDS)
    bench.look()
    bench.look()
    bench.system.catch_up()
    assert bench.staying == 4
    bench.run_until_quiet(4)
    assert bench.staying == 2


def run_jobs(bench: Bench, count: int) -> None:
    """Have as many jobs as are wanted, each on a machine, and know it."""
    bench.wanted = count
    bench.look()
    bench.look()
    for job in bench.system.of(UID):
        bench.system.start(UID, job.id)
    bench.pass_time(LONGEST_SECONDS)
    bench.look()


def serve(bench: Bench, count: int) -> None:
    """Have as many workers as are wanted, all of them at their scheduler."""
    run_jobs(bench, count)
    bench.registered = {job.worker for job in bench.system.of(UID)}
    bench.look()


def test_a_job_whose_worker_has_left_is_replaced_when_it_does_not_end(bench: Bench) -> None:
    serve(bench, 2)
    gone, stays = bench.system.of(UID)
    bench.registered.discard(gone.worker)
    bench.look()
    bench.pass_time(LOST_SECONDS - 1)
    bench.look()
    assert bench.system.of(UID) == [gone, stays]
    bench.pass_time(1)
    assert bench.look().remove == (gone.id,)
    bench.look()
    (left, new) = bench.system.of(UID)
    assert left == stays
    assert new.id != gone.id


def test_a_worker_that_comes_back_in_time_is_not_replaced(bench: Bench) -> None:
    serve(bench, 1)
    (worker,) = bench.registered
    bench.registered.clear()
    bench.look()
    bench.pass_time(LOST_SECONDS / 2)
    bench.registered.add(worker)
    bench.look()
    bench.registered.clear()
    bench.look()
    bench.pass_time(LOST_SECONDS / 2)
    assert bench.look().remove == ()


def test_a_worker_that_was_never_seen_has_longer(bench: Bench) -> None:
    run_jobs(bench, 1)
    (slow,) = bench.system.of(UID)
    bench.look()
    bench.pass_time(NEVER_CAME_SECONDS - 1)
    assert bench.look().remove == ()
    bench.pass_time(1)
    assert bench.look().remove == (slow.id,)


def test_nothing_is_lost_while_the_scheduler_has_not_told_of_its_workers(bench: Bench) -> None:
    serve(bench, 1)
    bench.registered.clear()
    bench.reported = False
    for _ in range(20):
        bench.look()
        bench.pass_time(NEVER_CAME_SECONDS)
    assert bench.look().remove == ()


def test_a_refusal_is_told_and_tried_again_after_pauses_that_grow(bench: Bench) -> None:
    bench.wanted = 1
    bench.look()
    pauses = []
    for _ in range(9):
        bench.system.faults += [Fault.REFUSED]
        plan = bench.look()
        assert [order.count for order in plan.submit] == [1]
        pause = bench.queue.view(KEY, UID).pauses["batch"]
        assert (pause.reason, pause.message) == (Reason.SUBMIT_REFUSED, REFUSED)
        pauses.append((pause.until - bench.now).total_seconds())
        assert bench.look().submit == ()
        bench.pass_time(pauses[-1])
    assert pauses == [FIRST_PAUSE_SECONDS * 2**n for n in range(6)] + [LONGEST_PAUSE_SECONDS] * 3
    bench.look()
    assert bench.staying == 1
    assert bench.queue.view(KEY, UID).pauses == {}


def test_a_removal_that_is_refused_is_not_tried_at_every_pass(bench: Bench) -> None:
    bench.wanted = 1
    bench.look()
    bench.look()
    bench.wanted = 0
    bench.system.faults += [Fault.REFUSED]
    bench.look()
    for _ in range(3):
        bench.look()
    assert bench.verbs().count("remove") == 1
    bench.pass_time(FIRST_PAUSE_SECONDS)
    bench.look()
    assert bench.staying == 0


def test_what_was_not_removed_is_not_replaced(bench: Bench) -> None:
    bench.wanted = 1
    bench.look()
    bench.look()
    bench.system.hold(UID, bench.system.of(UID)[0].id, "no such directory")
    bench.pass_time(10)
    bench.look()
    bench.pass_time(600)
    bench.system.faults += [Fault.REFUSED]
    plan = bench.look()
    assert (len(plan.remove), len(plan.submit)) == (1, 1)
    assert bench.staying == 1
    bench.run_until_quiet(4)
    assert [job.state for job in bench.system.of(UID)] == [IDLE]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (SigningKeyError("the key is empty"), Reason.SIGNING_KEY_UNUSABLE),
        (CredentialError("no token for this user"), Reason.API_ERROR),
    ],
)
def test_a_key_that_cannot_be_used_is_told_and_nobody_is_asked(
    bench: Bench, error: CredentialError, reason: Reason
) -> None:
    bench.trouble = error
    bench.wanted = 1
    bench.look()
    view = bench.queue.view(KEY, UID)
    assert (view.trouble, view.outage, view.reason) == (str(error), False, reason)
    assert bench.verbs() == []


def test_jobs_that_end_before_they_are_workers_are_asked_for_after_pauses_that_grow(
    bench: Bench,
) -> None:
    bench.wanted = 2
    bench.look()
    waited = []
    for _ in range(3):
        bench.look()
        bench.system.end(UID, *bench.system.jobs[UID])
        bench.pass_time(FIRST_SECONDS)
        bench.look()
        pause = bench.queue.view(KEY, UID).pauses["batch"]
        assert pause.reason is Reason.FAILED
        assert "2 jobs" in pause.message
        waited.append((pause.until - bench.now).total_seconds())
        bench.pass_time(waited[-1])
    assert waited == [5, 10, 20]
    bench.look()
    bench.registered = {job.worker for job in bench.system.of(UID)}
    bench.look()
    assert bench.queue.view(KEY, UID).pauses == {}


def test_workers_that_end_are_replaced_at_once(bench: Bench) -> None:
    bench.wanted = 1
    bench.look()
    bench.look()
    first = bench.system.of(UID)[0]
    bench.registered = {bench.system.start(UID, first.id)}
    bench.look()
    bench.pass_time(100)
    bench.look()
    bench.system.end(UID, first.id)
    bench.registered = set()
    bench.pass_time(FIRST_SECONDS)
    bench.look()
    bench.look()
    assert bench.staying == 1
    assert bench.queue.view(KEY, UID).pauses == {}


def test_questions_come_less_often_while_jobs_wait_and_seldom_when_all_are_workers(
    bench: Bench,
) -> None:
    bench.wanted = 1
    bench.look()
    bench.look()
    gaps = []
    for _ in range(12):
        bench.look()
        assert bench.later is not None
        gaps.append(bench.later)
        bench.pass_time(bench.later)
        bench.look()
    assert gaps[:3] == [FIRST_SECONDS, FIRST_SECONDS * 1.5, FIRST_SECONDS * 2.25]
    assert gaps[-1] == LONGEST_SECONDS
    bench.registered = {bench.system.start(UID, bench.system.of(UID)[0].id)}
    bench.look()
    before = len(bench.system.calls)
    assert bench.later == STEADY_SECONDS
    bench.pass_time(STEADY_SECONDS - 1)
    bench.look()
    assert len(bench.system.calls) == before


def test_a_worker_that_is_lost_or_unknown_makes_a_question_due_once(bench: Bench) -> None:
    bench.wanted = 1
    bench.look()
    bench.look()
    worker = bench.system.start(UID, bench.system.of(UID)[0].id)
    bench.registered = {worker}
    bench.pass_time(LONGEST_SECONDS)
    bench.look()
    bench.look()
    for registered in (set(), {worker}, {worker, f"{OWNER.slug}-batch-99-0"}):
        bench.pass_time(FIRST_SECONDS)
        before = len(bench.system.calls)
        bench.registered = registered
        bench.look()
        came_back = registered == {worker}
        assert len(bench.system.calls) == before + (not came_back)
    before = len(bench.system.calls)
    bench.pass_time(FIRST_SECONDS)
    bench.look()
    assert len(bench.system.calls) == before


def test_an_empty_queue_is_asked_for_less_and_less(bench: Bench) -> None:
    bench.bound = True
    gaps = []
    bench.look()
    for _ in range(6):
        bench.look()
        assert bench.later is not None
        gaps.append(bench.later)
        bench.pass_time(bench.later)
        bench.look()
    assert gaps == [300, 600, 1200, 2400, EMPTY_SECONDS, EMPTY_SECONDS]


def test_what_was_decided_on_old_news_is_not_done(bench: Bench) -> None:
    bench.wanted = 1
    bench.look()
    bench.look()
    bench.wanted = 3
    view = bench.view()
    assert view.queue is not None
    plan = plan_of(view)
    assert plan.submit
    bench.system.start(UID, bench.system.of(UID)[0].id)
    bench.pass_time(STEADY_SECONDS)
    bench.obey(replace(plan, submit=()), view.queue)  # asks again
    bench.obey(plan, view.queue)
    assert bench.verbs().count("submit") == 1


@pytest.mark.parametrize("verb", ["submit", "query", "remove"])
@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("second", list(Fault))
@pytest.mark.parametrize("first", list(Fault))
def test_whatever_becomes_of_two_attempts_nothing_is_asked_for_twice(
    bench: Bench, first: Fault, second: Fault, killed: bool, verb: str
) -> None:
    twice: list[int] = []

    def submitted(session: str, count: int) -> None:
        there = len(bench.system.of(session))
        if there + count > bench.wanted + bench.system.late_jobs:
            twice.append(count)

    bench.wanted = 5
    bench.look()
    bench.system.on_submit = submitted
    faults = iter([first, second])
    for wanted in (5, 2, 2, 4, 4):
        bench.wanted = wanted
        bench.system.faults_of = {verb: next(faults, Fault.NONE)}
        for _ in range(3):
            bench.look()
            bench.pass_time(6)
        if killed:
            bench.kill()
        bench.system.catch_up()
    bench.system.faults_of.clear()
    bench.kill()  # whatever still hangs
    bench.run_until_quiet(6)
    assert bench.staying == 4
    assert twice == []


class Jobs(RuleBasedStateMachine):
    """Any order of passes, faults, deaths of the operator, and doings of machines and users."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench()
        self.bench.system.on_submit = self.submitted
        self.decided = 0

    def submitted(self, session: str, count: int) -> None:
        """What comes late may come on top; nothing else ever does."""
        there = len(self.bench.system.of(session))
        if there + count > self.decided + self.bench.system.late_jobs:
            self.twice = True

    twice = False

    @initialize(wanted=st.integers(1, 4))
    def begin(self, wanted: int) -> None:
        self.bench.wanted = wanted
        self.bench.look()

    @rule(wanted=st.integers(0, 6))
    def scale(self, wanted: int) -> None:
        self.bench.wanted = wanted

    @rule(
        submit=st.sampled_from(list(Fault)),
        query=st.sampled_from([*[Fault.NONE] * 20, *Fault]),
        remove=st.sampled_from([*[Fault.NONE] * 5, *Fault]),
        seconds=st.sampled_from([0, 5, 30, 400]),
    )
    def look(self, submit: Fault, query: Fault, remove: Fault, seconds: int) -> None:
        bench = self.bench
        bench.pass_time(seconds)
        bench.system.faults_of = {"submit": submit, "query": query, "remove": remove}
        if not bench.queue.view(KEY, UID).busy:
            self.decided = bench.wanted
        bench.look()

    @rule()
    def look_later(self) -> None:
        self.look(Fault.NONE, Fault.NONE, Fault.NONE, 5)

    @rule()
    def kill(self) -> None:
        self.bench.kill()

    @rule()
    def catch_up(self) -> None:
        self.bench.system.catch_up()

    @precondition(lambda self: self.bench.system.of(UID, IDLE))
    @rule(data=st.data())
    def start_a_job(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.bench.system.of(UID, IDLE)))
        worker = self.bench.system.start(UID, job.id)
        if data.draw(st.booleans()):
            self.bench.registered.add(worker)

    @precondition(lambda self: self.bench.system.of(UID, IDLE, RUNNING))
    @rule(data=st.data(), what=st.sampled_from(["hold", "evict", "end"]))
    def trouble(self, data: st.DataObject, what: str) -> None:
        job = data.draw(st.sampled_from(self.bench.system.of(UID, IDLE, RUNNING)))
        self.bench.registered.discard(job.worker)
        if what == "end":
            self.bench.system.end(UID, job.id)
        else:
            getattr(self.bench.system, what)(UID, job.id, "because")

    @precondition(lambda self: self.bench.system.of(UID, LEAVING))
    @rule()
    def finish_draining(self) -> None:
        for job in self.bench.system.of(UID, LEAVING):
            self.bench.registered.discard(job.worker)
            self.bench.system.end(UID, job.id)

    @invariant()
    def nothing_is_asked_for_twice(self) -> None:
        assert not self.twice

    @invariant()
    def jobs_are_there_only_if_the_session_is_bound(self) -> None:
        assert self.bench.bound or not self.bench.system.jobs.get(UID)

    def teardown(self) -> None:
        """Everything works again: there are as many jobs as are wanted, then none."""
        bench = self.bench
        bench.kill()
        bench.system.faults_of.clear()
        self.decided = bench.wanted
        bench.system.catch_up()
        bench.run_until_quiet()
        self.finish_draining()
        bench.run_until_quiet(4)
        assert bench.staying == bench.wanted
        assert not self.twice
        for _ in range(4):
            self.finish_draining()
            seen = bench.queue.view(KEY, UID)
            plan = plan_end(seen, bench.now, bench.now, 60)
            bench.obey(replace(plan, watch=not plan.release), seen)
            bench.pass_time(100)
        assert plan == BatchPlan(release=True)
        assert not bench.system.jobs.get(UID)
        bench.close()


TestJobs = Jobs.TestCase
TestJobs.settings = settings(
    max_examples=60,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
