"""What is asked of a schedd is one session's own jobs, and what it answers is read as meant."""

import os
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casita.clients.batch.ads import belongs_to, constraints, read_job
from casita.clients.batch.htcondor import HTCondor
from casita.clients.batch.jobs import Account, BackEnd, BatchError, Job, JobState, WorkerJob
from casita.clients.batch.request import (
    Answer,
    Query,
    Remove,
    Submit,
    decode,
    decode_answer,
    encode,
    encode_answer,
    encode_error,
)

os.environ.setdefault("CONDOR_CONFIG", "/dev/null")
import classad2

SESSION = "0d9e2b9a-5b0c-4a62-9a50-3f1f6f5f4a11"
ACCOUNT = Account("pool.example.org:9618", "ap@example.org", "alice@example.org", "a.b.c")
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
    requirements=("true", "false"),
    environment={"A": "b"},
)
AD: dict[str, Any] = {
    "ClusterId": 12,
    "ProcId": 3,
    "JobStatus": 2,
    "EnteredCurrentStatus": 1_700_000_100,
    "QDate": 1_700_000_000,
    "NumJobStarts": 1,
    "DaskWorkerName": "analysis-abcdefghij-grid-12-3",
    "CasitaRun": "3b1f",
    "CasitaPool": "grid",
    "CasitaSession": SESSION,
    "Owner": "alice",
}


def matches(constraint: str, **changes: Any) -> bool:
    ad = classad2.ClassAd({**AD, **changes})
    ad["Wanted"] = classad2.ExprTree(constraint)
    return ad.eval("Wanted") is True


def test_only_jobs_of_the_session_and_of_its_user_are_asked_for() -> None:
    ours = belongs_to(SESSION, "alice")
    assert matches(ours)
    assert not matches(ours, CasitaSession=SESSION.replace("a", "b"))
    assert not matches(ours, CasitaSession=SESSION.upper())
    assert not matches(ours, Owner="bob")
    assert not matches(belongs_to(SESSION, "bob"))
    assert not matches(ours, CasitaSession=7)


def test_of_many_jobs_those_that_are_named_are_meant_and_no_others() -> None:
    numbers = [f"{cluster}.{process}" for cluster in (12, 13) for process in range(150)]
    found = constraints(SESSION, "alice", numbers)
    assert len(found) > 1

    def meant(**changes: Any) -> bool:
        return any(matches(each, **changes) for each in found)

    assert meant(ProcId=0)
    assert meant(ClusterId=13, ProcId=149)
    assert not meant(ProcId=150)
    assert not meant(ClusterId=1, ProcId=3)
    assert not meant(Owner="bob")


def test_no_ids_are_no_jobs_and_none_at_all_is_every_job() -> None:
    assert constraints(SESSION, "alice", ()) == []
    assert constraints(SESSION, "alice", None) == [belongs_to(SESSION, "alice")]


@given(st.text(max_size=20))
def test_an_id_is_two_numbers_or_it_is_refused(text: str) -> None:
    try:
        found = constraints(SESSION, "alice", [text])
    except ValueError:
        return
    cluster, process = (int(part) for part in text.split("."))
    assert matches(found[0], ClusterId=cluster, ProcId=process)


@pytest.mark.parametrize(
    "text", ["12", "12.", "12.0 || true", "12.0\n", "-1.0", "\u0967.\u0966", ""]
)
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no id of a job"):
        constraints(SESSION, "alice", [text])


@given(st.text(max_size=20), st.booleans())
def test_a_constraint_holds_no_more_than_a_name(text: str, first: bool) -> None:
    """Whatever a name is, it is refused, or what it makes is true for its bearer alone."""
    try:
        found = belongs_to(text, "alice") if first else belongs_to(SESSION, text)
    except ValueError:
        return
    assert matches(found, **({"CasitaSession": text} if first else {"Owner": text}))
    assert not matches(found, **({"CasitaSession": "other"} if first else {"Owner": "other"}))


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"JobStatus": 1}, JobState.IDLE),
        ({"JobStatus": 2}, JobState.RUNNING),
        ({"JobStatus": 3}, JobState.LEAVING),
        ({"JobStatus": 4}, JobState.LEAVING),
        ({"JobStatus": 5, "HoldReasonCode": 34}, JobState.HELD),
        ({"JobStatus": 5}, JobState.HELD),
        ({"JobStatus": 5, "HoldReasonCode": 16}, JobState.SPOOLING),
        ({"JobStatus": 1, "HoldReasonCode": 16}, JobState.IDLE),
        ({"JobStatus": 6}, JobState.LEAVING),
        ({"JobStatus": 7}, JobState.RUNNING),
    ],
)
def test_a_status_is_a_state(changes: dict[str, int], state: JobState) -> None:
    assert read_job({**AD, **changes}).state is state


def test_an_ad_is_read_in_full() -> None:
    assert read_job(AD) == Job(
        id="12.3",
        worker="analysis-abcdefghij-grid-12-3",
        pool="grid",
        run="3b1f",
        state=JobState.RUNNING,
        since=1_700_000_100,
        queued_at=1_700_000_000,
        starts=1,
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"JobStatus": 5, "HoldReason": "memory\n exceeded"}, "memory exceeded"),
        ({"JobStatus": 1, "VacateReason": "evicted"}, "evicted"),
        ({"JobStatus": 1, "NumJobStarts": 0, "LastRejMatchReason": "no match"}, "no match"),
        ({"JobStatus": 2, "HoldReason": "of another time"}, ""),
        ({"JobStatus": 5, "HoldReason": "x" * 5000}, "x" * 400),
        ({"JobStatus": 5, "HoldReason": 7}, ""),
    ],
)
def test_the_reason_is_that_of_the_state(changes: dict[str, Any], reason: str) -> None:
    assert read_job({**AD, **changes}).reason == reason


def test_an_operation_arrives_as_it_was_sent() -> None:
    files = {"tls.key": bytes(range(256))}
    for sent in (
        Submit(ACCOUNT, JOB, 3, files, "text"),
        Query(ACCOUNT, SESSION),
        Remove(ACCOUNT, SESSION, ("1.0", "1.1")),
        Remove(ACCOUNT, SESSION, None),
    ):
        assert decode(encode(sent, 30)) == (sent, 30)


def test_an_answer_arrives_as_it_was_given() -> None:
    jobs = tuple(replace(read_job(AD), id=f"1.{number}", reason="é") for number in range(3))
    for given_answer in (Answer(jobs), Answer(), Answer(template="a\nb")):
        assert decode_answer(encode_answer(given_answer)) == given_answer
    for outage in (True, False):
        with pytest.raises(BatchError, match=r"^why$") as caught:
            decode_answer(encode_error(BatchError("why", outage=outage)))
        assert caught.value.outage is outage


@pytest.mark.parametrize("line", ["", "{}", "[]", "1", '{"jobs": [[]]}', '{"jobs": [[1,2,3,4,5]]}'])
def test_what_is_no_answer_is_told_apart_from_one(line: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_answer(line)


def test_no_secret_is_shown() -> None:
    text = repr(Submit(ACCOUNT, JOB, 1, {"tls.key": b"very secret"}))
    assert "secret" not in text
    assert ACCOUNT.token not in text


def test_htcondor_is_a_back_end() -> None:
    back_end: BackEnd = HTCondor()
    assert back_end
