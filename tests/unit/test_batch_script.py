"""A worker's submit file says what it should, and nothing that anybody smuggles into it."""

import os
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casita.clients.batch.directives import worker_name
from casita.clients.batch.jobs import WorkerJob
from casita.clients.batch.script import submit_template
from casita.clients.batch.template import fill, shape_key
from casita.clients.batch.values import ScriptError, check_requirement
from tests.golden import Golden

# Else HTCondor's library looks for a configuration of this machine.
os.environ.setdefault("CONDOR_CONFIG", "/dev/null")
import classad2
import htcondor2

PLAIN = WorkerJob(
    session="0d9e2b9a-5b0c-4a62-9a50-3f1f6f5f4a11",
    run="3b1f0c9d2e4a5b6c",
    slug="analysis-abcdefghij",
    pool="grid",
    scheduler="tls://analysis-abcdefghij.dask.af.example.org:8786",
    cores=2,
    memory_mi_b=4096,
    disk_mi_b=2048,
    python="/opt/casita/bin/python3",
)
FULL = replace(
    PLAIN,
    image="registry.example.org/af/notebook:2026.11",
    requirements=('regexp("^wn[0-9]", TARGET.Machine)', "HasAVX2 =?= true || Cores > 4"),
    accounting_group="cms.analysis",
    queue_seconds=3600,
    wall_seconds=7200,
    drain_seconds=120,
    first_port=50_000,
    last_port=50_009,
    contact_address="tls://$$(PublicAddress):{port}",
    environment={"X509_CERT_DIR": "/cvmfs/certificates", "NOTE": 'it\'s "quoted"'},
    directives={"+Flavour": '"longlunch"', "rank": "KFlops"},
)


def submit_text(job: WorkerJob, user: str) -> str:
    return fill(submit_template(job), job, user)


def submitted(job: WorkerJob) -> Any:
    """Return the submit file as HTCondor's own parser has read it."""
    return htcondor2.Submit(submit_text(job, "alice"))


@pytest.mark.parametrize(("name", "job"), [("vanilla", PLAIN), ("container", FULL)])
def test_the_submit_file_is_what_was_agreed(name: str, job: WorkerJob, golden: Golden) -> None:
    golden.check(f"batch/{name}.sub", submit_text(job, "alice"))


