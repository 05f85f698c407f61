"""Protected data: read from everywhere in a session, for as long as it lives, and told to nobody.

A token lives for five minutes at the least, since kubelets take up to two to deliver a renewed one.
So three lives in a row take a quarter of an hour, more than a test run should. The promise is
tested in two parts that together cover it: tokens of 20 seconds against the real cache, shown one
after the other; and a renewal by the operator, on its real way through Secret, sidecar and
scheduler, while everybody reads. ``CASITA_DATA_RENEWALS=7 make e2e``, on a site that was installed
with ``operator.credentials.macaroonSeconds=300``, does the whole at once.
"""

import asyncio
import base64
import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from casita.api.names import slug
from casita.credentials.macaroon import derive_key, mint
from casita.credentials.token import SigningKey
from tests.e2e.conftest import NAMESPACE, MakeSession, RunIn, ready
from tests.facility import NAMESPACE as SYSTEM
from tests.support import kubectl
from tests.support.cluster import Cluster, eventually
from tests.support.notebook import CONDOR_TOKENS, RUNTIME
from tests.support.reading import (
    FINGERPRINT,
    PROCESSES,
    READ_EVERYWHERE,
    READ_ON,
    SHORT_LIVES,
)

LIFE_SECONDS = 20
LIVES = 3.5
RENEWALS = int(os.environ.get("CASITA_DATA_RENEWALS", "1"))
"""With one, the operator is made to renew; more are waited for."""

Notebook = Callable[..., RunIn]


def secret(namespace: str, name: str) -> dict[str, bytes]:
    """Return the files of a Secret; none if it is not there."""
    found = kubectl.run("-n", namespace, "get", "secret", name, "-o", "json", "--ignore-not-found")
    data = json.loads(found or b"{}").get("data", {})
    return {file: base64.b64decode(content) for file, content in data.items()}


def pods(session: str, component: str) -> list[str]:
    """Return the names of a session's pods with a role."""
    label = f"casita.dev/session={slug(NAMESPACE, session)},casita.dev/component={component}"
    found = kubectl.run("-n", NAMESPACE, "get", "pods", "-l", label, "-o", "json")
    return [item["metadata"]["name"] for item in json.loads(found)["items"]]


def pod_of(run: RunIn) -> str:
    """Return the name of a notebook's pod."""
    return run("import socket; print(socket.gethostname())").strip()


async def test_uproot_and_coffea_read_in_the_notebook_and_on_workers(
    cluster: Cluster, make_session: MakeSession, notebook: Notebook
) -> None:
    name = make_session(replicas=2)
    await ready(cluster, name, workers=2)
    counts = json.loads(notebook(name)(READ_EVERYWHERE, 240))
    assert sum(counts["notebook"].values()) > 100
    assert counts["notebook"] == counts["worker"] == counts["coffea"]


async def test_tokens_lie_where_programs_accept_them(
    cluster: Cluster, make_session: MakeSession, notebook: Notebook
) -> None:
    name = make_session()
    prefix = await ready(cluster, name, workers=1)
    run = notebook(name)
    listed = run(
        "import os, pathlib\n"
        "for folder, _, names in os.walk('/run/casita'):\n"
        "    for name in names:\n"
        "        path = pathlib.Path(folder, name); state = path.lstat()\n"
        "        print(path, oct(state.st_mode & 0o777), state.st_uid == os.getuid())\n"
        "print('BEARER_TOKEN_FILE' in os.environ, 'BEARER_TOKEN' in os.environ)"
    ).splitlines()
    tokens = secret(NAMESPACE, f"{prefix}-tokens")
    assert f"{RUNTIME}/bt_u1000 0o600 True" in listed
    if "condor_token" in tokens:
        assert f"{CONDOR_TOKENS}/token 0o600 True" in listed
    assert listed[-1] == "False False"


async def test_reading_goes_on_through_three_lives_of_a_token(
    cluster: Cluster, make_session: MakeSession, notebook: Notebook
) -> None:
    name = make_session(replicas=0)
    await ready(cluster, name)
    run = notebook(name)
    # The notebook's pod knows no key: its tokens are minted here, for the time that each is shown.
    material = base64.b64decode(secret(SYSTEM, "casita-macaroon-key")["key"])
    key = SigningKey(derive_key(material), "of the test")
    life, started = timedelta(seconds=LIFE_SECONDS), time.time() + 10
    renew_every, seconds = LIFE_SECONDS / 2, LIFE_SECONDS * LIVES
    tokens = [
        mint(
            *(key, "casita", "alice", "/store/"),
            *(life, datetime.fromtimestamp(started + number * renew_every, UTC), uuid4()),
        ).text
        for number in range(int(seconds / renew_every))
    ]
    plan = {
        "tokens": tokens,
        "started": started,
        "renew_every": renew_every,
        "seconds": seconds,
    }
    kubectl.write_file(NAMESPACE, pod_of(run), "/tmp/tokens.json", json.dumps(plan).encode())
    answer = json.loads(await asyncio.to_thread(run, SHORT_LIVES, seconds + 60))
    assert answer["failures"]["casita"] == []
    assert answer["reads"]["casita"] > 50
    assert answer["shown"] == len(tokens)
    assert answer["failures"]["stock"], "without casita's part it works as well: nothing is proven"
    assert all("3010" in said for _, said in answer["failures"]["stock"])


