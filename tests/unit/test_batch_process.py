"""Operations on a batch system end with an answer, and hold up nobody while they wait for one.

The servers here are what is met when something is wrong; the right one is in tests/e2e.
"""

import asyncio
import json
import logging
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from casita.clients.batch.htcondor import AT_ONCE, HTCondor, Limits
from casita.clients.batch.jobs import Account, BatchError, Job, WorkerJob
from casita.clients.process import Program

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"
KEY = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----\n"
FILES = {"ca.pem": b"authority", "tls.crt": b"certificate", "tls.key": KEY.encode()}
SESSION = "0d9e2b9a-5b0c-4a62-9a50-3f1f6f5f4a11"
JOB = WorkerJob(
    session=SESSION,
    run="3b1f",
    slug="analysis-abcdefghij",
    pool="grid",
    scheduler="tls://a.example.org:8786",
    cores=1,
    memory_mi_b=1024,
    disk_mi_b=1024,
    python="/opt/casita/bin/python3",
)
LAG_BUDGET = 0.050
"""Of the event loop, while a schedd hangs: the budget that the design gives."""


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where processes have their private folders."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@contextmanager
def black_hole() -> Iterator[int]:
    """A port at which somebody listens who never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield listener.getsockname()[1]


def account_at(port: int) -> Account:
    return Account(f"127.0.0.1:{port}", "ap@example.org", "alice@example.org", TOKEN)


def told(program: str) -> HTCondor:
    """Return a back end whose process runs this instead."""
    limits = Limits(submit=20, query=20, remove=20)
    return HTCondor(limits, Program(("-c", program), "casita-batch-"))


async def failure(call: Awaitable[object]) -> BatchError:
    with pytest.raises(BatchError) as caught:
        await call
    return caught.value


@asynccontextmanager
async def lags() -> AsyncIterator[list[float]]:
    """How much later than it should this event loop came to what is due every 5 ms."""
    found: list[float] = []

    async def tick() -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + 0.005
            await asyncio.sleep(0.005)
            found.append(loop.time() - due)

    task = asyncio.create_task(tick())
    try:
        yield found
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def nearly_worst(found: list[float]) -> float:
    """Return what all but one in a hundred stay below; a busy machine makes some of its own."""
    return sorted(found)[int(0.99 * len(found))]


async def test_a_schedd_that_never_answers_holds_up_nobody_here(folders: Path) -> None:
    seconds = 4.0
    back_end = HTCondor(Limits(query=seconds))
    with black_hole() as port:
        began = time.monotonic()
        async with lags() as found:
            errors = await asyncio.gather(
                *(failure(back_end.query(account_at(port), SESSION)) for _ in range(AT_ONCE))
            )
        took = time.monotonic() - began
    print(f"lag: {nearly_worst(found) * 1000:.1f} ms, at worst {max(found) * 1000:.1f} ms")
    assert nearly_worst(found) < LAG_BUDGET
    # Not once was the loop held up by what waits for the schedd.
    assert max(found) < seconds / 4
    assert seconds <= took < 3 * seconds
    for error in errors:
        assert error.outage
        assert f"no answer within {seconds:g} s: find the schedd ap@example.org" in str(error)
        assert str(port) in str(error)
    assert not left_in(folders)


async def test_whoever_gets_no_place_in_time_is_told_and_nothing_was_done() -> None:
    back_end = HTCondor(Limits(query=30, place=0.3))
    with black_hole() as port:
        calls = [
            asyncio.create_task(failure(back_end.query(account_at(port), SESSION)))
            for _ in range(AT_ONCE + 1)
        ]
        began = time.monotonic()
        done, hung = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        assert 0.3 <= time.monotonic() - began < 10
        for task in hung:
            task.cancel()
        await asyncio.gather(*hung, return_exceptions=True)
    (error,) = (task.result() for task in done)
    assert error.outage
    assert "nothing was asked of it" in str(error)
    # The places are free again: whoever left gave theirs back.
    error = await failure(back_end.query(account_at(unused()), SESSION))
    assert "no connection" in str(error)


def unused() -> int:
    with black_hole() as port:
        return port


@pytest.mark.parametrize("operation", ["submit", "query", "remove"])
async def test_a_port_that_nobody_listens_at_is_an_outage(operation: str) -> None:
    back_end, account = HTCondor(), account_at(unused())
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "submit": lambda: back_end.submit(account, JOB, 2, FILES),
        "query": lambda: back_end.query(account, SESSION),
        "remove": lambda: back_end.remove(account, SESSION, None),
    }
    error = await failure(calls[operation]())
    assert error.outage
    assert "no connection" in str(error)
    assert account.collector in str(error)


async def test_a_name_that_does_not_exist_is_an_outage() -> None:
    nowhere = Account("nosuch.invalid:9618", "ap@example.org", "alice@example.org", TOKEN)
    error = await failure(HTCondor().query(nowhere, SESSION))
    assert error.outage
    assert "no such name" in str(error)


async def test_a_job_that_cannot_be_written_is_refused_and_nobody_is_asked() -> None:
    bad = replace(JOB, requirements=("(x",))
    error = await failure(HTCondor().submit(account_at(unused()), bad, 1, FILES))
    assert not error.outage
    assert "'(x' is no expression by itself" in str(error)


@pytest.mark.parametrize(
    ("count", "files", "words"),
    [
        (0, FILES, "0 jobs cannot be submitted"),
        (1, {"ca.pem": b""}, "a worker's files are ca.pem, tls.crt, tls.key"),
        (1, {**FILES, "../x": b""}, "a worker's files are ca.pem, tls.crt, tls.key"),
    ],
)
async def test_a_submission_that_is_none_is_refused_and_nobody_is_asked(
    count: int, files: dict[str, bytes], words: str
) -> None:
    error = await failure(HTCondor().submit(account_at(unused()), JOB, count, files))
    assert not error.outage
    assert words in str(error)


@pytest.mark.parametrize("number", ["1.0 || true", "1", ""])
async def test_an_id_that_is_none_is_refused_and_nobody_is_asked(number: str) -> None:
    error = await failure(HTCondor().remove(account_at(unused()), SESSION, ("1.0", number)))
    assert not error.outage
    assert f"{number!r} is no id of a job" in str(error)


async def test_what_is_secret_is_in_neither_arguments_nor_environment_and_private() -> None:
    program = """
