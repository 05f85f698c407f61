"""Work of the session counts as use of the server, and nothing else does."""

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

from casita.dask import activity as extension
from casita.dask import usage
from casita.dask.activity import SOURCE, Activity
from casita.dask.connect import client_security
from tests.unit.dask_session import Session, wait_for

logger = logging.getLogger(__name__)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    session = Session(tmp_path)
    where = {"dashboardAddress": f"https://localhost:{session.dashboard_port}"}
    (session.client_mount.directory / "session.json").write_text(json.dumps(where))
    try:
        yield session
    finally:
        session.stop()


async def test_a_server_is_in_use_as_long_as_its_scheduler_has_work(session: Session) -> None:
    scheduler = session.scheduler()
    await asyncio.to_thread(wait_for, scheduler.healthy, "scheduler")
    settings: dict[str, Any] = {"last_activity_times": {}}
    activity = Activity(settings, session.client_mount.directory, logger)
    times = settings["last_activity_times"]
    security = client_security(session.client_mount.directory)
    async with Client(session.address, security=security, asynchronous=True) as client:
        await activity.look()
        assert times == {}, "a client alone is no work"
        waiting = client.submit(sum, [1, 2])  # there is no worker
        while not times:
            await activity.look()
        first = times[SOURCE]
        await activity.look()
        assert times[SOURCE] > first
        waiting.release()
        del waiting
        last = None
        while times.get(SOURCE) != last:
            last = times[SOURCE]
            await asyncio.sleep(0.1)
            await activity.look()


async def test_without_a_scheduler_nothing_happens(
    session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    settings: dict[str, Any] = {"last_activity_times": {}}
    activity = Activity(settings, session.client_mount.directory, logger)
    with caplog.at_level(logging.INFO):
        await activity.look()
        await activity.look()
    assert settings["last_activity_times"] == {}
    assert len([r for r in caplog.records if "no work is known of" in r.message]) == 1


async def test_a_server_without_a_session_goes_on(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"last_activity_times": {}}
    await Activity(settings, tmp_path, logger).look()
    assert settings["last_activity_times"] == {}


def test_both_ends_mean_the_same_place() -> None:
    assert extension.PATH == usage.PATH
