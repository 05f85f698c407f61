"""One operation and its answer, as both sides of the process's pipe know them.

Standard library only: the program that does one operation starts anew each time and imports this.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from casita.clients.batch.jobs import Account, BatchError, Job, JobState, WorkerJob


@dataclass(frozen=True, slots=True)
class Submit:
    """Queue `count` equal jobs with these files beside each.

    `template` is the text of the jobs' shape, where it is known.
    """

    account: Account
    job: WorkerJob
    count: int
    files: Mapping[str, bytes] = field(repr=False)
    template: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """Tell the jobs of one session."""

    account: Account
    session: str


@dataclass(frozen=True, slots=True)
class Remove:
    """Tell jobs of one session to end; all of them where `ids` is `None`."""

    account: Account
    session: str
    ids: tuple[str, ...] | None


Operation = Submit | Query | Remove


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operation told: jobs, of a query, and the text of a shape, of a submission."""

    jobs: tuple[Job, ...] = ()
    template: str = ""


def encode(operation: Operation, seconds: float) -> bytes:
    """Return the program's input: an operation that may take `seconds`."""
    fields = {name: getattr(operation, name) for name in operation.__slots__}
    plain = {
        **fields,
        "account": asdict(operation.account),
        "operation": type(operation).__name__,
        "timeout": seconds,
    }
    if isinstance(operation, Submit):
        job = operation.job
        # Not by asdict: a mapping may be of any kind.
        plain["job"] = {name: _plain(getattr(job, name)) for name in job.__slots__}
        plain["files"] = {
            name: base64.b64encode(content).decode() for name, content in operation.files.items()
        }
    return json.dumps(plain).encode()


def decode(text: bytes) -> tuple[Operation, float]:
    """Read the program's input.

    Raises:
        ValueError: it is none.
    """
    try:
        fields: dict[str, Any] = json.loads(text)
        kind, seconds = fields.pop("operation"), float(fields.pop("timeout"))
        account = Account(**fields.pop("account"))
        if kind == "Submit":
            job = {**fields["job"], "requirements": tuple(fields["job"]["requirements"])}
            files = {name: base64.b64decode(text) for name, text in fields["files"].items()}
            submit = Submit(account, WorkerJob(**job), fields["count"], files, fields["template"])
            return submit, seconds
        if kind == "Query":
            return Query(account, fields["session"]), seconds
        ids = None if fields["ids"] is None else tuple(fields["ids"])
        return Remove(account, fields["session"], ids), seconds
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"no operation: {type(error).__name__}") from error


def encode_answer(answer: Answer) -> str:
    """Return the program's last line of output, if it did what it was asked."""
    jobs = [[getattr(job, name) for name in job.__slots__] for job in answer.jobs]
    return json.dumps({"jobs": jobs, "template": answer.template})


def encode_error(error: BatchError) -> str:
    """Return the program's last line of output, if it could not."""
    return json.dumps({"error": str(error), "outage": error.outage})


def decode_answer(line: str) -> Answer:
    """Read the program's last line of output.

    Raises:
        BatchError: the program could not do it.
        ValueError: it is no answer.
    """
    try:
        fields = json.loads(line)
        if "error" in fields:
            raise BatchError(fields["error"], outage=fields["outage"])
        jobs = tuple(
            Job(number, worker, pool, run, JobState(state), *rest)
            for number, worker, pool, run, state, *rest in fields["jobs"]
        )
        return Answer(jobs, fields["template"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"no answer of an operation: {line[:80]!r}") from error


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else value
