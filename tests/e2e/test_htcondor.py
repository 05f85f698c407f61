"""The demo pool, by its own daemons: whose jobs run, who can touch them, what no one gets."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import PurePosixPath
from typing import Any
from uuid import uuid4

import pytest

from tests.cluster.access import image_references
from tests.cluster.locations import REPOSITORY
from tests.e2e.conftest import NAMESPACE
from tests.facility import NAMESPACE as SYSTEM
from tests.facility import RELEASE, run_helm
from tests.support import kubectl
from tests.support.cluster import eventually
from tests.support.pool import (
    ACCESS_POINT,
    MACHINES,
    POOL,
    SCHEDD,
    CondorError,
    User,
    at_access_point,
    at_machine,
    client_pod,
    signing_key,
    token,
)

IDLE, RUNNING, REMOVED, COMPLETED, HELD = 1, 2, 3, 4, 5
KEY_FILE = "/run/casita/keys/casita"
QUEUE = PurePosixPath("/var/lib/condor/spool/queue")
NAP = "sleep 600"


@pytest.fixture(scope="module")
def key() -> bytes:
    return signing_key()


@pytest.fixture(scope="module")
def pod() -> Iterator[str]:
    """A pod of a session, in which both users' tokens are used."""
    name = f"condor-{uuid4().hex[:8]}"
    references = image_references()
    images = {"tools": references["htcondor"], "wheel": references["operator"]}
    manifest = client_pod(name, NAMESPACE, images)
    kubectl.run("apply", "-f", "-", stdin=json.dumps(manifest))
    kubectl.run("-n", NAMESPACE, "wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
    yield name
    kubectl.run("-n", NAMESPACE, "delete", "pod", name, "--now", "--wait=false")


@pytest.fixture(scope="module")
def people(pod: str, key: bytes, request: pytest.FixtureRequest) -> Iterator[tuple[User, User]]:
    """Alice and Bob, with good tokens; what they leave in the queue is removed."""
    users = User(NAMESPACE, pod, "alice"), User(NAMESPACE, pod, "bob")
    for user in users:
        user.give(token(key, user.name))
    failed_before = request.session.testsfailed
    yield users
    if request.session.testsfailed > failed_before:
        print(explain())
    for user in users:
        user.give(token(key, user.name))
        user.do("act", action="Remove", constraint=f'Owner == "{user.name}"')
        user.do("act", action="RemoveX", constraint=f'Owner == "{user.name}"')


@pytest.fixture
def alice(people: tuple[User, User]) -> User:
    return people[0]


@pytest.fixture
def bob(people: tuple[User, User]) -> User:
    return people[1]


@pytest.fixture(scope="module")
def bearer(pod: str) -> Callable[[str], User]:
    """Makes somebody who has just this token."""

    def make(text: str) -> User:
        user = User(NAMESPACE, pod, f"somebody-{uuid4().hex[:8]}")
        user.give(text)
        return user

    return make


def explain() -> str:
    """Gather what tells what became of the pool."""
    logs = [
        kubectl.run("-n", where, "logs", what, "-c", "condor", "--tail=150").decode()
        for where, what in ((SYSTEM, ACCESS_POINT), (POOL, MACHINES))
    ]
    queue = at_access_point("condor_q", "-allusers", "-nobatch", "-wide")
    return "\n".join([*logs, queue, at_access_point("condor_status")])


async def reaches(user: User, job: int, status: int, seconds: float = 60) -> None:
    """Wait until a job has a status."""

    def look() -> bool:
        found = user.ad(job, "JobStatus", "HoldReason", "NumShadowStarts")
        assert found.get("JobStatus") == status, found
        return True

    await eventually(look, seconds, what=f"job {job} has status {status}", pause=0.3)


async def finished(user: User, script: str, **lines: Any) -> dict[str, bytes]:
    """Run a job to its end and fetch its files."""
    job = user.submit(script, **lines)
    await reaches(user, job, COMPLETED)
    return user.files(job)


async def test_a_spooled_job_runs_soon_and_belongs_to_who_submitted_it(alice: User) -> None:
    began = time.time()
    job = alice.submit("date +%s; id -un; cat given", files={"given": "hello"})
    await reaches(alice, job, COMPLETED)
    assert alice.ad(job, "Owner", "User") == {"Owner": "alice", "User": "alice@casita.users"}
    started, account, given = alice.files(job)["out"].decode().split()
    print(f"submit to running: {int(started) - began:.0f} s")
    assert account.startswith("slot")
    assert given == "hello"
    assert int(started) - began < 15, "HTCondor's own settings take 13 to 21 s on an idle machine"


async def test_another_users_job_cannot_be_removed_held_edited_or_read(
    alice: User, bob: User
) -> None:
    job = alice.submit(f"echo mine > secret; {NAP}", files={"private": "alice's"})
    await reaches(alice, job, RUNNING)
    this = f"ClusterId == {job}"
    for action in ("Remove", "Hold", "Vacate", "Suspend"):
        assert bob.do("act", action=action, constraint=this) == {"TotalPermissionDenied": 1}
    # Not every version of the client is told that nothing was changed.
    with suppress(CondorError):
        bob.do("edit", constraint=this, name="JobPrio", value="7")
    assert alice.ad(job, "JobPrio") == {"JobPrio": 0}
    assert alice.do("edit", constraint=this, name="JobPrio", value="3")
    assert alice.ad(job, "JobPrio") == {"JobPrio": 3}
    assert bob.do("retrieve", constraint=this) == {}
    assert alice.status(job) == RUNNING
    assert alice.do("act", action="Remove", constraint=this) == {"TotalSuccess": 1}


async def test_the_end_of_ones_own_job_ends_no_other(alice: User, bob: User) -> None:
    job = alice.submit(NAP)
    other: dict[str, Any] = {"My.OtherJobRemoveRequirements": f'"ClusterId == {job}"'}
    mine = bob.submit(NAP, **other)
    await reaches(alice, job, RUNNING)
    assert bob.do("act", action="Remove", constraint=f"ClusterId == {mine}") == {"TotalSuccess": 1}
    await eventually(lambda: bob.status(mine) in {None, REMOVED}, 30, what="bob's job is gone")
    assert alice.status(job) == RUNNING
    alice.do("act", action="Remove", constraint=f"ClusterId == {job}")


@pytest.mark.parametrize("universe", ["local", "scheduler", "grid"])
def test_nothing_of_a_user_runs_at_the_access_point(alice: User, universe: str) -> None:
    with pytest.raises(CondorError, match="only jobs of the vanilla universe"):
        alice.submit("true", universe=universe, grid_resource="batch slurm")


def test_the_access_point_takes_no_files_but_what_was_spooled(alice: User) -> None:
    with pytest.raises(CondorError, match="submit with -spool"):
        alice.submit("true", spool=False)
    with pytest.raises(CondorError):
        alice.submit("true", spool=False, transfer_input_files=f"script, {KEY_FILE}")


@pytest.mark.parametrize("name", [KEY_FILE, "a, /proc/self/environ", "../../../1", "x/../../y"])
def test_the_access_point_sends_no_files_from_outside_the_jobs_folder(
    alice: User, name: str
) -> None:
    with pytest.raises(CondorError, match="must be inside the job's folder"):
        alice.submit("true", transfer_output_files=name)


LATER = f'ifThenElse(JobStatus == 4, "{KEY_FILE}", "made")'


@pytest.mark.parametrize("attribute", ["TransferOutput", "Out", "Err", "SpooledOutputFiles"])
async def test_a_name_that_changes_when_the_job_has_ended_leads_nowhere(
    alice: User, key: bytes, attribute: str
) -> None:
    files = await finished(alice, "echo done > made", **{f"My.{attribute}": LATER})
    assert key not in files.values()
    assert PurePosixPath(KEY_FILE).name not in files


EDITS = {
    "TransferOutput": KEY_FILE,
    "SpooledOutputFiles": KEY_FILE,
    "Out": KEY_FILE,
    "Err": KEY_FILE,
    "In": KEY_FILE,
    "Cmd": KEY_FILE,
    "TransferInput": KEY_FILE,
    "TransferOutputRemaps": f"out={QUEUE / 'remapped'}",
    "OutputDestination": "https://example.org",
    "x509userproxy": KEY_FILE,
    "Iwd": str(QUEUE),
    "UserLog": str(QUEUE / "log"),
    "DAGManNodesLog": str(QUEUE / "log"),
    "OtherJobRemoveRequirements": "true",
}


def test_names_of_files_cannot_be_edited_after_submission(alice: User) -> None:
    job = alice.submit("true", requirements="false")
    before = alice.ad(job, *EDITS)
    for name, value in EDITS.items():
        with pytest.raises(CondorError):
            alice.do("edit", constraint=f"ClusterId == {job}", name=name, value=f'"{value}"')
    assert alice.ad(job, *EDITS) == before
    with pytest.raises(CondorError):
        alice.do("edit", constraint=f"ClusterId == {job}", name="JobUniverse", value="12")


async def test_nothing_is_written_outside_the_jobs_own_folder(alice: User) -> None:
    marks = [f"escaped-{uuid4().hex[:8]}" for _ in range(3)]
    logged = alice.submit("true", log=str(QUEUE / marks[0]))
    mapped = alice.submit(
        "echo x > x", transfer_output_files="x", transfer_output_remaps=f'"x={QUEUE / marks[1]}"'
    )
    given = alice.submit(
        "true",
        files={"x": "y"},
        transfer_output_remaps=f'"x={QUEUE / marks[2]};script={QUEUE / marks[2]}"',
    )
    for job in (logged, mapped, given):
        ended = f"ClusterId == {job} && (JobStatus == {COMPLETED} || JobStatus == {HELD})"
        await eventually(
            partial(alice.do, "ads", constraint=ended, names=["ClusterId"]), 60, what=f"{job} ended"
        )
    found = at_access_point("sh", "-c", "cd /; find /var/lib/condor /tmp -name 'escaped-*'")
    assert found == ""


async def test_a_job_gets_nothing_from_the_access_point_while_it_runs(
    alice: User, key: bytes
) -> None:
    fetch = f"/usr/libexec/condor/condor_chirp fetch {KEY_FILE} got; echo $?; ls"
    files = await finished(alice, fetch, **{"My.WantIOProxy": "true"})
    assert files["out"].decode().split()[0] != "0"
    assert key not in files.values()


async def test_the_submitter_gets_a_token_or_a_machine_from_nobody(alice: User) -> None:
    for where in (("-name", SCHEDD), ("-type", "COLLECTOR")):
        with pytest.raises(kubectl.KubectlError, match="disabled"):
            alice.run("condor_token_fetch", *where)
    advertise = 'printf "MyType=\\"Machine\\"\\nName=\\"fake\\"\\n" | condor_advertise "$0" -'
    for what in ("UPDATE_STARTD_AD", "UPDATE_SCHEDD_AD", "INVALIDATE_SCHEDD_ADS"):
        with pytest.raises(kubectl.KubectlError):
            alice.run("sh", "-c", advertise, what)
    assert "fake" not in alice.do("machines")


FIRST_RUN = {"JobStatus": RUNNING, "NumShadowStarts": 1}
SPY = """
for folder in /var/lib/condor/execute/*; do
  [ "$folder" = "$_CONDOR_SCRATCH_DIR" ] || ls "$folder" || echo closed
done
cat /run/casita/tokens/token || echo no token
ls /run/casita/tokens || echo no tokens
touch /run/casita/x /var/lib/condor/x /etc/x || echo no place
for process in /proc/[0-9]*; do
  [ "$(stat -c %u "$process")" = "$(id -u)" ] || cat "$process/environ" 2>/dev/null
done
kill -9 -1; ls
"""


async def test_a_job_sees_and_harms_nothing_of_another_or_of_the_machine(
    alice: User, bob: User
) -> None:
    secret = f"very-secret-{uuid4().hex}"
    job = alice.submit(NAP, files={"private": secret}, environment=f'"MINE={secret}"')
    await reaches(alice, job, RUNNING)
    ours = at_machine("cat", "/run/casita/tokens/token")
    assert ours.count(".") == 2
    said = (await finished(bob, SPY))["out"].decode()
    lines = said.splitlines()
    assert lines[0] == "closed"
    assert [line for line in lines if line != "closed"][:3] == ["no token", "no tokens", "no place"]
    assert secret not in said
    assert ours not in said
    assert alice.ad(job, "JobStatus", "NumShadowStarts") == FIRST_RUN
    alice.do("act", action="Remove", constraint=f"ClusterId == {job}")


async def test_what_a_job_leaves_behind_is_ended_with_it(alice: User) -> None:
    length = 7000 + uuid4().int % 1000
    job = alice.submit(f"env -i /usr/bin/setsid sleep {length} & sleep 1")

    def left() -> list[str]:
        return at_machine("sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' '\\n'").split("\n")

    await eventually(lambda: str(length) in left(), 30, what="the job has left a process")
    await reaches(alice, job, COMPLETED)
    await eventually(lambda: str(length) not in left(), 20, what="it was ended")


def test_a_token_opens_no_more_than_it_says(key: bytes, bearer: Callable[[str], User]) -> None:
    reader = bearer(token(key, "alice", scope="condor:/READ"))
    assert reader.do("machines")
    with pytest.raises(CondorError):
        reader.submit("true")


UNSIGNED = "eyJhbGciOiJub25lIiwia2lkIjoiY2FzaXRhIn0"
"""``{"alg":"none","kid":"casita"}``: see images/htcondor/refuse-empty-secret.c."""


def bad_tokens(key: bytes) -> dict[str, str]:
    good = token(key, "alice")
    head, body, signature = good.split(".")
    other = token(key, "bob").split(".")
    return {
        "expired": token(key, "alice", issued=datetime.now(UTC) - timedelta(hours=1)),
        "truncated": good[:-8],
        "another token's signature": f"{head}.{body}.{other[2]}",
        "another body": f"{head}.{other[1]}.{signature}",
        "signed with another key": token(bytes(64), "alice"),
        "of another issuer": token(key, "alice", iss="other.pool"),
        "of another domain of users": token(key, "alice", domain="other.users"),
        "of the pool's own key": token(key, "alice", key_id="POOL"),
        "of a key that is not there": token(key, "alice", key_id="other"),
        "a key outside its folder": token(key, "alice", key_id="../keys/casita"),
        "without a number": token(key, "alice", jti=None),
        "without an issuer": token(key, "alice", iss=None),
        "without an end": token(key, "alice", exp=None),
        "without a limit": token(key, "alice", scope=None),
        "with rights of something else": token(key, "alice", scope="openid profile"),
        "unsigned": f"{UNSIGNED}.{body}.",
        "with no signature": f"{head}.{body}.",
        "nothing": "",
    }


@pytest.mark.parametrize("name", bad_tokens(bytes(64)))
def test_this_token_is_refused(key: bytes, bearer: Callable[[str], User], name: str) -> None:
    with pytest.raises(CondorError):
        bearer(bad_tokens(key)[name]).do("machines")


async def test_a_renewed_token_serves_the_jobs_of_the_one_before(
    key: bytes, bearer: Callable[[str], User]
) -> None:
    carol = bearer(token(key, "carol", life=timedelta(seconds=20)))
    job = carol.submit(NAP)
    carol.give(token(key, "carol"))
    await reaches(carol, job, RUNNING)
    assert carol.ad(job, "Owner") == {"Owner": "carol"}
    assert carol.do("act", action="Remove", constraint=f"ClusterId == {job}")["TotalSuccess"] == 1


def sleepers() -> list[str]:
    """Return the processes of jobs that sleep."""
    look = 'for p in /proc/[0-9]*; do tr "\\0" " " < $p/cmdline | grep -qx "$0 " && echo $p; done'
    return at_machine("sh", "-c", f"{look}; true", NAP).split()


def replace_pods(namespace: str, deployment: str) -> None:
    """Delete a deployment's pods, and wait for what comes in their place."""
    name = "htcondor-ap" if deployment == ACCESS_POINT else "htcondor-ep"
    kubectl.run("-n", namespace, "delete", "pod", "-l", f"app.kubernetes.io/name={name}")
    rolled_out(namespace, deployment)


def rolled_out(namespace: str, deployment: str) -> None:
    kubectl.run("-n", namespace, "rollout", "status", deployment, "--timeout=120s")


async def test_jobs_go_on_while_the_access_point_is_replaced(alice: User) -> None:
    job = alice.submit(NAP)
    await reaches(alice, job, RUNNING)
    before = await eventually(sleepers, what="the job's process")
    replace_pods(SYSTEM, ACCESS_POINT)
    # The queue is the same, and so is the process: nobody started it again.
    await reaches(alice, job, RUNNING)
    assert sleepers() == before
    assert alice.do("act", action="Remove", constraint=f"ClusterId == {job}")["TotalSuccess"] == 1


async def test_a_job_whose_machine_is_gone_starts_again(alice: User) -> None:
    job = alice.submit(NAP)
    await reaches(alice, job, RUNNING)
    replace_pods(POOL, MACHINES)

    def again() -> bool:
        found = alice.ad(job, "JobStatus", "NumShadowStarts")
        assert found == {"JobStatus": RUNNING, "NumShadowStarts": 2}, found
        return True

    await eventually(again, 90, what="the job runs anew", pause=0.5)
    alice.do("act", action="Remove", constraint=f"ClusterId == {job}")


@pytest.fixture
def next_key() -> Iterator[bytes]:
    """A second signing key, accepted beside the first; and one user's older tokens revoked."""
    content = uuid4().bytes * 4
    put_next_key(content)
    configured({"furtherKeys": [{"id": "next", "existingSecret": "htcondor-test-next"}]})
    yield content
    configured({"furtherKeys": [], "revocation": ""})
    kubectl.run("-n", SYSTEM, "delete", "secret", "htcondor-test-next")


def put_next_key(content: bytes) -> None:
    command = ("create", "secret", "generic", "htcondor-test-next", "--from-file=key=/dev/stdin")
    made = kubectl.run("-n", SYSTEM, *command, "--dry-run=client", "-o", "yaml", stdin=content)
    kubectl.run("apply", "-f", "-", stdin=made)


def configured(values: dict[str, object]) -> None:
    """Change values of the pool as an admin does."""
    sets = [f"--set-json=htcondor.{name}={json.dumps(value)}" for name, value in values.items()]
    chart = str(REPOSITORY / "charts/casita")
    keep = ("--reuse-values", "--wait", "--timeout", "3m")
    run_helm("upgrade", RELEASE, chart, "--namespace", SYSTEM, *keep, *sets)
    rolled_out(SYSTEM, ACCESS_POINT)


async def test_keys_overlap_and_are_withdrawn_and_tokens_are_revoked(
    key: bytes, next_key: bytes, bearer: Callable[[str], User]
) -> None:
    old, new = token(key, "alice"), token(next_key, "alice", key_id="next")
    assert works(bearer(old))
    assert works(bearer(new))
    # Another key under the same name: what the one before signed is worth nothing.
    another = uuid4().bytes * 4
    put_next_key(another)
    fresh = bearer(token(another, "alice", key_id="next"))
    await eventually(lambda: works(fresh), 90, what="the new key is there", pause=0.5)
    assert not works(bearer(new))
    # Whoever is revoked is so up to a time; the others are not concerned.
    now = datetime.now(UTC)
    limit = int(now.timestamp()) - 60
    configured({"revocation": f'sub =?= "mallory@casita.users" && iat <= {limit}'})
    early = token(key, "mallory", issued=now - timedelta(minutes=5), life=timedelta(hours=1))
    assert not works(bearer(early))
    assert works(bearer(token(key, "mallory")))
    assert works(bearer(old))
    # A withdrawn key takes its tokens with it.
    configured({"furtherKeys": [], "revocation": ""})
    assert not works(fresh)
    assert works(bearer(early))


def works(user: User) -> bool:
    """Say whether the collector answers; after a restart of its own it may know no machine yet."""
    try:
        user.do("machines")
    except CondorError:
        return False
    return True
