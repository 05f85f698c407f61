"""A notebook's `Cluster`: what it asks for reaches the operator, what the operator says is seen."""

import asyncio
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import dask.config
import pytest
from distributed import Client
from distributed.exceptions import WorkerStartTimeoutError

import casita.dask
from casita.dask.cluster import Cluster, ScaleError
from tests.unit.dask_operator import Operator, operating, pool
from tests.unit.dask_session import DEADLINE_SECONDS, Session, wait_for

MANUAL: dict[str, Any] = {"mode": "Manual", "pools": [pool("local")]}
ADAPTIVE: dict[str, Any] = {
    "mode": "Adaptive",
    "message": "",
    "pools": [pool("local"), pool("batch")],
}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    made = Session(tmp_path_factory.mktemp("session"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def started(session: Session) -> Iterator[Operator]:
    with operating(session) as operator:
        operator.answer = ADAPTIVE
        scheduler = session.scheduler(
            "--no-dashboard",
            **operator.environment(CASITA_REPORT_HEARTBEAT_SECONDS="1"),
        )
        wait_for(scheduler.healthy, "scheduler")
        session.worker("one")
        yield operator
        session.stop()


@pytest.fixture
def operator(started: Operator, folder: Path) -> Iterator[Operator]:
    started.answer = ADAPTIVE
    yield started
    with Cluster(folder) as cluster:
        answers(started, cluster, ADAPTIVE)
        cluster.adapt()


@pytest.fixture(scope="module")
def folder(session: Session) -> Path:
    where = {
        "namespace": "casita",
        "name": "demo",
        "address": session.address,
        "externalAddress": session.address,
        "dashboardAddress": "https://demo.example:8787",
    }
    (session.client_mount.directory / "session.json").write_text(json.dumps(where))
    return session.client_mount.directory


@pytest.fixture
def cluster(operator: Operator, folder: Path) -> Iterator[Cluster]:
    assert operator.url
    with Cluster(folder, quiet=True) as made:
        made.wait_for_workers(1, timeout=DEADLINE_SECONDS)
        wait_for(lambda: made.facts()["mode"], "the operator's first answer")
        yield made


def answers(operator: Operator, cluster: Cluster, answer: dict[str, Any]) -> None:
    """Let the operator answer so, and return once the scheduler has heard it."""
    operator.answer = answer

    def heard() -> bool:
        facts = {**cluster.facts()}
        facts["pools"] = list(facts["pools"])
        return facts | answer == facts

    wait_for(heard, "the answer")


def test_it_is_exported_where_it_is_looked_for() -> None:
    assert casita.dask.Cluster is Cluster
    with pytest.raises(AttributeError, match="no attribute 'Clusters'"):
        casita.dask.__getattr__("Clusters")


def test_what_is_asked_for_reaches_the_operator(operator: Operator, cluster: Cluster) -> None:
    cluster.scale(3)
    wait_for(lambda: operator.demand().get("workers") == 3, "a number")
    cluster.scale(batch=2)
    cluster.scale(pools={"local": 1})
    wait_for(lambda: operator.demand().get("pools") == {"batch": 2, "local": 1}, "pools")
    cluster.adapt(minimum=1, maximum=5)
    wait_for(lambda: operator.demand().get("maximum") == 5, "bounds")
    assert operator.demand()["minimum"] == 1
    assert "cores" in operator.demand()


def test_a_wish_outlives_the_cluster_that_it_came_from(
    operator: Operator, cluster: Cluster, folder: Path
) -> None:
    with Cluster(folder, n_workers=4):
        wait_for(lambda: operator.demand().get("workers") == 4, "the wish")
    assert cluster.facts()["asked"] == "4 workers, by hand"
    assert cluster.facts()["workers"] == 1, "a closed cluster leaves its workers alone"


def test_an_open_cluster_is_use_and_a_closed_one_is_not(
    operator: Operator, cluster: Cluster
) -> None:
    """A session with an idle timeout must not end under an open notebook."""
    wait_for(lambda: operator.last()["idleSeconds"] is None, "use")
    cluster.close()
    wait_for(lambda: operator.last()["idleSeconds"] is not None, "the end of use")


def test_what_cannot_be_is_refused_in_words(operator: Operator, cluster: Cluster) -> None:
    with pytest.raises(ScaleError, match="no pool btach; this session has local, batch"):
        cluster.scale(btach=3)
    with pytest.raises(ScaleError, match="must be 0 to 10000, got -1"):
        cluster.scale(-1)
    with pytest.raises(ScaleError, match="minimum 3 is above maximum 2"):
        cluster.adapt(minimum=3, maximum=2)
    answers(operator, cluster, MANUAL)
    with pytest.raises(
        ScaleError, match=r"kubectl scale -n casita analysissession/demo --replicas=N"
    ):
        cluster.scale(2)


def test_a_client_works_as_with_any_cluster(cluster: Cluster) -> None:
    with Client(cluster) as client:
        assert client.submit(int, "7").result() == 7
        assert client.dashboard_link == "https://demo.example:8787/status"
        context = client.connection_args["ssl_context"]
        assert context is cluster.security.context, "its certificate would not be renewed"
    assert "casita-leaf" in cluster.periodic_callbacks


def test_it_tells_why_there_are_not_more(operator: Operator, cluster: Cluster) -> None:
    message = "pool local: no node has room for 2 more workers"
    answers(
        operator,
        cluster,
        {
            "mode": "Adaptive",
            "message": message,
            "pools": [pool("local", desired=3, requested=3, ready=1)],
        },
    )
    text = cluster.describe()
    assert message in text
    assert "pool local (Kubernetes): 1 ready, 3 requested, 3 wanted, 0 to 8 allowed" in text
    with pytest.raises(WorkerStartTimeoutError) as late:
        cluster.wait_for_workers(3, timeout="200ms")
    assert message in "".join(late.value.__notes__)


def test_workers_that_come_and_go_are_seen_and_the_reason_is_kept(
    session: Session, cluster: Cluster
) -> None:
    leaving = session.worker("leaving")
    cluster.wait_for_workers(2, timeout=DEADLINE_SECONDS)
    wait_for(lambda: len(cluster.scheduler_info["workers"]) == 2, "the cluster's own list")
    assert "workers=2" in repr(cluster)
    killed = session.worker("killed")
    cluster.wait_for_workers(3, timeout=DEADLINE_SECONDS)
    leaving.process.terminate()  # type: ignore[union-attr]
    killed.stop()

    def reasons_by_name() -> dict[str, str]:
        return {left["name"]: left["reason"] for left in cluster.facts()["departures"]}

    wait_for(lambda: reasons_by_name().keys() == {"leaving", "killed"}, "both to be gone")
    reasons = reasons_by_name()
    assert reasons["leaving"] == "drained after SIGTERM"
    assert "the connection ended without a word" in reasons["killed"]
    logs = cluster.get_logs()
    assert "drained after SIGTERM" in logs["Departed workers"]
    assert "Register worker" in logs["Scheduler"]


def test_two_notebooks_see_the_same_workers(
    session: Session, cluster: Cluster, folder: Path
) -> None:
    """Stock Dask keeps one such stream: the second notebook would take the first one's place."""
    with Cluster(folder, quiet=True) as second:
        more = session.worker("more")
        for one in (cluster, second):
            wait_for(partial(sees, one, 2), "two workers")
    more.stop()
    wait_for(partial(sees, cluster, 1), "one worker")


def sees(cluster: Cluster, workers: int) -> bool:
    return len(cluster.scheduler_info["workers"]) == workers


def test_it_is_shown_with_and_without_widgets(cluster: Cluster) -> None:
    assert repr(cluster).startswith(f"Cluster(demo, '{cluster.scheduler_address}', workers=1")
    cluster.describe()
    assert "1 workers with 1 cores" in cluster._scaling_status()
    assert "Cluster" in cluster._repr_html_()


def test_code_of_other_clusters_runs_with_a_warning(operator: Operator, folder: Path) -> None:
    assert operator.url
    with pytest.warns(UserWarning, match="spec decides cores, worker_image: ignored") as seen:
        cluster = Cluster(folder, cores=1, worker_image="coffea")
    with cluster:
        assert cluster.facts()["workers"] == 1
    assert seen[0].filename == __file__
    with pytest.raises(TypeError, match="takes no argument corse"):
        Cluster(folder, corse=1)


def test_where_nobody_listens_it_says_so(folder: Path, tmp_path: Path) -> None:
    for name in ("ca.pem", "usercert.pem"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "session.json").write_text(json.dumps({"address": "tls://127.0.0.1:1"}))
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "200ms"}),
        pytest.raises(OSError, match="Timed out trying to connect"),
    ):
        Cluster(tmp_path)


async def test_it_works_in_asynchronous_code(operator: Operator, folder: Path) -> None:
    async with (
        Cluster(folder, asynchronous=True) as cluster,
        Client(cluster, asynchronous=True) as client,
    ):
        await cluster.wait_for_workers(1, timeout=DEADLINE_SECONDS)
        assert await client.submit(int, "7") == 7
        await cluster.scale(2)
        assert "2 workers, by hand" in await cluster.describe()
        end = asyncio.get_running_loop().time() + DEADLINE_SECONDS
        while operator.demand().get("workers") != 2:
            assert asyncio.get_running_loop().time() < end, "the wish did not arrive"
            await asyncio.sleep(0.02)
