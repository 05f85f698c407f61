"""How a worker leaves: nothing new is started, nothing running is cut, no result is lost.

Stock distributed ends a worker without a nanny at once on SIGTERM; and ``retire_workers`` alone
gives away tasks that are running, so that they are run a second time elsewhere. So first the worker
finishes what it has begun, and only then it is retired.
"""

import asyncio
import functools
import logging
import os
import random
import signal
from time import time
from typing import Final

from distributed import Worker
from distributed.core import Status

from casita.dask.departures import TOPIC

CLOSE_SECONDS: Final = 2.0
POLL_SECONDS: Final = 0.1
RETIRE_AGAIN_SECONDS: Final = 2.0
_REGISTERED: Final = (Status.running, Status.paused, Status.closing_gracefully)
_NOT_BEGUN: Final = ("waiting", "ready", "constrained")
"""States in which a worker's task waits to run (``distributed/worker_state_machine.py``)."""


class Drain:
    """Answers SIGTERM for one worker, and the end of its time."""

    def __init__(self, worker: Worker, seconds: float, logger: logging.Logger) -> None:
        """Give the worker `seconds` to leave in good order."""
        self._worker = worker
        self._seconds = seconds
        self._logger = logger
        self._signals = 0
        self._tasks: list[asyncio.Task[None]] = []

    def install(self, lifetime: float | None = None) -> None:
        """Take SIGTERM over from ``dask worker``, in the main thread's event loop.

        After up to `lifetime` seconds, and a tenth less at most, the same is done without a signal:
        workers that came together do not all leave together.
        """
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._on_signal)
        if lifetime is not None:
            loop.call_later(lifetime * random.uniform(0.9, 1), self._on_time)  # noqa: S311

    def _on_time(self) -> None:
        if not self._tasks:
            self._begin("the end of its lifetime")

    def _on_signal(self) -> None:
        self._signals += 1
        if self._tasks and self._signals == 1:
            self._logger.info("SIGTERM: draining already")
        elif not self._tasks:
            self._begin("SIGTERM")
        else:
            self._end_at_once("SIGTERM")

    def _begin(self, reason: str) -> None:
        if self._worker.status not in _REGISTERED:
            self._end_at_once(reason)
            return
        self._logger.info("%s: draining for up to %g s", reason, self._seconds)
        self._tasks.append(asyncio.create_task(self._run(reason)))

    def _end_at_once(self, reason: str) -> None:
        self._logger.info("%s: ending at once", reason)
        self._tasks.append(asyncio.create_task(self._end()))

    async def _end(self) -> None:
        """Close the worker if that is quick, and end the process."""
        await self._close()
        # Not by way of asyncio: that would wait for a start that waits for a scheduler, and cancel
        # a close begun elsewhere, for whose end `Worker.handle_scheduler` then waits for ever.
        os._exit(0)

    async def _close(self) -> bool:
        """Close the worker; say whether it was closed in time."""
        closing = asyncio.ensure_future(
            self._worker.close(executor_wait=False, reason="casita-drain")
        )
        # A close does not always heed a cancellation, so it is left alone rather than timed out.
        done, _ = await asyncio.wait({closing}, timeout=CLOSE_SECONDS)
        return bool(done)

    async def _run(self, reason: str) -> None:
        worker = self._worker
        # Also when the connection to the scheduler ends, which closes the worker from elsewhere:
        # nobody will ask for what is still running then.
        worker.close = functools.partial(worker.close, executor_wait=False)
        worker.stream_handlers["close"] = worker.close
        try:
            async with asyncio.timeout(self._seconds):
                worker.handle_worker_status_change(
                    Status.closing_gracefully.name, stimulus_id=f"casita-drain-{time()}"
                )
                await self._announce(f"drained after {reason}")
                await self._finish_tasks()
                await self._hand_over()
        except TimeoutError:
            text = f"not drained within {self._seconds:g} s ({self._running()} tasks running)"
            self._logger.warning("%s: closing anyway", text)
            await self._announce(f"{reason}, {text}")
        except Exception:
            # Whatever it was, a worker that was told to end must end.
            self._logger.exception("the drain failed: closing at once")
        if not await self._close():
            await self._end()

    async def _announce(self, reason: str) -> None:
        """Tell the scheduler why this worker will be gone.

        Not by the stream, which the retirement may overtake.
        """
        message = {"name": str(self._worker.name), "reason": reason}
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._worker.scheduler.log_event(topic=TOPIC, msg=message)
        except OSError as error:  # a timeout as well
            self._unanswered(error)
        except Exception:
            self._logger.exception("the scheduler cannot be told why this worker leaves")

    async def _finish_tasks(self) -> None:
        """Return once the scheduler, too, knows of nothing that this worker has to do."""
        while self._worker.status in _REGISTERED:
            self._give_back()
            # The last results travel on another connection than the question: it is asked until
            # they have arrived, or the tasks would be run again.
            if not self._running() and not await self._awaited():
                return
            await asyncio.sleep(POLL_SECONDS)

    async def _awaited(self) -> bool:
        """Say whether the scheduler expects results of this worker, or does not answer."""
        try:
            keys = await self._worker.scheduler.processing(workers=[self._worker.name])
        except OSError as error:
            self._unanswered(error)
            return True
        return any(keys.values())

    def _unanswered(self, error: OSError) -> None:
        # One failed connection is no reason to give up data. When the scheduler is really gone, the
        # stream to it ends, and that closes the worker.
        self._logger.warning("the scheduler does not answer: %s", error)

    def _running(self) -> int:
        """Return the number of tasks that run and that somebody still wants."""
        state = self._worker.state
        return sum(task.state != "cancelled" for task in state.executing | state.long_running)

    def _give_back(self) -> None:
        """Let other workers have what was not begun; in this state of the worker it never will."""
        for task in self._worker.state.tasks.values():
            if task.state in _NOT_BEGUN:
                self._worker.batched_send(
                    {
                        "op": "reschedule",
                        "key": task.key,
                        "stimulus_id": f"casita-drain-{time()}",
                    }
                )

    async def _hand_over(self) -> None:
        """Move data that is nowhere else to other workers, and leave the cluster."""
        while self._worker.status in _REGISTERED:
            if await self._retired():
                break
            await asyncio.sleep(RETIRE_AGAIN_SECONDS)
        # The scheduler's word to close is on its way, on the stream.
        await self._worker.finished()

    async def _retired(self) -> bool:
        try:
            retired = await self._worker.scheduler.retire_workers(
                names=[self._worker.name], close_workers=True, remove=True
            )
        except OSError as error:
            # Most likely the word to close was faster than this answer, and closed the connection.
            if self._worker.status in _REGISTERED:
                self._unanswered(error)
            return False
        if not retired:
            self._logger.warning("no other worker can take over this one's data: trying again")
        return bool(retired)


def is_registered(worker: Worker) -> bool:
    """Say whether the worker belongs to the cluster and its stream to the scheduler is open."""
    comm = worker.batched_stream.comm if worker.batched_stream else None
    return worker.status in _REGISTERED and comm is not None and not comm.closed()
