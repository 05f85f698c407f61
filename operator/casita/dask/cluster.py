"""`Cluster`: a session's workers, in the hands of its user.

The scheduler and its workers are there already, and stay: this is a way to ask for more or fewer of
them, and to see how they stand. It speaks to the scheduler alone, with the session's certificate.
"""

import asyncio
import logging
import os
import warnings
from collections.abc import Generator, Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any, Final

from dask.utils import parse_timedelta
from distributed.core import Status, rpc
from distributed.deploy import Cluster as DaskCluster
from distributed.exceptions import WorkerStartTimeoutError
from distributed.utils import Log, Logs
from tornado.ioloop import IOLoop, PeriodicCallback

from casita.dask.bundle import PackagesError
from casita.dask.certificates import LeafWatch
from casita.dask.connect import (
    DEFAULT_DIRECTORY,
    ClientSecurity,
    client_security,
    scheduler_address,
    session_facts,
)
from casita.dask.elsewhere import check_elsewhere
from casita.dask.install import make_bundle
from casita.dask.openssl import contain_broken_connections
from casita.dask.server import leaf_files
from casita.dask.settings import reload_seconds
from casita.dask.words import departure_lines, describe

logger: Final = logging.getLogger("distributed.casita")

POLL_SECONDS: Final = 0.5
FOLLOW_SECONDS: Final = 3.0


class ScaleError(ValueError):
    """What was asked for cannot be; the message says why."""


