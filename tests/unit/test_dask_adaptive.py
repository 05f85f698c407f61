"""What an adaptive session's scheduler asks for while real work comes, runs on and ends."""

from collections.abc import Iterator
from pathlib import Path

import dask
import pytest
from distributed import Client

from casita.dask.connect import client_security
from tests.unit.dask_operator import Operator, operating
from tests.unit.dask_session import Session, wait_for
from tests.unit.dask_tasks import counted, gated, open_gate, runs

TASKS = 40
DOWN_SECONDS = 2.0


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    made = Session(tmp_path / "session")
    yield made
    made.stop()


@pytest.fixture
def operator(session: Session) -> Iterator[Operator]:
    with operating(session) as made:
        yield made
        session.stop()


def start(session: Session, operator: Operator, **more: str) -> None:
    environment = operator.environment(
        CASITA_TARGET_SECONDS="2",
        CASITA_SCALE_DOWN_SECONDS=str(DOWN_SECONDS),
        CASITA_REPORT_HEARTBEAT_SECONDS="1",
        **more,
    )
    wait_for(session.scheduler("--no-dashboard", **environment).healthy, "scheduler")


def client_of(session: Session) -> Client:
    return Client(session.address, security=client_security(session.client_mount.directory))


def test_workers_follow_the_work(session: Session, operator: Operator, tmp_path: Path) -> None:
    start(session, operator)
    wait_for(lambda: operator.demand() == {"cores": 0, "minimum": 0}, "an idle report")
    assert operator.last()["idleSeconds"] >= 0
    assert operator.last()["mismatches"] == []
    with client_of(session) as client:
        wait_for(lambda: operator.last()["idleSeconds"] is None, "a client to count as use")
        futures = client.map(gated, [str(tmp_path)] * TASKS, [f"t{n}" for n in range(TASKS)])
        # Nobody knows yet how long they take: half a second each, as Dask has it.
        wait_for(lambda: operator.demand()["cores"] == TASKS / 4, "the first workers")
        session.worker("one")
        session.worker("two")
        wait_for(lambda: operator.demand()["cores"] == TASKS, "a core for each long task")
        assert runs(tmp_path, "t0") + runs(tmp_path, "t1") > 0
        assert "retire" not in operator.demand(), "nobody has to go"
        open_gate(tmp_path)
        client.gather(futures)
        wait_for(lambda: operator.demand()["cores"] == 1, "all but one, which keeps the results")
        assert set(operator.demand()["retire"]) == {"one", "two"}
        del futures
        wait_for(lambda: operator.demand()["cores"] == 0, "the last one")
    wait_for(lambda: operator.last()["idleSeconds"] is not None, "the end of use")


def test_a_hint_brings_all_workers_at_once(
    session: Session, operator: Operator, tmp_path: Path
) -> None:
    start(session, operator)
    with client_of(session) as client:
        with dask.annotate(expected_seconds=3600):
            futures = client.map(counted, [str(tmp_path)] * TASKS, [str(n) for n in range(TASKS)])
        wait_for(lambda: operator.demand().get("cores") == TASKS, "a core for each")
        assert len(futures) == TASKS
    wait_for(lambda: operator.demand()["cores"] == 0, "nobody wants them any more")


def test_one_that_runs_a_long_task_is_told_apart_from_idle_ones(
    session: Session, operator: Operator, tmp_path: Path
) -> None:
    start(session, operator)
    for name in ("one", "two"):
        session.worker(name)
    with client_of(session) as client:
        client.wait_for_workers(2)
        future = client.submit(gated, str(tmp_path), "long", key="long", workers=["two"])
        wait_for(lambda: operator.demand().get("busy") == ["two"], "the busy one")
        assert operator.demand()["retire"][-1] == "two"
        open_gate(tmp_path)
        assert future.result() == 0
        wait_for(lambda: "busy" not in operator.demand(), "its end")


def test_peers_of_another_version_are_named(session: Session, operator: Operator) -> None:
    start(session, operator)
    client = client_of(session)
    with client:

        def pretend(dask_scheduler: object = None) -> None:
            for state in dask_scheduler.clients.values():  # type: ignore[attr-defined]
                if state.versions:
                    state.versions["packages"]["distributed"] = "2020.1.0"

        client.run_on_scheduler(pretend)
        line = f"client {client.id}: distributed 2020.1.0, scheduler has"
        wait_for(
            lambda: any(text.startswith(line) for text in operator.last()["mismatches"]),
            "the mismatch",
        )
    wait_for(lambda: operator.last()["mismatches"] == [], "the client's leave")
