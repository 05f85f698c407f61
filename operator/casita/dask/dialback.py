"""Can the scheduler reach its workers? Found out by dialling each one back, again and again.

A worker that cannot be dialled registers like any other, takes tasks and finishes them; but results
travel from the scheduler's side (``Scheduler.gather``), so every ``result()`` then hangs without a
word. A connection that is already open proves nothing: each dial is a new one, handshake included.
"""

import asyncio
import logging
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from distributed import Scheduler
from distributed.comm import connect
from distributed.core import send_recv
from distributed.scheduler import WorkerState

TICK_SECONDS: Final = 0.5
MAX_DIALS_PER_SECOND: Final = 50
"""What a handshake each may cost the scheduler: with more than 1,000 workers the rounds are longer
than 20 s."""

CONNECT_SHARE: Final = 0.8
"""Of the time for a dial, so that a refused connection still tells its own reason."""


@dataclass(frozen=True, slots=True)
class Contact:
    """What the last dial to a worker showed."""

    name: str
    address: str
    reachable: bool
    error: str
    """One line; empty if it was reached."""


class Dialler:
    """Dials every worker of a scheduler when it registers and in rounds from then on."""

    def __init__(
        self,
        scheduler: Scheduler,
        seconds: float,
        timeout: float,
        changed: Callable[[], None],
        logger: logging.Logger,
    ) -> None:
        """Dial each worker every `seconds`; call `changed` when one comes, goes or turns."""
        self._scheduler = scheduler
        self._seconds = seconds
        self._timeout = timeout
        self._changed = changed
        self._logger = logger
        self._contacts: dict[str, Contact] = {}
        self._due: dict[str, float] = {}

    def contacts(self) -> list[Contact]:
        """Return the workers that are registered and have been dialled."""
        return list(self._contacts.values())

    async def run(self) -> None:
        """Dial until cancelled."""
        while True:
            self._tick(asyncio.get_running_loop().time())
            await asyncio.sleep(TICK_SECONDS)

    def _tick(self, now: float) -> None:
        # Read afresh, not followed by events: whatever was missed is seen at the next tick. A
        # worker is known by its server's id, which is new in each process.
        workers = {state.server_id: state for state in self._scheduler.workers.values()}
        for gone in self._due.keys() - workers.keys():
            del self._due[gone]
            if self._contacts.pop(gone, None):
                self._changed()
        for identity, state in workers.items():
            if now >= self._due.get(identity, now):
                self._due[identity] = now + self._interval(len(workers))
                self._scheduler._ongoing_background_tasks.call_soon(self._visit, identity, state)

    def _interval(self, workers: int) -> float:
        # Spread over a tenth of the round, so that workers that came together drift apart.
        return max(self._seconds, workers / MAX_DIALS_PER_SECOND) * random.uniform(0.9, 1)  # noqa: S311

    async def _visit(self, identity: str, state: WorkerState) -> None:
        error = await self._dial(state.address)
        if identity not in self._due:
            return  # it left meanwhile, on purpose
        contact = Contact(str(state.name), state.address, reachable=not error, error=error)
        before = self._contacts.get(identity)
        self._contacts[identity] = contact
        if before is not None and before.reachable == contact.reachable:
            return  # another error of one that is unreachable anyway is told with the next report
        self._changed()
        if error:
            self._logger.warning("worker %s at %s: %s", contact.name, contact.address, error)
        elif before is not None:
            self._logger.info("worker %s at %s: reached again", contact.name, contact.address)

    async def _dial(self, address: str) -> str:
        """Return why `address` cannot be reached, or nothing."""
        try:
            async with asyncio.timeout(self._timeout):
                comm = await connect(
                    address,
                    timeout=self._timeout * CONNECT_SHARE,
                    deserialize=False,
                    **self._scheduler.connection_args,
                )
                try:
                    await send_recv(comm, op="identity")
                finally:
                    comm.abort()
        except TimeoutError:
            return f"connected, but no answer within {self._timeout:g} s"
        except (OSError, RuntimeError) as error:  # RuntimeError: the address is not tls://
            cause = _first_cause(error)
            if isinstance(cause, TimeoutError):
                return f"no connection within {self._timeout * CONNECT_SHARE:g} s"
            return one_line(cause)
        return ""


def _first_cause(error: BaseException) -> BaseException:
    # A timeout's own cause is no more than the cancellation that made it.
    while error.__cause__ is not None and not isinstance(error, TimeoutError):
        error = error.__cause__
    return error


def one_line(error: BaseException) -> str:
    """Return an exception as one line of at most 200 characters, the same for the same failure."""
    # distributed puts an object's address into some of its messages.
    text = " ".join(re.sub(r"in <[^>]*>: ", "", str(error)).split())
    return (f"{type(error).__name__}: {text}" if text else type(error).__name__)[:200]
