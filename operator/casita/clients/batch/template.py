"""Submit files of one shape, written once: what differs from session to session is filled in.

Loading dask-jobqueue takes seven times the CPU of all else that a submission needs. So the text of
a pool's jobs is asked of it once, with stand-ins for what is a session's own. Their values are of
letters, digits and a few signs that neither HTCondor nor the shell quotes (`check` sees to it), so
what is filled in reads as if it had been written there.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from casita.clients.batch.jobs import WorkerJob
from casita.clients.batch.values import check

_FIELDS: Final = ("session", "run", "slug")
_HOST: Final = "q7host7q"
_STAND_IN: Final = "q7{}7q"
USER_STAND_IN: Final = _STAND_IN.format("user")


def shape_of(job: WorkerJob) -> WorkerJob:
    """Return the job with stand-ins for all that is its session's own."""
    session, run, slug = (_STAND_IN.format(name) for name in _FIELDS)
    return replace(job, session=session, run=run, slug=slug, scheduler=f"tls://{_HOST}:1")


def shape_key(job: WorkerJob) -> str:
    """Return what jobs of one shape have in common, as a key."""
    shape = shape_of(job)
    plain = {name: getattr(shape, name) for name in shape.__slots__}
    return json.dumps(plain, default=_plain)


def fill(template: str, job: WorkerJob, user: str) -> str:
    """Return the submit file of a job.

    Args:
        template: of its shape.
        job: what is submitted.
        user: local part of the owner's identity.

    Raises:
        ScriptError: a value of the job cannot be used.
    """
    check(job, user)
    text = template.replace(f"tls://{_HOST}:1", job.scheduler).replace(USER_STAND_IN, user)
    for name in _FIELDS:
        text = text.replace(_STAND_IN.format(name), getattr(job, name))
    return text


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"no part of a job: {type(value).__name__}")