@pytest.mark.timeout(300 + 200 * RENEWALS)
async def test_a_renewed_token_reaches_all_readers_while_they_read(
    cluster: Cluster, make_session: MakeSession, notebook: Notebook
) -> None:
    name = make_session()
    prefix = await ready(cluster, name, workers=1)
    run = notebook(name)
    pod = pod_of(run)
    (worker,) = pods(name, "worker")

    def shown() -> set[str]:
        return {
            kubectl.execute(NAMESPACE, where, "python", "-c", FINGERPRINT).strip()
            for where in (pod, worker)
        }

    seen = shown()
    assert len(seen) == 1, "notebook and worker have different tokens"
    work = asyncio.create_task(asyncio.to_thread(run, READ_ON, 300 + 200 * RENEWALS))

    def reading() -> bool:
        assert not work.done(), work.result()
        listed = (kubectl.execute(NAMESPACE, where, "ls", "/tmp") for where in (pod, worker))
        return all("reading" in names.split() for names in listed)

    await eventually(reading, 120, what="reads by the first token", pause=1)
    if RENEWALS == 1:
        # As if the site had changed: the operator makes the tokens anew. The old one stays good.
        stale = {"metadata": {"annotations": {"casita.dev/planned-hash": "0123456789abcdef"}}}
        cluster.patch("v1", "Secret", f"{prefix}-tokens", NAMESPACE, stale)

    def renewed() -> set[str]:
        return after if len(after := shown()) == 1 and not after & seen else set()

    for number in range(RENEWALS):
        what = f"renewed token {number + 1} in notebook and worker"
        seen |= await eventually(renewed, 280, what=what, pause=2)
        assert not work.done(), work.result()
    kubectl.execute(NAMESPACE, pod, "touch", "/tmp/stop")
    for reader, result in json.loads(await work).items():
        assert result["failures"] == [], f"in the {reader}"
        assert result["reads"] >= 18, f"in the {reader}"
        assert len(result["tokens"]) >= 1 + RENEWALS, f"in the {reader}"


async def test_nothing_secret_is_where_others_look(
    cluster: Cluster, make_session: MakeSession, notebook: Notebook
) -> None:
    name = make_session()
    prefix = await ready(cluster, name, workers=1)
    run = notebook(name)
    run(READ_EVERYWHERE, 240)
    secrets = known_secrets(prefix)
    assert {"xcache_token", "tls.key", "usercert.pem"} <= {file for file, _ in secrets}
    for where, text in told_everywhere(name, [*pods(name, "scheduler"), *pods(name, "worker")]):
        for file, material in secrets:
            assert material not in text, f"{file} is in {where}"
    (scheduler,) = pods(name, "scheduler")
    for pod in (scheduler, *pods(name, "worker"), pod_of(run)):
        text = kubectl.execute(NAMESPACE, pod, "python", "-c", PROCESSES)
        assert "DASK_" in text
        for file, material in secrets:
            assert material not in text, f"{file} is in a process of {pod}"


def known_secrets(prefix: str) -> list[tuple[str, str]]:
    """Return what must not be told: name and text of all that was minted, and of the keys."""
    found: list[tuple[str, str]] = []
    for role in ("tokens", "client", "scheduler", "worker"):
        for file, content in secret(NAMESPACE, f"{prefix}-{role}").items():
            if file in {"condor_token", "xcache_token", "report-token"}:
                # The end alone: the signature, which makes a token of what may be told.
                found.append((file, content.decode().strip()[-40:]))
            elif b"PRIVATE KEY" in content:
                text = content.decode().rpartition("PRIVATE KEY")[0]
                found.append((file, text.splitlines()[-2]))
    for name in ("casita-macaroon-key", "casita-idtoken-key", "casita-xcache-tls"):
        for file, content in secret(SYSTEM, name).items():
            if file == "key":
                text = content.decode("latin-1").strip()
                found += [(name, text), (name, base64.b64encode(content).decode())]
            elif file == "tls.key":
                found.append((name, content.decode().splitlines()[1]))
    return found


def told_everywhere(session: str, named: list[str]) -> Iterator[tuple[str, str]]:
    """Yield what people and programs can read without any right to Secrets."""
    for namespace in (NAMESPACE, SYSTEM, "casita-origin"):
        for kind in ("pods", "events", "configmaps", "services", "deployments,statefulsets,jobs"):
            said = kubectl.run("-n", namespace, "get", kind, "-o", "json")
            yield f"{kind} of {namespace}", said.decode()
        pods = json.loads(kubectl.run("-n", namespace, "get", "pods", "-o", "json"))["items"]
        for pod in (item["metadata"]["name"] for item in pods):
            if namespace == NAMESPACE and pod not in named:
                continue  # another test's, which may be going
            arguments = ("logs", pod, "--all-containers", "--tail=-1")
            yield f"the log of {pod}", kubectl.run("-n", namespace, *arguments).decode()
    said = kubectl.run("-n", NAMESPACE, "get", "asess", session, "-o", "json")
    yield "the session", said.decode()