@given(
    session=st.from_regex(r"[A-Za-z0-9-]{1,64}", fullmatch=True),
    run=st.from_regex(r"[A-Za-z0-9:_-]{1,40}", fullmatch=True),
    slug=st.from_regex(r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?", fullmatch=True),
    host=st.from_regex(r"[A-Za-z0-9.-]{1,60}", fullmatch=True),
    user=st.from_regex(r"[a-z][a-z0-9_-]{0,31}", fullmatch=True),
)
def test_the_text_of_another_session_of_the_same_shape_serves_as_well(
    session: str, run: str, slug: str, host: str, user: str
) -> None:
    """What was written for one, filled in for the other, is what HTCondor reads as the other's."""
    other = replace(FULL, session=session, run=run, slug=slug, scheduler=f"tls://{host}:8786")
    assert shape_key(other) == shape_key(FULL)
    read = htcondor2.Submit(fill(submit_template(FULL), other, user))
    assert read.expand("MY.CasitaSession") == f'"{session}"'
    assert read.expand("MY.CasitaRun") == f'"{run}"'
    assert read.expand("MY.DaskWorkerName") == f'"{slug}-grid-1-0"'
    assert read.expand("batch_name") == slug
    assert read.expand("accounting_group_user") == user
    words = read.expand("Arguments").split()
    assert words[words.index("--name") + 1] == f"{slug}-grid-1-0"
    assert words[words.index("distributed.cli.dask_worker") + 1] == f"tls://{host}:8786"


@pytest.mark.parametrize(
    "change",
    [{"cores": 3}, {"requirements": ()}, {"pool": "other"}, {"image": ""}, {"environment": {}}],
)
def test_jobs_that_differ_in_more_than_their_session_have_texts_of_their_own(
    change: dict[str, Any],
) -> None:
    assert shape_key(replace(FULL, **change)) != shape_key(FULL)


def test_the_workers_name_is_one_in_all_places() -> None:
    read = submitted(PLAIN)
    name = "analysis-abcdefghij-grid-1-0"
    assert read.expand("MY.DaskWorkerName") == f'"{name}"'
    assert f" --name {name} " in read.expand("Arguments")
    assert worker_name(PLAIN).replace("$(ClusterId)-$(ProcId)", "1-0") == name


def test_the_shell_is_given_one_command_that_replaces_it() -> None:
    text = submitted(FULL).expand("Arguments")
    assert re.fullmatch(r"\"-c 'exec /opt/casita/bin/python3 -m [^';&|<>()`]+'\"", text), text


def test_the_requirements_are_those_that_were_given_and_all_of_them() -> None:
    first, second = FULL.requirements
    assert submitted(FULL).expand("requirements") == f"({first}) && ({second})"
    assert "requirements" not in submitted(PLAIN)


def test_a_worker_leaves_in_time_for_its_drain() -> None:
    environment = submitted(FULL).expand("environment")
    assert " CASITA_DRAIN_SECONDS=120 " in environment
    assert "CASITA_LIFETIME_SECONDS=7080" in environment
    assert submitted(FULL).expand("job_max_vacate_time") == "150"
    short = submitted(replace(PLAIN, wall_seconds=300, drain_seconds=300))
    assert "CASITA_DRAIN_SECONDS=150 CASITA_LIFETIME_SECONDS=150" in short.expand("environment")


@pytest.mark.parametrize(
    ("status", "since", "code", "removed"),
    [
        (1, 3599, None, False),
        (1, 3601, None, True),
        (5, 3601, 34, True),
        (5, 599, 16, False),
        (5, 601, 16, True),
        (2, 7199, None, False),
        (2, 7201, None, True),
    ],
)
def test_what_waits_or_runs_too_long_is_removed(
    status: int, since: int, code: int | None, removed: bool
) -> None:
    text = submitted(FULL).expand("periodic_remove").replace("time()", "1000000")
    ad = classad2.ClassAd({"JobStatus": status, "EnteredCurrentStatus": 1_000_000 - since})
    if code is not None:
        ad["HoldReasonCode"] = code
    ad["Remove"] = classad2.ExprTree(text)
    assert ad.eval("Remove") is removed


@pytest.mark.parametrize(
    ("ended", "held"),
    [
        ({"ExitBySignal": False, "ExitCode": 127, "Ran": 1}, True),
        ({"ExitBySignal": False, "ExitCode": 1, "Ran": 49}, True),
        ({"ExitBySignal": False, "ExitCode": 1, "Ran": 61}, False),
        ({"ExitBySignal": False, "ExitCode": 0, "Ran": 1}, False),
        ({"ExitBySignal": True, "ExitSignal": 9, "Ran": 1}, False),
    ],
)
def test_what_could_not_be_started_is_held_and_tells_why(ended: dict[str, Any], held: bool) -> None:
    read = submitted(PLAIN)
    ad = classad2.ClassAd({**ended, "RemoteHost": "slot1@wn.example.org"})
    ad["JobCurrentStartDate"] = 1_000_000 - ended["Ran"]
    ad["Hold"] = classad2.ExprTree(read.expand("on_exit_hold").replace("time()", "1000000"))
    ad["Reason"] = classad2.ExprTree(read.expand("on_exit_hold_reason"))
    assert ad.eval("Hold") is held
    if held:
        assert f"exit code {ended['ExitCode']} on slot1@wn.example.org" in ad.eval("Reason")
        assert PLAIN.python in ad.eval("Reason")


SMUGGLED = [
    "true) || (true",
    "x\nqueue 1000",
    "x\r+Owner = 1",
    "$ENV(HOME) == 1",
    "$(ClusterId)",
    "a == 1 // and the rest",
    "a /* b",
    "(true",
    "true && ",
    "",
    "a = 1",
    "x\x00",
    "Größe > 1",
    # One expression to the one parser, and a way out of the parentheses to the other.
    '"\\\\" != ") || (true) || ("',
]


@pytest.mark.parametrize("text", SMUGGLED)
def test_a_requirement_that_is_more_than_one_expression_is_refused(text: str) -> None:
    with pytest.raises(ScriptError, match="requirements: "):
        submit_text(replace(PLAIN, requirements=("true", text)), "alice")


@pytest.mark.parametrize(
    "text",
    ["true", "Memory > 2000", 'regexp("^wn[0-9]+[.]site", Machine)', "a =?= undefined", "a/b > 1"],
)
def test_an_ordinary_requirement_is_accepted(text: str) -> None:
    check_requirement(text)


FIELDS: dict[str, Callable[[str], dict[str, Any]]] = {
    **{
        name: (lambda text, name=name: {name: text})  # type: ignore[misc]
        for name in ("session", "run", "slug", "pool", "scheduler", "python", "image")
    },
    "accounting_group": lambda text: {"accounting_group": text},
    "contact_address": lambda text: {"contact_address": text},
    "requirement": lambda text: {"requirements": (text,)},
    "variable": lambda text: {"environment": {"NAME": text}},
    "variable's name": lambda text: {"environment": {text: "value"}},
}
NASTY = st.text(
    st.sampled_from(list("ab1 \n\r\t\x00\\\"'`$();|&=#%,+/*.:@-_{}[]<>é\x85\u2028")), max_size=24
)


@given(field=st.sampled_from(sorted(FIELDS)), text=NASTY)
def test_no_value_adds_a_line_or_leaves_its_own(field: str, text: str) -> None:
    """Whatever a value is, it is refused, or the file has the same commands as without it."""
    try:
        found = submitted(replace(FULL, **FIELDS[field](text)))
    except ScriptError:
        return
    allowed = set(submitted(FULL)) | {"requirements"}
    # Commands of what is optional may be gone.
    assert set(found) <= allowed
    assert found.expand("MY.CasitaPool") == f'"{text if field == "pool" else "grid"}"'
    assert found.getQArgs() == ""
    arguments = found.expand("Arguments")
    assert re.fullmatch(r"\"-c 'exec /[^';&|<>()`\s]+ -m [^';&|<>()`\"]+'\"", arguments)
    assert "$(" not in arguments


def variables(quoted: str) -> dict[str, str]:
    """Read an environment as HTCondor's manual says of its quotes."""
    inside = re.fullmatch(r'"(.*)"', quoted, re.DOTALL)
    assert inside
    found = {}
    for entry in re.findall(r"(?:'(?:[^']|'')*'|[^ '])+", inside[1].replace('""', '"')):
        name, _, value = entry.partition("=")
        if value.startswith("'"):
            value = value[1:-1].replace("''", "'")
        found[name] = value
    return found


@given(text=NASTY)
def test_what_is_in_the_environment_comes_out_as_it_was(text: str) -> None:
    try:
        found = submitted(replace(PLAIN, environment={"NAME": text}))
    except ScriptError:
        assert not text.isprintable()
        return
    read = variables(found["environment"])
    assert read["NAME"] == text
    assert set(read) == set(variables(submitted(PLAIN)["environment"])) | {"NAME"}


@pytest.mark.parametrize(
    "name",
    [
        "requirements",
        "Requirements",
        "+CasitaSession",
        "MY.CasitaRun",
        "my.DaskWorkerName",
        "RequestCpus",
        "request_cpus",
        "universe",
        "+JobUniverse",
        "transfer_input_files",
        "TransferInputFiles",
        "want_graceful_removal",
        "periodic_remove",
        "environment",
        "arguments",
        "executable",
        "leave_in_queue",
        "accounting_group",
        "Owner",
        "log",
    ],
)
def test_an_admins_line_cannot_undo_casitas(name: str) -> None:
    with pytest.raises(ScriptError, match=f"{re.escape(name)} is casita's own"):
        submit_text(replace(PLAIN, directives={name: "1"}), "alice")


@pytest.mark.parametrize(
    ("name", "value"),
    [("queue", "5"), ("a b", "1"), ("", "1"), ("rank", "1\nqueue 5"), ("rank", "1 \\")],
)
def test_an_admins_line_is_one_line(name: str, value: str) -> None:
    with pytest.raises(ScriptError, match="directives: "):
        submit_text(replace(PLAIN, directives={name: value}), "alice")


@pytest.mark.parametrize("name", ["CASITA_DRAIN_SECONDS", "A B", "A=B", ""])
def test_a_variable_of_casitas_own_cannot_be_set(name: str) -> None:
    with pytest.raises(ScriptError, match="environment: "):
        submit_text(replace(PLAIN, environment={name: "1"}), "alice")


def test_a_site_may_set_how_many_threads_libraries_use() -> None:
    text = submitted(replace(PLAIN, environment={"OMP_NUM_THREADS": "4"})).expand("environment")
    assert text.count("OMP_NUM_THREADS") == 1
    assert "OMP_NUM_THREADS=4" in text


@pytest.mark.parametrize(
    "text", ["tls://$(x):{port}", "tls://$ENV(HOME)", "tls://a b", "tls://a;b", "tls://$$([1])"]
)
def test_an_address_that_is_more_than_one_is_refused(text: str) -> None:
    with pytest.raises(ScriptError, match="contact_address: "):
        submit_text(replace(PLAIN, contact_address=text), "alice")


@pytest.mark.parametrize(
    "change",
    [
        {"cores": 0},
        {"memory_mi_b": 0},
        {"disk_mi_b": 0},
        {"first_port": 80},
        {"first_port": 41_000, "last_port": 40_000},
        {"last_port": 70_000},
    ],
)
def test_a_size_that_makes_no_sense_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ScriptError, match=r"must be at least|there are none"):
        submit_text(replace(PLAIN, **change), "alice")


def test_whoever_is_accounted_to_is_a_name() -> None:
    with pytest.raises(ScriptError, match="user: "):
        submit_text(PLAIN, "alice\n+Owner = bob")
