"""What is asked of a schedd, by HTCondor's bindings, as one user; in a fresh process.

The bindings find the user's token in a folder that their configuration names, for the whole
process: one process, one user. The schedd believes no other sign of who submits.
"""

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

from casita.clients.batch.ads import PROJECTION, read_job
from casita.clients.batch.directives import FILES
from casita.clients.batch.jobs import Account, BatchError, Job
from casita.clients.checking.request import CheckReason
from casita.clients.checking.schedd import SETTINGS, RefusedError, address, no_such, told
from casita.clients.program import Step

_NO_TALK: Final = frozenset(
    {CheckReason.UNREACHABLE, CheckReason.NO_ANSWER, CheckReason.NOT_UNDERSTOOD}
)
_BROKEN: Final = (
    "Failed to connect",
    "Failed communication",
    "Failed to fetch ads",
    "Failed to send",
    "Failed to start command",
    "Unable to connect",
    "Unable to locate",
    "Error when performing action",
    "Communication error",
)
"""How the bindings' words begin (``src/python-bindings``) when the talk with a daemon broke off.
Else it was heard to the end, and said no."""

T = TypeVar("T")


class Schedd:
    """One schedd, asked as one user."""

    def __init__(self, account: Account, private: Path, step: Step) -> None:
        """Find it.

        Args:
            account: who asks, and whom.
            private: this process's folder, in memory and its alone; ``log`` in it is where the
                library writes.
            step: is told what is about to be done.

        Raises:
            BatchError: it cannot be found.
        """
        self._log = private / "log"
        self._step = step
        self._what = f"the schedd {account.schedd} of the collector {account.collector}"
        _configure(account, private / "tokens.d")
        # Only now: the library reads its environment when it is loaded.
        import htcondor2

        htcondor2.enable_debug()
        collector = htcondor2.Collector(account.collector)
        locate = partial(collector.locate, htcondor2.DaemonType.Schedd, account.schedd)
        where = f"the collector {account.collector}"
        found = self.ask(f"find {self._what}", locate, where)
        if found is None:
            every = partial(collector.locateAll, htcondor2.DaemonType.Schedd)
            others = self.ask(f"ask {where} for its schedds", every, where)
            raise BatchError(no_such(account.collector, account.schedd, others), outage=True)
        self._what += f" at {address(found)}"
        self._bindings = htcondor2.Schedd(found)

    def ask(self, what: str, call: Callable[[], T], whom: str = "") -> T:
        """Let the library do something.

        Raises:
            BatchError: it could not.
        """
        self._step(what)
        try:
            return told(self._log, call)
        except RefusedError as error:
            _fail(error, whom or self._what)

    def submit(self, text: str, count: int) -> None:
        """Queue jobs, and send their files, which lie beside this process.

        Raises:
            BatchError: it refuses, or cannot be reached.
        """
        import htcondor2

        submit = partial(self._bindings.submit, htcondor2.Submit(text), count=count, spool=True)
        result = self.ask(f"submit {count} jobs to {self._what}", submit)
        self.ask(
            f"send the files of cluster {result.cluster()} to {self._what}",
            partial(self._bindings.spool, result),
        )

    def query(self, constraint: str) -> tuple[Job, ...]:
        """Return jobs.

        Raises:
            BatchError: it refuses, or cannot be reached.
        """
        query = partial(self._bindings.query, constraint, projection=list(PROJECTION))
        ads = self.ask(f"ask {self._what} for jobs", query)
        return tuple(read_job(ad) for ad in ads)

    def remove(self, constraint: str) -> None:
        """Remove jobs; that there are none is no error.

        Raises:
            BatchError: it refuses, or cannot be reached.
        """
        import htcondor2

        reason = ("removed by casita", None)
        act = partial(self._bindings.act, htcondor2.JobAction.Remove, constraint, reason)
        _check_removal(self.ask(f"remove jobs at {self._what}", act), self._what)


def lay_out(files: Mapping[str, bytes]) -> None:
    """Put a worker's files beside this process: the submit file names them without a folder.

    Raises:
        BatchError: they are not those of a worker.
    """
    if set(files) != set(FILES):
        raise BatchError(f"a worker's files are {', '.join(FILES)}", outage=False)
    for name in FILES:
        _write(Path(name), files[name])


def _configure(account: Account, tokens: Path) -> None:
    tokens.mkdir(mode=0o700)
    _write(tokens / "token", account.token.encode())
    os.environ.update(SETTINGS, _condor_SEC_TOKEN_DIRECTORY=str(tokens))


def _write(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def _fail(error: RefusedError, whom: str) -> NoReturn:
    known = str(error) != error.words
    broken = not error.words or error.words.startswith(_BROKEN)
    # Its own words tell of a job; the log alone tells of a connection.
    why = str(error) if broken or not known else f"{error.words} ({error})"
    outage = error.reason in _NO_TALK and (known or broken)
    raise BatchError(f"{whom}: {why}", outage=outage) from None


def _check_removal(totals: Any, whom: str) -> None:
    for name, why in (
        ("TotalPermissionDenied", "it does not let this user remove them"),
        ("TotalError", "it could not remove them"),
    ):
        number = totals.get(name, 0) if totals is not None else 0
        if number:
            raise BatchError(f"{whom}: {number} jobs are not removed: {why}", outage=False)
