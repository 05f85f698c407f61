"""What breaks comes back and says so; what is deleted leaves nothing."""

import contextlib
import json
from collections.abc import Callable

from casita.api.names import slug
from tests.e2e.conftest import NAMESPACE, MakeSession, RunIn, ready
from tests.support import kubectl
from tests.support.cluster import SESSION, Cluster, condition, eventually

KINDS = "pod,secret,service,networkpolicy,tlsroute"

EAT_MEMORY = """
import dask
dask.config.set({'distributed.comm.tls.client.cert': '/etc/casita/tls/tls.crt',
                 'distributed.comm.tls.client.key': '/etc/casita/tls/tls.key'})
from distributed import Client
c = Client('tls://127.0.0.1:8786', timeout=10)
def eat(dask_scheduler):
    dask_scheduler.hoard = [bytearray(b'x' * 2**26) for _ in range(64)]
c.run_on_scheduler(eat)
"""


HANG = """
import os, pathlib, signal
for status in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
    words = status.read_bytes().split(bytes(1))
    if b"worker" in words and not words[0].endswith(b"tini"):
        os.kill(int(status.parent.name), signal.SIGSTOP)
        print("stopped", words)
"""


def of(session: str) -> str:
    return f"casita.dev/session={slug(NAMESPACE, session)}"


def uids(session: str) -> dict[str, str]:
    answer = kubectl.run("-n", NAMESPACE, "get", KINDS, "-l", of(session), "-o", "json")
    return {
        f"{i['kind']}/{i['metadata']['name']}": i["metadata"]["uid"]
        for i in json.loads(answer)["items"]
    }


async def test_deleted_children_are_made_again_and_the_session_is_ready_again(
    cluster: Cluster, make_session: MakeSession, notebook: Callable[..., RunIn]
) -> None:
    name = make_session()
    prefix = await ready(cluster, name, workers=1)
    before = uids(name)
    for kind in ("service", "networkpolicy", "tlsroute"):
        kubectl.run("-n", NAMESPACE, "delete", kind, prefix)
    kubectl.run("-n", NAMESPACE, "delete", "secret", f"{prefix}-client")
    kubectl.run("-n", NAMESPACE, "delete", "pod", f"{prefix}-scheduler", "--now")

    def remade() -> bool:
        now = uids(name)
        assert set(now) >= set(before), set(before) - set(now)
        gone = ("Service", "NetworkPolicy", "TLSRoute")
        return all(now[k] != before[k] for k in before if k.startswith(gone))

    await eventually(remade, 60, pause=0.5)
    await ready(cluster, name, workers=1)
    assert notebook(name)(
        "from distributed import Client\nprint(Client().submit(lambda: 6 * 7).result())"
    ).split() == ["42"]


async def test_a_scheduler_out_of_memory_is_told_and_comes_back(
    cluster: Cluster, make_session: MakeSession
) -> None:
    name = make_session(scheduler={"memoryMiB": 512})
    prefix = await ready(cluster, name, workers=1)
    pod = ("-n", NAMESPACE, "exec", f"{prefix}-scheduler", "--", "python", "-c", EAT_MEMORY)
    with contextlib.suppress(kubectl.KubectlError):  # the command dies with the scheduler
        kubectl.run(*pod, timeout=60)

    def told() -> bool:
        events = json.loads(kubectl.run("-n", NAMESPACE, "get", "events", "-o", "json"))["items"]
        mine = [e for e in events if e["involvedObject"]["name"] == name]
        return any(e["reason"] == "OutOfMemory" for e in mine)

    await eventually(told, 60, what="an event that names the reason", pause=0.5)
    await ready(cluster, name, workers=1)


async def test_a_worker_that_hangs_is_named_within_thirty_seconds(
    cluster: Cluster, make_session: MakeSession
) -> None:
    name = make_session(replicas=2)
    prefix = await ready(cluster, name, workers=2)
    worker = f"{prefix}-local-1"
    kubectl.execute(NAMESPACE, worker, "python", "-c", HANG)

    def named() -> bool:
        session = cluster.get(*SESSION, name, NAMESPACE)
        workers = condition(session, "WorkersReady")
        return workers["status"] == "False" and worker in workers["message"]

    await eventually(named, 45, what="WorkersReady names the worker", pause=0.5)


async def test_stop_withdraws_everything_and_run_makes_it_anew(
    cluster: Cluster, make_session: MakeSession
) -> None:
    name = make_session()
    await ready(cluster, name, workers=1)
    serials = {c["id"] for c in cluster.get(*SESSION, name, NAMESPACE)["status"]["credentials"]}
    cluster.patch(*SESSION, name, NAMESPACE, {"spec": {"lifecycle": "Stopped"}})
    await eventually(lambda: not uids(name), 60, what="everything withdrawn", pause=0.5)
    stopped = cluster.get(*SESSION, name, NAMESPACE)
    assert condition(stopped, "Ready")["reason"] == "Stopped"
    cluster.patch(*SESSION, name, NAMESPACE, {"spec": {"lifecycle": "Running"}})
    await ready(cluster, name, workers=1)
    again = {c["id"] for c in cluster.get(*SESSION, name, NAMESPACE)["status"]["credentials"]}
    assert not serials & again, "a certificate survived the stop"


async def test_deletion_leaves_nothing(cluster: Cluster, make_session: MakeSession) -> None:
    name = make_session()
    await ready(cluster, name, workers=1)
    kubectl.run("-n", NAMESPACE, "delete", "asess", name)
    await eventually(lambda: not uids(name), 90, what="all children collected", pause=0.5)


async def test_a_stopped_gateway_is_told_and_the_route_proven_again(
    cluster: Cluster, make_session: MakeSession
) -> None:
    gateway = ("-n", "casita-gateway")
    deployment = kubectl.run(*gateway, "get", "deploy", "-o", "name").decode().split()[0]
    kubectl.run(*gateway, "scale", deployment, "--replicas=0")
    kubectl.run(*gateway, "wait", "--for=delete", "pod", "--all", "--timeout=90s")
    try:
        name = make_session(replicas=0)

        def told() -> bool:
            route = condition(cluster.get(*SESSION, name, NAMESPACE), "RouteReady")
            return route.get("reason") in ("AwaitingGateway", "RouteUnreachable")

        await eventually(told, 60, pause=0.5)
    finally:
        kubectl.run(*gateway, "scale", deployment, "--replicas=1")
    await ready(cluster, name)
