"""The lines of a worker job's submit file that casita decides, and what may stand beside them.

The commands are those of ``condor_submit`` (HTCondor's manual, "Submitting a job").
"""

import re
from collections.abc import Mapping
from typing import Final

from casita.clients.batch.jobs import (
    POOL_ATTRIBUTE,
    RUN_ATTRIBUTE,
    SESSION_ATTRIBUTE,
    WorkerJob,
)
from casita.clients.batch.values import ScriptError, check, is_line

FILES: Final = ("ca.pem", "tls.crt", "tls.key")
"""Authority, certificate and key, beside the job in its folder."""

WORKER_ATTRIBUTE: Final = "DaskWorkerName"
"""Of dask-jobqueue."""

SPOOL_SECONDS: Final = 600
"""A job whose files never came is removed after so long."""

START_SECONDS: Final = 50
"""A worker that fails sooner could not be started; later, it found no scheduler
(`casita.clients.batch.script.DEATH_SECONDS`)."""

VACATE_MARGIN_SECONDS: Final = 30
"""What a worker may take to end, after it has drained, before it is killed."""


def worker_name(job: WorkerJob) -> str:
    """Return the name of the job's worker; HTCondor puts its numbers in."""
    return f"{job.slug}-{job.pool}-$(ClusterId)-$(ProcId)"


def drain_seconds(job: WorkerJob) -> int:
    """Return how long the worker may drain: never longer than it may work."""
    return min(job.drain_seconds, job.wall_seconds // 2)


def environment(job: WorkerJob) -> dict[str, str]:
    """Return the job's whole environment: HTCondor gives it none of its own that matters here.

    Raises:
        ScriptError: a variable of the site cannot be set, or is casita's own.
    """
    ours = {
        "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True",
        "CASITA_HEALTH_PORT": "0",
        "CASITA_DRAIN_SECONDS": str(drain_seconds(job)),
        "CASITA_LIFETIME_SECONDS": str(job.wall_seconds - drain_seconds(job)),
    }
    if job.contact_address:
        # Not an argument: `dask worker` takes it with a fixed port alone.
        ours["CASITA_CONTACT_ADDRESS"] = job.contact_address
    usual = {
        "HOME": ".",
        "PYTHONUNBUFFERED": "1",
        **{f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS")},
    }
    for name, value in job.environment.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or name in ours:
            raise ScriptError(f"environment: {name!r} is no variable that a site may set")
        if not is_line(value):
            raise ScriptError(f"environment: the value of {name} must be one line of text")
    return {**usual, **job.environment, **ours}


def directives(job: WorkerJob, user: str, quoted_environment: str) -> dict[str, str]:
    """Return the submit commands, the admin's last.

    Args:
        job: what is submitted.
        user: local part of the owner's identity.
        quoted_environment: as the submit file wants it.

    Raises:
        ScriptError: a value of the job cannot be used.
    """
    check(job, user)
    named = {
        WORKER_ATTRIBUTE: worker_name(job),
        SESSION_ATTRIBUTE: job.session,
        RUN_ATTRIBUTE: job.run,
        POOL_ATTRIBUTE: job.pool,
    }
    ours = {
        **_universe(job),
        "batch_name": job.slug,
        # In numbers: dask-jobqueue's own are expressions, which condor_q cannot show.
        "RequestCpus": str(job.cores),
        "RequestMemory": str(job.memory_mi_b),
        "RequestDisk": str(job.disk_mi_b * 1024),
        **{f"MY.{name}": f'"{value}"' for name, value in named.items()},
        **_transfer(),
        **_end(job),
        "environment": f'"{quoted_environment}"',
        "notification": "never",
    }
    if job.requirements:
        ours["requirements"] = " && ".join(f"({text})" for text in job.requirements)
    if job.accounting_group:
        # The default for its user is the account of the submitting process.
        ours |= {"accounting_group": job.accounting_group, "accounting_group_user": user}
    return ours | _of_the_admin(job.directives, ours)


def _universe(job: WorkerJob) -> dict[str, str]:
    if not job.image:
        return {"universe": "vanilla"}
    image = job.image if "://" in job.image else f"docker://{job.image}"
    return {"universe": "container", "container_image": image}


def _transfer() -> dict[str, str]:
    names = ", ".join(FILES)
    return {
        "transfer_executable": "false",
        "should_transfer_files": "YES",
        "when_to_transfer_output": "ON_EXIT",
        "transfer_input_files": names,
        "encrypt_input_files": names,
        # Nothing comes back: the access point would keep it for nobody.
        "transfer_output_files": '""',
    }


def _end(job: WorkerJob) -> dict[str, str]:
    """Return how a job ends: by SIGTERM and time to drain, and never by staying in the queue.

    But what cannot be started is held, with a reason that people can read: it would fail again and
    again, and nobody would see why.
    """
    since = "time() - EnteredCurrentStatus"
    waits = f"(JobStatus == 1 || JobStatus == 5) && {since} > {job.queue_seconds}"
    spools = f"JobStatus == 5 && HoldReasonCode == 16 && {since} > {SPOOL_SECONDS}"
    failed = "time() - JobCurrentStartDate"
    runs = f"JobStatus == 2 && {since} > {job.wall_seconds}"
    return {
        "want_graceful_removal": "True",
        "job_max_vacate_time": str(drain_seconds(job) + VACATE_MARGIN_SECONDS),
        "periodic_remove": f"({waits}) || ({spools}) || ({runs})",
        "on_exit_hold": f"ExitCode =!= undefined && ExitCode != 0 && {failed} < {START_SECONDS}",
        "on_exit_hold_reason": (
            'strcat("the worker ended at once with exit code ", string(ExitCode), " on ", '
            'string(RemoteHost), ": is there a Python with casita[dask,data] at '
            f'{job.python}?")'
        ),
        "on_exit_remove": "True",
        "leave_in_queue": "False",
    }


_PROTECTED: Final = frozenset(
    {
        *("requirements", "accountinggroup", "accountinggroupuser", "containerimage"),
        *("arguments", "args", "executable", "cmd", "env", "getenv", "initialdir", "iwd"),
        *("input", "in", "log", "userlog", "owner", "user", "jobuniverse"),
        # With these a pool hands out jobs bit by bit, and knows of some of them alone.
        *("maxidle", "maxmaterialize"),
    }
)
"""Beside what casita always sets itself."""

_WORDS: Final = frozenset({"queue", "include", "if", "elif", "else", "endif", "use"})
"""Words of the submit language, whatever stands behind them."""


def _of_the_admin(extra: Mapping[str, str], ours: Mapping[str, str]) -> dict[str, str]:
    protected = {_plain(name) for name in ours} | _PROTECTED
    for name, value in extra.items():
        if not re.fullmatch(r"\+?[A-Za-z][A-Za-z0-9_.]*", name) or name.lower() in _WORDS:
            raise ScriptError(f"directives: {name!r} is no command of a submit file")
        if _plain(name) in protected:
            raise ScriptError(f"directives: {name} is casita's own and cannot be set")
        if not is_line(value) or value.endswith("\\"):
            raise ScriptError(f"directives: the value of {name} must be one line of text")
    return dict(extra)


def _plain(name: str) -> str:
    """Return a command's or attribute's name without what may be written in several ways."""
    return name.lower().removeprefix("+").removeprefix("my.").replace("_", "")
