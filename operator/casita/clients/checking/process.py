"""One check, from outside: a fresh process, with a time limit and a private folder."""

import logging
import time
from dataclasses import replace
from typing import Final

from casita.clients.checking.request import (
    CheckAnswer,
    CheckReason,
    ProcessCheck,
    decode_answer,
    encode_request,
)
from casita.clients.process import Outcome, Program, clean, run_program

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS: Final = 35.0
"""Longer than an XCache takes to tell that its origin is down: 20 s, four tries of 5 s."""

PROGRAM: Final = ("-m", "casita.clients.checking")

_MAX_MESSAGE: Final = 900
"""A condition's message has room for it, and for what is put before it."""


async def run_check(
    request: ProcessCheck,
    seconds: float = TIMEOUT_SECONDS,
    program: tuple[str, ...] = PROGRAM,
) -> CheckAnswer:
    """Check one part of the site; whatever becomes of the process becomes an answer.

    Args:
        request: what to check.
        seconds: how long it may take; then the process is killed, with all that it has started.
        program: what Python runs.
    """
    began = time.monotonic()
    secrets = (request.token,)
    try:
        outcome = await run_program(
            Program(program, "casita-check-"), encode_request(request, seconds), seconds, secrets
        )
    except OSError as error:
        answer = CheckAnswer(CheckReason.CHECK_FAILED, f"no process to check with: {error}")
    else:
        answer = _answer(request, outcome, seconds)
    took = round(time.monotonic() - began, 3)
    return replace(answer, message=clean(answer.message, secrets)[:_MAX_MESSAGE], seconds=took)


def _answer(request: ProcessCheck, outcome: Outcome, seconds: float) -> CheckAnswer:
    if outcome.timed_out:
        doing = outcome.step or f"the check of {request.what} began"
        return CheckAnswer(CheckReason.NO_ANSWER, f"no answer within {seconds:g} s: {doing}")
    try:
        return decode_answer(outcome.answer)
    except ValueError:
        said = f"the check of {request.what} ended without an answer, by {outcome.end}"
        logger.warning("%s: %s", said, outcome.log)
        return CheckAnswer(
            CheckReason.CHECK_FAILED, f"{said}; the operator's log has its last words"
        )
