"""What a user of HTCondor does, inside a pod: one request on standard input, one JSON answer.

Runs with HTCondor's bindings, Debian's or those of the wheel; the token is where the environment
says.
"""

import base64
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import htcondor2 as htcondor

REFUSED = (getattr(htcondor, "HTCondorException", RuntimeError), OSError, RuntimeError, ValueError)
"""What HTCondor's versions raise."""
JOB = {
    "executable": "/bin/sh",
    "transfer_executable": "false",
    "should_transfer_files": "yes",
    "output": "out",
    "error": "err",
    "request_cpus": "1",
    "request_memory": "64",
    "request_disk": "10000",
}


def submit(
    schedd: Any, lines: dict[str, str], script: str, files: dict[str, str], *, spool: bool
) -> int:
    """Submit a shell script with files beside it; return the cluster's number."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name, content in {"script": script, **files}.items():
            Path(name).write_text(content)
        inputs = {"arguments": "script", "transfer_input_files": ", ".join(["script", *files])}
        result = schedd.submit(htcondor.Submit({**JOB, **inputs, **lines}), spool=spool)
        if spool:
            schedd.spool(result)
        return int(result.cluster())


def ads(schedd: Any, constraint: str, names: list[str]) -> list[dict[str, int | str | None]]:
    """Return these attributes of each job; None for what is no number or text."""
    return [
        {name: value if isinstance(value := ad.get(name), (int, str)) else None for name in names}
        for ad in schedd.query(constraint, projection=names)
    ]


def act(schedd: Any, action: str, constraint: str) -> dict[str, int]:
    """Do something to jobs; return how it went for how many."""
    result = dict(schedd.act(getattr(htcondor.JobAction, action), constraint))
    counts = {key: value for key, value in result.items() if key.startswith("Total") and value}
    return {key: value for key, value in counts.items() if not key.endswith("Ads")}


def edit(schedd: Any, constraint: str, name: str, value: str) -> bool:
    """Set an attribute of jobs."""
    return schedd.edit(constraint, name, value) is not None


def retrieve(schedd: Any, constraint: str) -> dict[str, str]:
    """Fetch jobs' files to where they were submitted from, which is made anew."""
    found = schedd.query(constraint, projection=["SUBMIT_Iwd"])
    places = {Path(ad["SUBMIT_Iwd"]) for ad in found}
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
        os.chdir(place)
    try:
        schedd.retrieve(constraint)
    except REFUSED as error:
        print(error, file=sys.stderr)  # some files may have come nevertheless
    files = [file for place in places for file in place.iterdir()]
    return {file.name: base64.b64encode(file.read_bytes()).decode() for file in files}


def machines(_schedd: Any) -> list[str]:
    """Return the names of the pool's slots."""
    found = htcondor.Collector().query(htcondor.AdType.Startd, projection=["Name"])
    return [ad["Name"] for ad in found]


ACTIONS = {each.__name__: each for each in (submit, ads, act, edit, retrieve, machines)}


def main() -> None:
    """Answer the request."""
    request = json.load(sys.stdin)
    answer: dict[str, Any]
    try:
        collector = htcondor.Collector()
        schedd = htcondor.Schedd(collector.locate(htcondor.DaemonType.Schedd, sys.argv[1]))
        answer = {"answer": ACTIONS[request.pop("do")](schedd, **request)}
    except REFUSED as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
