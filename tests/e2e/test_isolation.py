"""With one user's pod and credentials, nothing of another user's session is reachable."""

from collections.abc import Callable

from tests.e2e.conftest import NAMESPACE, MakeSession, RunIn, copy_secret, ready
from tests.support import kubectl
from tests.support.cluster import Cluster

CONNECT = """
import socket
for port in (8786, 8787, 8788, 8789):
    try:
        socket.create_connection(("{address}", port), timeout=3).close()
        print(port, "open")
    except OSError as error:
        print(port, "closed")
"""

HANDSHAKE = """
import socket, ssl
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
{certificate}
try:
    with socket.create_connection(("{address}", {port}), timeout=5) as raw:
        with context.wrap_socket(raw, server_hostname="{host}") as tls:
            tls.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
            tls.settimeout(5)
            print("answer", tls.recv(64))
except (ssl.SSLError, OSError) as error:
    print("refused", type(error).__name__, error)
"""

OWN = 'context.load_cert_chain("/etc/cmsaf-secrets/usercert.pem")'


def pod_address(name: str) -> str:
    answer = kubectl.run("-n", NAMESPACE, "get", "pod", name, "-o", "jsonpath={.status.podIP}")
    return answer.decode()


async def test_pods_of_another_session_cannot_connect(
    cluster: Cluster, make_session: MakeSession, notebook: Callable[..., RunIn]
) -> None:
    alice, bob = make_session("alice"), make_session("bob", replicas=0)
    prefix = await ready(cluster, alice, workers=1)
    await ready(cluster, bob)
    scheduler = pod_address(f"{prefix}-scheduler")
    worker = pod_address(f"{prefix}-local-0")
    run = notebook(alice)
    assert run(CONNECT.format(address=scheduler)).splitlines()[:2] == ["8786 open", "8787 open"]
    run = notebook(bob)
    for address in (scheduler, worker):
        lines = run(CONNECT.format(address=address)).splitlines()
        assert lines == [f"{port} closed" for port in (8786, 8787, 8788, 8789)]


async def test_without_the_sessions_own_certificate_the_scheduler_refuses(
    cluster: Cluster, make_session: MakeSession, notebook: Callable[..., RunIn], outside: str
) -> None:
    alice, bob = make_session("alice", 0), make_session("bob", 0)
    prefix = await ready(cluster, alice)
    await ready(cluster, bob)
    run = notebook(bob, namespace=outside, mounted=copy_secret(bob, outside))
    host = f"{prefix}.dask.af.test"
    for certificate in ("", OWN):
        said = run(HANDSHAKE.format(address=host, host=host, port=8786, certificate=certificate))
        assert said.startswith("refused"), said


async def test_the_dashboard_answers_only_to_the_sessions_certificate(
    cluster: Cluster, make_session: MakeSession, notebook: Callable[..., RunIn]
) -> None:
    alice = make_session("alice", 0)
    prefix = await ready(cluster, alice)
    run = notebook(alice)
    host = f"{prefix}.{NAMESPACE}.svc"
    without = HANDSHAKE.format(address=host, host=host, port=8787, certificate="")
    assert run(without).startswith("refused")
    answer = run(HANDSHAKE.format(address=host, host=host, port=8787, certificate=OWN))
    assert "HTTP/1" in answer, answer


async def test_session_pods_reach_neither_the_api_server_nor_the_node(
    cluster: Cluster, make_session: MakeSession, notebook: Callable[..., RunIn]
) -> None:
    alice = make_session("alice", 0)
    await ready(cluster, alice)
    run = notebook(alice)
    said = run(
        "import socket\n"
        "for host, port in (('kubernetes.default.svc', 443), ('169.254.169.254', 80)):\n"
        "    try:\n"
        "        socket.create_connection((host, port), timeout=3).close()\n"
        "        print('open')\n"
        "    except OSError as error:\n"
        "        print('closed')\n"
    )
    assert said.split() == ["closed", "closed"]
