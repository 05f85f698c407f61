"""The submit file of a worker, as dask-jobqueue writes it; for the fresh process alone.

dask-jobqueue knows how a Dask worker is started and how HTCondor's arguments are quoted. Who
submits, when and how many is not its business here: no cluster object is made, and nothing is run.
"""

from typing import Final

from dask_jobqueue.htcondor import HTCondorJob, quote_environment
from distributed.security import Security

from casita.clients.batch.directives import FILES, directives, environment, worker_name
from casita.clients.batch.jobs import WorkerJob
from casita.clients.batch.template import USER_STAND_IN, shape_of

DEATH_SECONDS: Final = 60
"""A worker that finds no scheduler for so long ends, and leaves the queue."""


def submit_template(job: WorkerJob) -> str:
    """Return the submit file of jobs of one shape, for one worker, to be filled in.

    How many there are is said with the submission.

    Args:
        job: any job of the shape.

    Raises:
        ScriptError: a value of the job cannot be used.
    """
    job = shape_of(job)
    authority, certificate, key = FILES
    lines = directives(job, USER_STAND_IN, quote_environment(environment(job)))
    script: str = HTCondorJob(
        scheduler=job.scheduler,
        name=worker_name(job),
        cores=job.cores,
        memory=f"{job.memory_mi_b}MiB",
        disk=f"{job.disk_mi_b}MiB",
        processes=1,
        nanny=False,
        # The shell gives way to Python, which is then who gets SIGTERM.
        python=f"exec {job.python}",
        protocol="tls://",
        security=Security(
            require_encryption=True,
            tls_ca_file=authority,
            tls_worker_cert=certificate,
            tls_worker_key=key,
        ),
        death_timeout=DEATH_SECONDS,
        local_directory=".",
        worker_extra_args=[
            "--no-dashboard",
            *("--worker-port", f"{job.first_port}:{job.last_port}"),
            *("--preload", "casita.dask.worker"),
        ],
        job_extra_directives=lines,
    ).job_script()
    return script
