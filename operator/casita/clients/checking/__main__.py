"""The program that checks: ``python -m casita.clients.checking``, a request on its input.

It is started, and its output read, as `casita.clients.process` says.
"""

import os
import time
from pathlib import Path

from casita.clients import program
from casita.clients.checking.cache import check_cache
from casita.clients.checking.request import (
    CacheCheck,
    CheckAnswer,
    ProcessCheck,
    decode_request,
    encode_answer,
)
from casita.clients.checking.schedd import check_schedd


def main() -> None:
    """Answer one request and end."""
    output = program.take_output()
    request, seconds = decode_request(program.read_request())
    program.end_after(seconds)
    began = time.monotonic()
    answer = _check(request, max(1, int(0.8 * seconds)), program.steps_to(output))
    took = round(time.monotonic() - began, 3)
    program.end_with(encode_answer(CheckAnswer(answer.reason, answer.message, took)), output)


def _check(request: ProcessCheck, seconds: int, step: program.Step) -> CheckAnswer:
    if isinstance(request, CacheCheck):
        return check_cache(request, seconds, step)
    return check_schedd(request, Path(os.environ["XDG_RUNTIME_DIR"]) / "log", step)


if __name__ == "__main__":
    main()
