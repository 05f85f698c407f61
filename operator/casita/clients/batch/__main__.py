"""The program that does one operation: ``python -m casita.clients.batch``, a request on its input.

It is started, and its output read, as `casita.clients.process` says.
"""

import os
from pathlib import Path

from casita.clients import program
from casita.clients.batch.ads import belongs_to, constraints
from casita.clients.batch.jobs import BatchError, WorkerJob
from casita.clients.batch.request import (
    Answer,
    Operation,
    Query,
    Remove,
    Submit,
    decode,
    encode_answer,
    encode_error,
)
from casita.clients.batch.schedd import Schedd, lay_out
from casita.clients.batch.template import fill
from casita.clients.batch.values import ScriptError, check


def main() -> None:
    """Do one operation and end."""
    output = program.take_output()
    operation, seconds = decode(program.read_request())
    program.end_after(seconds)
    try:
        private = Path(os.environ["XDG_RUNTIME_DIR"])
        answer = encode_answer(_do(operation, private, program.steps_to(output)))
    except BatchError as error:
        answer = encode_error(error)
    except (ScriptError, ValueError) as error:
        answer = encode_error(BatchError(str(error), outage=False))
    program.end_with(answer, output)


def _do(operation: Operation, private: Path, step: program.Step) -> Answer:
    """Do it; what is wrong with it is found before anybody is asked."""
    account = operation.account
    owner = account.identity.partition("@")[0]
    match operation:
        case Submit():
            check(operation.job, owner)
            lay_out(operation.files)
            template = operation.template or _template(operation.job, step)
            text = fill(template, operation.job, owner)
            Schedd(account, private, step).submit(text, operation.count)
            return Answer(template=template)
        case Query():
            wanted = belongs_to(operation.session, owner)
            return Answer(Schedd(account, private, step).query(wanted))
        case Remove():
            pieces = constraints(operation.session, owner, operation.ids)
            schedd = Schedd(account, private, step)
            for wanted in pieces:
                schedd.remove(wanted)
            return Answer()


def _template(job: WorkerJob, step: program.Step) -> str:
    # Only for this: it takes longer than all else.
    from casita.clients.batch.script import submit_template

    step("write the submit file")
    return submit_template(job)


if __name__ == "__main__":
    main()
