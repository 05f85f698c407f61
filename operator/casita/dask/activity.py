"""Work on the session's workers counts as use of the notebook's server: a Jupyter server extension.

A hub ends servers that nobody uses, and takes for use what kernels say and browsers ask. A kernel
that waits for hours for its workers says nothing, and a closed browser asks nothing; while the
scheduler has something to do, somebody uses the server all the same.
"""

import asyncio
import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tornado.httpclient import AsyncHTTPClient, HTTPError
from tornado.ioloop import PeriodicCallback

from casita.dask.tunnel import DIRECTORY, TunnelError, read_dashboard

LOOK_SECONDS: Final = 60.0
"""Between two looks; less than half of what culling waits for at the least."""

SOURCE: Final = "casita.dask"
"""Our entry in ``last_activity_times``, of which the server tells the hub the newest
(``jupyter_server/serverapp.py``, ``ServerWebApplication.last_activity``)."""

PATH: Final = "/casita/usage"
"""As in `casita.dask.usage`, which needs all of distributed."""


class Activity:
    """Looks at the session's scheduler now and then."""

    def __init__(self, settings: dict[str, Any], directory: Path, logger: logging.Logger) -> None:
        """Tell in the server's `settings` when there was work, by the files in `directory`."""
        self._times: dict[str, datetime] = settings["last_activity_times"]
        self._directory = directory
        self._logger = logger
        self._trouble = ""

    async def look(self) -> None:
        """Look once. Never raises: a scheduler that is away has no work."""
        try:
            busy = await is_busy(self._directory)
        except (TunnelError, HTTPError, OSError, ValueError) as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                self._logger.info("no work is known of: %s", error)
            return
        self._trouble = ""
        if busy:
            self._times[SOURCE] = datetime.now(UTC)


async def is_busy(directory: Path) -> bool:
    """Say whether any task of the session is yet to end.

    Raises:
        TunnelError: there is no session, or its files cannot be used.
        HTTPError, OSError: the scheduler does not answer.
        ValueError: what it answers is not understood.
    """
    dashboard = await asyncio.to_thread(read_dashboard, directory)
    answer = await AsyncHTTPClient().fetch(
        f"https://{dashboard.host}:{dashboard.port}{PATH}",
        ssl_options=dashboard.context,
        connect_timeout=5,
        request_timeout=10,
        follow_redirects=False,
    )
    told = json.loads(answer.body)
    return isinstance(told, dict) and told.get("busy") is True


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "casita.dask.activity"}]


def _load_jupyter_server_extension(server: Any) -> None:
    activity = Activity(server.web_app.settings, DIRECTORY, server.log)
    PeriodicCallback(activity.look, LOOK_SECONDS * 1000, jitter=0.1).start()