import json, os, pathlib, sys
from casita.clients import program
output = program.take_output()
from casita.clients.batch.request import decode
operation, seconds = decode(program.read_request())
from casita.clients.batch import schedd
folder = pathlib.Path(os.environ["XDG_RUNTIME_DIR"])
schedd._configure(operation.account, folder / "tokens.d")
schedd.lay_out(operation.files)
told = b"".join(pathlib.Path(f"/proc/self/{n}").read_bytes() for n in ("cmdline", "environ"))
secrets = [operation.account.token.encode(), operation.files["tls.key"]]
modes = {str(p.relative_to(folder)): oct(p.stat().st_mode & 0o777) for p in folder.rglob("*")}
modes.pop("log"), modes.pop("output")
said = {"told": any(s in told for s in secrets), "modes": modes,
        "folder": oct(folder.stat().st_mode & 0o777), "cwd": os.getcwd() == str(folder)}
program.end_with(json.dumps({"error": json.dumps(said), "outage": False}), output)
"""
    error = await failure(told(program).submit(account_at(1), JOB, 1, FILES))
    assert json.loads(str(error)) == {
        "told": False,
        "folder": "0o700",
        "cwd": True,
        "modes": {
            "tokens.d": "0o700",
            "tokens.d/token": "0o600",
            "ca.pem": "0o600",
            "tls.crt": "0o600",
            "tls.key": "0o600",
        },
    }


async def test_a_process_that_ends_without_an_answer_leaves_open_what_it_did(
    caplog: pytest.LogCaptureFixture,
) -> None:
    program = f"import sys; sys.exit('lost my way with {TOKEN} and ' + {KEY!r})"
    with caplog.at_level(logging.WARNING):
        error = await failure(told(program).submit(account_at(1), JOB, 1, FILES))
    assert error.outage
    assert "exit code 1" in str(error)
    assert "lost my way" in caplog.text
    assert TOKEN not in caplog.text
    assert "MIGHAgEAMBMGByqGSM49" not in caplog.text


async def test_an_error_shows_no_secret() -> None:
    answer = json.dumps({"error": f"with {TOKEN}", "outage": False})
    error = await failure(told(f"print({answer!r})").query(account_at(1), SESSION))
    assert str(error) == "with (secret)"


async def test_ten_thousand_jobs_are_told_in_one_answer() -> None:
    program = """
from casita.clients.batch.jobs import Job, JobState
from casita.clients.batch.request import Answer, encode_answer
reason = "x" * 400
jobs = [Job(f"1.{n}", f"analysis-abcdefghij-grid-1-{n}", "grid", "3b1f0c9d", JobState.IDLE,
            1700000000, 1700000000, 1, reason) for n in range(10000)]
print(encode_answer(Answer(tuple(jobs))))
"""
    back_end = HTCondor(program=Program(("-c", program), "casita-batch-", max_file=2**24))
    found = await back_end.query(account_at(1), SESSION)
    assert len(found) == 10_000
    assert isinstance(found[-1], Job)
    assert found[-1].id == "1.9999"


async def test_dask_is_loaded_for_the_first_jobs_of_a_shape_and_never_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Loading it takes longer than all else together."""
    program = """
import runpy, sys
def note(event, args):
    if event == "import" and args[0].split(".")[0] in {"dask", "distributed", "dask_jobqueue"}:
        raise SystemExit(f"imports {args[0]}")
sys.addaudithook(note)
runpy.run_module("casita.clients.batch", run_name="__main__")
"""
    account = account_at(unused())
    assert "no connection" in str(await failure(told(program).query(account, SESSION)))
    assert "no connection" in str(await failure(told(program).remove(account, SESSION, None)))
    await failure(told(program).submit(account, JOB, 1, FILES))
    assert "imports dask" in caplog.text


async def test_the_text_of_a_shape_is_asked_for_once_and_kept(folders: Path) -> None:
    seen = folders / "seen"
    program = f"""
from casita.clients import program
output = program.take_output()
from casita.clients.batch.request import Answer, decode, encode_answer
operation, _ = decode(program.read_request())
with open({str(seen)!r}, "a") as file:
    print(operation.job.slug, operation.job.cores, operation.template or "none", file=file)
text = operation.template or f"text for {{operation.job.cores}}"
program.end_with(encode_answer(Answer(template=text)), output)
"""
    back_end, account = told(program), account_at(1)
    for job in (JOB, replace(JOB, slug="other", session="x"), replace(JOB, cores=2), JOB):
        await back_end.submit(account, job, 1, FILES)
    assert read(seen).splitlines() == [
        f"{JOB.slug} 1 none",
        "other 1 text for 1",
        f"{JOB.slug} 2 none",
        f"{JOB.slug} 1 text for 1",
    ]


def read(path: Path) -> str:
    return path.read_text()
