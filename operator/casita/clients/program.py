"""The inside of a fresh process (`casita.clients.process`): one request in, one answer out."""

import json
import math
import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import Final, NoReturn, TextIO

Step = Callable[[str], None]
"""Is told what is about to be done."""

_GRACE_SECONDS: Final = 5
"""Whoever started this ends it when its time is up; so much later it ends by itself."""


def take_output() -> TextIO:
    """Keep the output for steps and the answer: libraries write to the error output from now on."""
    output = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    # A core would hold what was given in confidence.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return output


def read_request() -> bytes:
    """Return the whole input."""
    return sys.stdin.buffer.read()


def end_after(seconds: float) -> None:
    """Let the kernel end this process: libraries hold the interpreter while they wait."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(math.ceil(seconds) + _GRACE_SECONDS)


def steps_to(output: TextIO) -> Step:
    """Return what writes a step to the output."""

    def step(what: str) -> None:
        print(json.dumps({"step": what}), file=output)

    return step


def end_with(answer: str, output: TextIO) -> NoReturn:
    """Write the answer and end, without waiting for threads of libraries."""
    print(answer, file=output)
    os._exit(0)
