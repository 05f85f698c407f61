"""What may stand in a submit file.

Whatever comes from a user is looked at here once more, whoever has looked at it before: HTCondor
expands ``$``, a new line begins another command, and expressions are joined.
"""

import re
from dataclasses import fields
from typing import Final

from casita.api.names import POOL_PATTERN
from casita.clients.batch.jobs import WorkerJob


class ScriptError(Exception):
    """A job cannot be written; the message says which value and why."""


def is_line(text: str) -> bool:
    """Say whether a text is one line that shows all that it has."""
    return text.isprintable()


_PATTERNS: Final = {
    "session": r"[A-Za-z0-9-]{1,64}",
    "run": r"[A-Za-z0-9:_-]{1,128}",
    "slug": r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?",
    "pool": POOL_PATTERN,
    "scheduler": r"tls://[A-Za-z0-9.-]+:[0-9]{1,5}",
    "python": r"/[A-Za-z0-9._/+-]+",
    "image": r"([a-z0-9][a-zA-Z0-9._/:@-]*)?",
    "accounting_group": r"([A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*)?",
    # Of HTCondor what it takes from the machine's ad, of casita the port: tls://$$(Name):{port}.
    "contact_address": r"([A-Za-z0-9._:/\[\]-]|\{port\}|\$\$\([A-Za-z0-9_]+\))*",
}

_SMALLEST: Final = {
    "cores": 1,
    "memory_mi_b": 1,
    "disk_mi_b": 1,
    "queue_seconds": 1,
    "wall_seconds": 2,
    "drain_seconds": 1,
    "first_port": 1024,
    "last_port": 1024,
}


def check(job: WorkerJob, user: str) -> None:
    """See to it that the values of a job are what they should be.

    Raises:
        ScriptError: one is not.
    """
    values = {field.name: getattr(job, field.name) for field in fields(job)}
    for name, pattern in _PATTERNS.items():
        if not re.fullmatch(pattern, values[name]):
            raise ScriptError(f"{name}: {values[name]!r} must match {pattern}")
    for name, least in _SMALLEST.items():
        if values[name] < least:
            raise ScriptError(f"{name}: must be at least {least}, got {values[name]}")
    if not job.first_port <= job.last_port <= 65_535:
        raise ScriptError(f"ports: there are none from {job.first_port} to {job.last_port}")
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", user):
        raise ScriptError(f"user: {user!r} is no name that a job can be accounted to")
    for text in job.requirements:
        check_requirement(text)


def check_requirement(text: str) -> None:
    r"""See to it that a text is one whole expression, for every reader that HTCondor has.

    Two of them do not agree about a backslash: in a string of the job's ad it stands for itself,
    and to the parser asked here it begins an escape. So there may be none: ``[.]`` says in a
    regular expression what ``\.`` would.

    Raises:
        ScriptError: it is not.
    """
    for what in ("$", "\\", "/*", "//"):
        if what in text:
            raise ScriptError(f"requirements: {text!r} must not contain {what}")
    if not (text.isascii() and text.isprintable()):
        raise ScriptError(f"requirements: {text!r} must be printable ASCII on one line")
    import classad2

    try:
        classad2.ExprTree(text)
    except classad2.ClassAdException:
        raise ScriptError(f"requirements: {text!r} is no expression by itself") from None
