"""A library that must not be let into this process runs in a fresh one, which ends with an answer.

The clients of HTCondor and XRootD are C++ that holds the interpreter, keeps what it learnt for the
life of a process, and can wait for minutes: they are let into no process that has other work. What
they are given goes through a pipe and into memory or a private file, never into arguments or
environment.

The program writes lines of JSON to its output: ``{"step": what}`` for each step that it begins, so
that whoever ends it knows where it was, and then its answer. Whatever libraries write goes to the
error output, which is the file ``log`` in its private folder, ``$XDG_RUNTIME_DIR``.
"""

import asyncio
import contextlib
import json
import os
import resource
import signal
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import casita

MAX_FILE: Final = 2**20
"""Of anything that the process writes: its folder is in the operator's memory."""

_MAX_LOG: Final = 2_000
_MIN_SECRET: Final = 16
"""What is shorter is no secret, and taking it out would make the text unreadable."""


@dataclass(frozen=True, slots=True)
class Program:
    """What is run, and how large it may write.

    Attributes:
        arguments: of Python.
        folder: prefix of the private folder's name, which tells people whose it is.
        max_file: bytes of any single file, its output among them.
    """

    arguments: tuple[str, ...]
    folder: str
    max_file: int = MAX_FILE


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the process.

    Attributes:
        answer: the last line that it wrote; empty if there is none. It may be no answer.
        step: what it was last about to do, in its own words.
        timed_out: it was killed when its time was up.
        end: how it ended, for people.
        log: the last of what it wrote to its error output, without secrets.
        seconds: how long it took.
    """

    answer: str
    step: str | None
    timed_out: bool
    end: str
    log: str
    seconds: float


async def run_program(
    program: Program, request: bytes, seconds: float, secrets: tuple[str, ...] = ()
) -> Outcome:
    """Run the program once.

    Args:
        program: what Python runs.
        request: its whole input.
        seconds: how long it may take; then it is killed, with all that it has started.
        secrets: what is taken out of its log, should a library ever print it.

    Raises:
        OSError: no process could be started.
    """
    began = time.monotonic()
    timed_out = False
    with tempfile.TemporaryDirectory(prefix=program.folder) as folder:
        output, log = Path(folder, "output"), Path(folder, "log")
        process = await _start(program, folder, output, log)
        try:
            async with asyncio.timeout(seconds):
                await _hand_in(process, request)
                await process.wait()
        except TimeoutError:
            timed_out = True
        finally:
            await _end(process)
        lines = _tail(output, program.max_file).splitlines()
        return Outcome(
            answer=lines[-1] if lines else "",
            step=_last_step(lines),
            timed_out=timed_out,
            end=_exit(process),
            log=clean(_tail(log, _MAX_LOG), secrets),
            seconds=round(time.monotonic() - began, 3),
        )


def clean(text: str, secrets: tuple[str, ...]) -> str:
    """Return the text without the secrets."""
    for secret in secrets:
        if len(secret) > _MIN_SECRET:
            text = text.replace(secret, "(secret)")
    return text


async def _start(program: Program, folder: str, output: Path, log: Path) -> Process:
    """Start the program, its output in files: whoever it leaves behind keeps no pipe open."""
    environment = {
        "HOME": folder,
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": str(Path(casita.__path__[0]).parent),
        "TMPDIR": folder,
        "XDG_RUNTIME_DIR": folder,
    }
    with output.open("wb") as said, log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # what lies in the working directory is no module
            *program.arguments,
            stdin=PIPE,
            stdout=said,
            stderr=errors,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
    with contextlib.suppress(ProcessLookupError):
        limit = (program.max_file, program.max_file)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, limit)
    return process


async def _hand_in(process: Process, request: bytes) -> None:
    if process.stdin is None:
        raise AssertionError("unreachable: it is a pipe")
    with contextlib.suppress(ConnectionError):  # it ended before it read: its end tells why
        process.stdin.write(request)
        await process.stdin.drain()
    process.stdin.close()


async def _end(process: Process) -> None:
    """See to it that nothing is left, neither running nor unburied."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            # Started in a session of its own, its group has its number.
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _tail(path: Path, size: int) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - size))
        return file.read(size).decode(errors="replace")


def _exit(process: Process) -> str:
    code = process.returncode
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"


def _last_step(lines: list[str]) -> str | None:
    for line in reversed(lines):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return str(json.loads(line)["step"])
    return None