class Cluster(DaskCluster):  # type: ignore[misc] # distributed has no types
    """The workers of a session.

    ``Cluster()`` needs no argument in a session's notebook, and ``Client(cluster)`` works as ever.
    `close` leaves scheduler and workers as they are, and so does the end of a ``with``.
    """

    def __init__(
        self,
        directory: Path | str | None = None,
        *,
        external: bool = False,
        asynchronous: bool = False,
        loop: IOLoop | None = None,
        quiet: bool = False,
        n_workers: int = 0,
        **elsewhere: Any,
    ) -> None:
        """Connect to the session whose files are in `directory`.

        Args:
            directory: holds ca.pem, usercert.pem and session.json; the notebook's if absent.
            external: connect through the gateway, from outside the cluster.
            asynchronous: every call returns a coroutine; ``await`` the cluster itself first.
            loop: the event loop to run in.
            quiet: print nothing while waiting for workers.
            n_workers: if not 0, ask for so many, as by `scale`.
            elsewhere: what code for other clusters passes and the session's spec decides.

        Raises:
            ConnectError: a file is missing or malformed, or the session has no route.
            OSError: the scheduler does not answer, or refuses the certificate.
            TypeError: there is an argument that no cluster has.
        """
        check_elsewhere(elsewhere)
        where = DEFAULT_DIRECTORY if directory is None else Path(directory)
        self._address = scheduler_address(where, external=external)
        self._session = session_facts(where)
        self.security = ClientSecurity(client_security(where))
        self._first_workers = n_workers
        self._facts: dict[str, Any] = {}
        super().__init__(
            asynchronous=asynchronous,
            loop=loop,
            quiet=quiet,
            name=str(self._session.get("name", "session")),
            scheduler_sync_interval="1h",  # nobody needs it more often, and idle notebooks are many
        )
        if not self.called_from_running_loop:
            self._loop_runner.start()
            self.sync(self._start)

    def __await__(self) -> Generator[Any, Any, "Cluster"]:
        async def started() -> "Cluster":
            if self.status == Status.created:
                await self._start()
            return self

        return started().__await__()

    async def _start(self) -> None:
        contain_broken_connections()
        self._watch_certificate()
        arguments = self.security.get_connection_args("client")
        self.scheduler_comm = rpc(self._address, connection_args=arguments)
        try:
            await super()._start()
            if self._first_workers:
                await self._ask(workers=self._first_workers)
        except BaseException:
            await self._close()
            raise

    def _watch_certificate(self) -> None:
        if not hasattr(os, "memfd_create"):
            return  # only Linux can load a key without a file of its own
        files = leaf_files(self.security, "client")
        watch = LeafWatch(files, lambda: [self.security.context], serves=False, logger=logger)
        self.periodic_callbacks["casita-leaf"] = PeriodicCallback(
            watch.poll, reload_seconds(os.environ) * 1000
        )

    def scale(
        self, n: int | None = None, pools: Mapping[str, int] | None = None, **more: int
    ) -> Any:
        """Ask for `n` workers, or for some of single pools: ``scale(batch=3)``.

        It holds until the next `scale` or `adapt`, also when this cluster is closed.

        Raises:
            ScaleError: there is no such pool, or the session's spec decides.
        """
        return self.sync(self._ask, workers=n, pools={**(pools or {}), **more})

    def adapt(self, minimum: int = 0, maximum: int | None = None, **elsewhere: Any) -> Any:
        """Let the work decide how many workers there are, between `minimum` and `maximum`.

        This is how a session begins. The site decides how fast; other arguments are ignored.
        """
        if elsewhere:
            warnings.warn(f"the site decides {', '.join(sorted(elsewhere))}", stacklevel=2)
        return self.sync(self._ask, adapt={"minimum": minimum, "maximum": maximum})

    async def _ask(self, **wish: Any) -> None:
        facts = await self.scheduler_comm.casita_scale(**wish)
        refused = facts.pop("error", "")
        self._facts = facts
        if refused:
            raise ScaleError(refused)

    def facts(self) -> Any:
        """Return how the workers stand, as plain data: pools, message, departures and more."""
        return self.sync(self._refresh)

    async def _refresh(self) -> dict[str, Any]:
        self._facts = await self.scheduler_comm.casita_status()
        return self._facts

    def describe(self) -> Any:
        """Return how the workers stand, and why there are not more, as text."""
        return self.sync(self._describe)

    async def _describe(self) -> str:
        return describe(await self._refresh())

    def install(self, *requirements: str) -> Any:
        """Bring packages to scheduler and workers, those that come later included.

        ``cluster.install("particle==0.25", "./my_analysis")``: pip runs once, here. A process that
        has imported another version of a package keeps it.

        Raises:
            PackagesError: pip found no way, it is too much, or a worker cannot take it.
        """
        return self.sync(self._install, requirements)

    async def _install(self, requirements: tuple[str, ...]) -> None:
        session = await self.scheduler_comm.casita_installed()
        bundle = await asyncio.to_thread(
            make_bundle, requirements, session["packages"], session["python"]
        )
        data = b"" if bundle.digest in session["archives"] else bundle.data
        answer = await self.scheduler_comm.casita_install(
            digest=bundle.digest, names=bundle.names, data=data
        )
        failed = "\n".join(f"{worker}: {error}" for worker, error in answer["workers"].items())
        if answer["error"] or failed:
            raise PackagesError(answer["error"] or failed)
        self._log(f"in scheduler and workers: {', '.join(bundle.names)}")

    def wait_for_workers(self, n_workers: int, timeout: float | str | None = None) -> Any:
        """Return once `n_workers` are there; tell meanwhile what they wait for.

        Raises:
            WorkerStartTimeoutError: not within `timeout` (seconds, or "2m"); it says why.
        """
        if not isinstance(n_workers, int) or n_workers < 1:
            raise ValueError(f"n_workers must be a number of workers, got {n_workers!r}")
        seconds = None if timeout is None else parse_timedelta(timeout)
        return self.sync(self._wait_until, n_workers, seconds)

    async def _wait_until(self, n_workers: int, seconds: float | None) -> None:
        clock = asyncio.get_running_loop().time
        end = None if seconds is None else clock() + seconds
        told = ""
        while (facts := await self._refresh())["workers"] < n_workers:
            if end is not None and clock() >= end:
                late = WorkerStartTimeoutError(facts["workers"], n_workers, seconds)
                late.add_note(describe(facts))
                raise late
            if facts["message"] not in ("", told):
                told = facts["message"]
                self._log(told)
            await asyncio.sleep(POLL_SECONDS)

    async def _get_logs(
        self, cluster: bool = True, scheduler: bool = True, workers: bool | Iterable[str] = True
    ) -> Logs:
        logs = await super()._get_logs(cluster=cluster, scheduler=scheduler, workers=workers)
        if workers:
            left = departure_lines((await self._refresh())["departures"])
            logs["Departed workers"] = Log("\n".join(left))
        return logs

    @property
    def dashboard_link(self) -> str:
        """Address of the dashboard, which asks for a certificate of the session."""
        root = self._session.get("dashboardAddress") or ""
        return f"{str(root).rstrip('/')}/status" if root else ""

    def _scaling_status(self) -> str:
        text = describe(self._facts) if self._facts else "not asked yet"
        return "<br>".join(escape(line) for line in text.splitlines())

    def _widget(self) -> Any:
        widget = super()._widget()
        if widget is not None and "casita-facts" not in self.periodic_callbacks:
            self.loop.add_callback(self._follow)
        return widget

    def _follow(self) -> None:
        """Keep what the widget shows new, as long as this cluster is open."""
        following = PeriodicCallback(self._refresh, FOLLOW_SECONDS * 1000)
        self.periodic_callbacks["casita-facts"] = following
        following.start()
