"""A session computes: inside, from outside, while it scales and while its certificates change."""

import asyncio
import base64
import json
from collections.abc import Callable

from casita.api.names import slug
from tests.e2e.conftest import NAMESPACE, MakeSession, RunIn, copy_secret, ready
from tests.support import kubectl
from tests.support.cluster import SESSION, Cluster, condition, eventually

COUNTED_TASKS = """
import json, sys, time
from distributed import Client, get_worker
client = Client()
def work(index, seconds):
    get_worker().log_event("starts", index)
    time.sleep(seconds)
    return index
futures = client.map(work, range({count}), seconds={seconds}, pure=False)
results = client.gather(futures)
starts = [index for _, index in client.get_events("starts")]
print(json.dumps({{"results": sorted(results), "starts": sorted(starts),
                   "workers": len(client.scheduler_info(n_workers=-1)["workers"])}}))
"""

SUM = """
from distributed import Client
with Client() as client:
    print(sum(client.gather(client.map(lambda x: x * x, range(100)))))
"""

OUTSIDE_SUM = """
from casita.dask.connect import connect
with connect(external=True) as client:
    print(client.scheduler.address, sum(client.gather(client.map(lambda x: x * x, range(100)))))
"""

ABANDON = """
import socket, ssl
context = ssl.create_default_context(cafile="/etc/cmsaf-secrets/ca.pem")
context.load_cert_chain("/etc/cmsaf-secrets/usercert.pem")
for _ in range(3):
    raw = socket.create_connection(("{host}", 8786), timeout=5)
    context.wrap_socket(raw, server_hostname="{host}").close()  # with the answer unread: a reset
"""

SERIAL = """
import socket, ssl, sys
context = ssl.create_default_context(cafile="/etc/cmsaf-secrets/ca.pem")
context.verify_flags |= ssl.VERIFY_X509_STRICT
context.load_cert_chain("/etc/cmsaf-secrets/usercert.pem")
host = "{host}"
with socket.create_connection((host, 8786), timeout=5) as raw:
    with context.wrap_socket(raw, server_hostname=host) as tls:
        print(tls.getpeercert()["serialNumber"].lower().lstrip("0"))
"""


async def test_a_notebook_computes_with_no_argument(
    cluster: Cluster, make_session: MakeSession, notebook: Callable[..., RunIn]
) -> None:
    name = make_session()
    await ready(cluster, name)
    run = notebook(name)
    assert run(SUM).strip() == str(sum(x * x for x in range(100)))


async def test_two_sessions_are_reached_from_outside_each_by_its_own_name(
    cluster: Cluster, make_session: MakeSession, notebook: Callable[..., RunIn], outside: str
) -> None:
    names = [make_session(user) for user in ("alice", "bob")]
    for name in names:
        await ready(cluster, name)
    runs = [notebook(name, namespace=outside, mounted=copy_secret(name, outside)) for name in names]
    answers = await asyncio.gather(*(asyncio.to_thread(run, OUTSIDE_SUM) for run in runs))
    for name, answer in zip(names, answers, strict=True):
        address, total = answer.split()
        assert address == f"tls://{slug(NAMESPACE, name)}.dask.af.test:8786"
        assert total == str(sum(x * x for x in range(100)))


async def test_scaling_down_drains_and_starts_no_task_twice(
    cluster: Cluster, make_session: MakeSession, notebook: Callable[..., RunIn]
) -> None:
    name = make_session(replicas=2)
    await ready(cluster, name, workers=2)
    run = notebook(name)
    work = asyncio.create_task(
        asyncio.to_thread(run, COUNTED_TASKS.format(count=24, seconds=1), 180)
    )
    await eventually(lambda: executing(name) == 2, 60, what="both workers busy")
    kubectl.run("-n", NAMESPACE, "scale", "asess", name, "--replicas=1")
    answer = json.loads(await work)
    assert answer["results"] == list(range(24))
    assert answer["starts"] == list(range(24)), "a task was started twice"
    assert answer["workers"] == 1
    await eventually(lambda: cluster.get(*SESSION, name, NAMESPACE)["status"]["replicas"] == 1, 60)
    kubectl.run("-n", NAMESPACE, "scale", "asess", name, "--replicas=3")
    await ready(cluster, name, workers=3)
    kubectl.run("-n", NAMESPACE, "scale", "asess", name, "--replicas=0")
    label = f"casita.dev/session={slug(NAMESPACE, name)},casita.dev/component=worker"
    await eventually(lambda: not cluster.items("v1", "Pod", NAMESPACE, label_selector=label), 90)


async def test_killed_kernels_take_nobody_else_down(
    cluster: Cluster, make_session: MakeSession, notebook: Callable[..., RunIn]
) -> None:
    name = make_session()
    prefix = await ready(cluster, name, workers=1)
    run = notebook(name)
    work = asyncio.create_task(
        asyncio.to_thread(run, COUNTED_TASKS.format(count=15, seconds=1), 120)
    )
    await eventually(lambda: executing(name) == 1, 60, what="the worker busy")
    another = notebook(name)
    for _ in range(4):
        another(ABANDON.format(host=f"{prefix}.{NAMESPACE}.svc"))
    answer = json.loads(await work)
    assert answer["starts"] == list(range(15)), "a task was lost or started twice"


async def test_a_renewed_certificate_is_taken_up_with_work_in_flight(
    cluster: Cluster, make_session: MakeSession, notebook: Callable[..., RunIn]
) -> None:
    name = make_session()
    prefix = await ready(cluster, name, workers=1)
    run = notebook(name)
    host = f"{prefix}.{NAMESPACE}.svc"
    serial = run(SERIAL.format(host=host)).strip()
    work = asyncio.create_task(
        asyncio.to_thread(run, COUNTED_TASKS.format(count=60, seconds=1), 240)
    )
    await eventually(lambda: executing(name) == 1, 60, what="the worker busy")
    for role in ("scheduler", "worker"):
        secret = cluster.get("v1", "Secret", f"{prefix}-{role}", NAMESPACE)
        key = base64.b64decode(secret["data"]["tls.key"])
        broken = base64.b64encode(key[: len(key) // 2]).decode()
        cluster.patch("v1", "Secret", f"{prefix}-{role}", NAMESPACE, {"data": {"tls.key": broken}})

    def renewed() -> bool:
        return run(SERIAL.format(host=host)).strip() != serial

    await eventually(renewed, 120, what="the scheduler shows the new certificate", pause=2)
    assert not work.done(), "the work ended before the certificate changed: nothing was proven"
    answer = json.loads(await work)
    assert answer["starts"] == list(range(60)), "a task was lost or started twice"
    session = cluster.get(*SESSION, name, NAMESPACE)
    assert condition(session, "Ready")["status"] == "True"
    assert run(SUM).strip() == str(sum(x * x for x in range(100)))


def executing(session: str) -> int:
    """Count the busy workers of a session, by asking its scheduler from its own pod."""
    code = (
        "import dask; dask.config.set({'distributed.comm.tls.client.cert':"
        "'/etc/casita/tls/tls.crt','distributed.comm.tls.client.key':'/etc/casita/tls/tls.key'});"
        "from distributed import Client; c = Client('tls://127.0.0.1:8786');"
        "print(c.run_on_scheduler(lambda dask_scheduler: sum(bool(w.processing) "
        "for w in dask_scheduler.workers.values())))"
    )
    pod = f"{slug(NAMESPACE, session)}-scheduler"
    return int(kubectl.execute(NAMESPACE, pod, "python", "-c", code))
