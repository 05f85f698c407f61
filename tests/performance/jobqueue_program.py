"""What a user of dask-jobqueue runs, inside a pod: a cluster on HTCondor, and when workers came.

One request on standard input, one JSON answer. Needs dask-jobqueue and HTCondor's own programs.
"""

import json
import sys
import time


def main() -> None:
    """Start a cluster, ask for workers, and tell when each came."""
    given = json.load(sys.stdin)
    from dask_jobqueue import HTCondorCluster

    cluster = HTCondorCluster(
        cores=1,
        memory=given["memory"],
        disk=given["disk"],
        python=given["python"],
        nanny=False,
        death_timeout=60,
        protocol="tcp://",
        scheduler_options={
            "host": given["host"],
            "port": given["port"],
            "dashboard_address": "127.0.0.1:0",
        },
        worker_extra_args=["--worker-port", given["ports"], "--no-dashboard"],
        submit_command_extra=[*given["where"], "-spool"],
        cancel_command_extra=given["where"],
        job_extra_directives=given["directives"],
    )
    came: list[float] = []
    began = time.time()
    cluster.scale(given["workers"])
    while len(came) < given["workers"] and time.time() - began < given["seconds"]:
        came += [time.time()] * (len(cluster.scheduler.workers) - len(came))
        time.sleep(0.02)
    cluster.close()
    answer = {
        "began": began,
        "came": [moment - began for moment in came],
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
