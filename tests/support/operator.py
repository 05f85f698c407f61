"""An operator in a thread and an event loop of its own, as apart from a test as a process is.

kopf, when it ends, cancels every task of its event loop that it does not know.
"""

import asyncio
import selectors
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from casita.clients.batch.jobs import BackEnd
from casita.clients.kubernetes import Connection
from casita.config import Site
from casita.operator.process import Ports, Process

STOP_SECONDS = 20.0


class Operator:
    """One operator, from the start of a block to its end; several in a row are restarts.

    Attributes:
        process: what runs; to be read only, since it belongs to another thread.
    """

    def __init__(
        self,
        site: Site,
        connection: Connection,
        *,
        ports: Ports | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        back_end: BackEnd | None = None,
    ) -> None:
        self.process = Process(site, connection, ports or Ports(0, 0), clock, back_end)
        self._selector = selectors.DefaultSelector()
        self._loop = asyncio.SelectorEventLoop(self._selector)
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="operator", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        if kind is None and self._error is not None:
            raise self._error

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call a function within the operator's loop, soon."""
        self._loop.call_soon_threadsafe(function, *arguments)

    def look(self, namespace: str, name: str = "alice") -> None:
        """Let the operator look at a session, as a timer of its own would."""
        self.call(self.process.queue.add, (namespace, name))

    def stop(self) -> None:
        """End it as a signal does, and wait; harmless when it has ended."""
        self._end(self._stop.set)

    def kill(self) -> None:
        """End it wherever it is; see to it first that it reaches nothing any more."""
        self._end(self._cancel)

    @property
    def ended(self) -> bool:
        """Whether it has ended, by itself or not."""
        return not self._thread.is_alive()

    @property
    def error(self) -> BaseException | None:
        """What it ended by, if it was an error."""
        return self._error

    def _end(self, how: Callable[[], object]) -> None:
        if self._thread.is_alive():
            self.call(how)
            self._thread.join(STOP_SECONDS)
        if self._thread.is_alive():
            raise TimeoutError(f"the operator did not end within {STOP_SECONDS:g} s")

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            try:
                runner.run(self._work())
            except asyncio.CancelledError:
                pass
            except BaseException as error:  # noqa: BLE001 - told to the test by `__exit__`
                self._error = error

    async def _work(self) -> None:
        self._task = asyncio.current_task()
        try:
            await self.process.run(self._stop)
        finally:
            await self._connections_gone()

    async def _connections_gone(self) -> None:
        """A connection that was closed is gone when its other end has agreed."""
        for _ in range(1000):
            if len(self._selector.get_map()) <= 1:  # the one left is the loop's own
                return
            await asyncio.sleep(0.005)
