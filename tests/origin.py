"""An XRootD server for tests, from which the facility's cache reads: a namespace of its own.

It has an authority and a macaroon key of its own, neither known to the facility: the cache logs in
by a token that this module gives it, as a site's admin would.
"""

import base64
import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from casita.credentials.macaroon import derive_key, mint
from casita.credentials.token import SigningKey
from casita.credentials.x509 import BACKDATE, Role, issue_leaf, new_authority
from tests.support import kubectl

NAMESPACE: Final = "casita-origin"
NAME: Final = "origin"
HOST: Final = f"{NAME}.{NAMESPACE}.svc.cluster.local"
PORT: Final = 1094
TOKEN_SECRET: Final = "casita-origin-token"
AUTHORITY: Final = "casita-origin-authority"
"""Secret and ConfigMap in the release's namespace."""

LARGE_FILES: Final = 6
LARGE_BYTES: Final = 100 * 2**20
HUGE_FILE: Final = "/store/huge"
HUGE_BYTES: Final = 300 * 2**20
SHARED_FILE: Final = "/store/nanoaod/nano_dy.root"
LIFE: Final = timedelta(days=30)

CONFIG: Final = f"""\
all.sitename origin
all.export /store r/o
all.export /storeevil r/o
all.adminpath /tmp/xrd
all.pidpath /tmp/xrd
oss.localroot /files
xrd.port {PORT}
xrd.tls /run/casita/keys/tls.crt /run/casita/keys/tls.key
xrd.tlsca certfile /run/casita/keys/ca.pem
xrootd.tls capable all
xrootd.seclib libXrdSec.so
sec.protocol ztn -tokenlib libXrdMacaroons.so -expiry optional
ofs.authorize
ofs.authlib libXrdMacaroons.so
macaroons.secretkey /run/xcache/macaroon.key
macaroons.maxduration {int(LIFE.total_seconds())}
macaroons.onmissing deny
macaroons.trace all
xrootd.trace all
ofs.trace open
"""

FILL: Final = f"""\
import pathlib, random, shutil
files = pathlib.Path("/files")
shutil.copytree("/data/store", files / "store", dirs_exist_ok=True)
def write(path, content):
    target = files / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
write("storeevil/secret", b"nobody's")
for user in ("alice", "bob"):
    write(f"store/users/{{user}}/own", f"for {{user}}".encode())
for number in range({LARGE_FILES}):
    write(f"store/large/{{number}}", random.Random(number).randbytes(2**20) * {LARGE_BYTES >> 20})
write("store/huge", random.Random("huge").randbytes(2**20) * {HUGE_BYTES >> 20})
for number in range(40):
    write(f"store/small/{{number}}", random.Random(number).randbytes(200_000))
"""
"""Makes files of which a test can tell the content."""


def install(image: str, release_namespace: str) -> None:
    """Run the origin, and give its token and its authority to the release's namespace.

    Args:
        image: reference of the image.
        release_namespace: where the cache will be; made if it is not there.
    """
    kubectl.run("apply", "-f", "-", stdin=json.dumps(_namespace(NAMESPACE)))
    kubectl.run("apply", "-f", "-", stdin=json.dumps(_namespace(release_namespace)))
    known = kubectl.run("-n", NAMESPACE, "get", "secret", NAME, "--ignore-not-found")
    if not known:
        _make_credentials(release_namespace)
    kubectl.run(
        "apply", "-f", "-", stdin=json.dumps(_list(_config(), _deployment(image), _service()))
    )
    wait = ("rollout", "status", f"deployment/{NAME}", "--timeout=120s")
    kubectl.run("-n", NAMESPACE, *wait)


def _make_credentials(release_namespace: str) -> None:
    now = datetime.now(UTC)
    authority = new_authority("test origin's authority", now - BACKDATE, LIFE + BACKDATE)
    leaf = issue_leaf(authority, Role.SCHEDULER, [NAME, HOST], now, LIFE)
    key = secrets.token_bytes(64)
    signing = SigningKey(derive_key(key), "origin")
    token = mint(signing, "origin", "cache", "/store/", LIFE - timedelta(hours=1), now, uuid4())
    ca = authority.certificate_pem.decode()
    own = {
        "key": base64.b64encode(key).decode(),  # without a newline: the server's wrapper adds it
        "tls.crt": leaf.certificate_pem.decode(),
        "tls.key": leaf.key_pem.decode(),
        "ca.pem": ca,
    }
    objects = (
        _secret(NAMESPACE, NAME, own),
        _secret(release_namespace, TOKEN_SECRET, {"token": token.text}),
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": AUTHORITY, "namespace": release_namespace},
            "data": {"ca.pem": ca},
        },
    )
    kubectl.run("apply", "-f", "-", stdin=json.dumps(_list(*objects)))


def scale(replicas: int) -> None:
    """Stop the origin, or start it again; return when it is so."""
    kubectl.run("-n", NAMESPACE, "scale", f"deployment/{NAME}", f"--replicas={replicas}")
    if replicas:
        wait = ("rollout", "status", f"deployment/{NAME}", "--timeout=120s")
        kubectl.run("-n", NAMESPACE, *wait)
    else:
        gone = ("wait", "--for=delete", "pod", "-l", f"app={NAME}", "--timeout=60s")
        kubectl.run("-n", NAMESPACE, *gone)


def log() -> str:
    """Return what the origin has written: each login, each request."""
    answer = kubectl.run("-n", NAMESPACE, "logs", f"deployment/{NAME}", "-c", NAME, "--tail=-1")
    return answer.decode(errors="replace")


def _namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _list(*objects: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "List", "items": list(objects)}


def _secret(namespace: str, name: str, files: dict[str, str]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": files}


def _config() -> dict[str, Any]:
    metadata = {"name": NAME, "namespace": NAMESPACE}
    data = {"xrootd.cfg": CONFIG, "fill.py": FILL}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _service() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {"selector": {"app": NAME}, "ports": [{"name": "xroot", "port": PORT}]},
    }


def _deployment(image: str) -> dict[str, Any]:
    labels = {"app": NAME}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": _pod(image)},
        },
    }


def _pod(image: str) -> dict[str, Any]:
    config = {"name": "config", "mountPath": "/etc/origin"}
    secret = {"name": "secret", "mountPath": "/secrets"}
    keys = {"name": "keys", "mountPath": "/run/casita"}
    files = {"name": "files", "mountPath": "/files"}
    scratch = [{"name": "own", "mountPath": "/run/xcache"}, {"name": "tmp", "mountPath": "/tmp"}]
    deliver = ["casita.access.deliver", "--from=/secrets", "--to=/run/casita/keys", "--once"]
    serve = ["serve", "--config=/etc/origin/xrootd.cfg", "--key=/run/casita/keys/key"]
    probe = ["python3", "-m", "casita.xcache", "probe", f"--port={PORT}", "--tls"]
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 5,
        "securityContext": {"runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000},
        "initContainers": [
            _container("deliver", image, ["python3", "-m", *deliver], [secret, keys]),
            _container("fill", image, ["python3", "/etc/origin/fill.py"], [config, files]),
        ],
        "containers": [
            {
                **_container(
                    NAME,
                    image,
                    [
                        "python3",
                        "-m",
                        "casita.xcache",
                        *serve,
                        "--key-copy=/run/xcache/macaroon.key",
                    ],
                    [config, keys, files, *scratch],
                ),
                "readinessProbe": {
                    "exec": {"command": probe},
                    "periodSeconds": 2,
                    "timeoutSeconds": 10,
                },
            }
        ],
        "volumes": [
            {"name": "config", "configMap": {"name": NAME}},
            {"name": "secret", "secret": {"secretName": NAME, "defaultMode": 0o440}},
            {"name": "keys", "emptyDir": {"medium": "Memory"}},
            {"name": "own", "emptyDir": {"medium": "Memory"}},
            {"name": "files", "emptyDir": {}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }


def _container(
    name: str, image: str, command: list[str], mounts: list[dict[str, str]]
) -> dict[str, Any]:
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/usr/bin/tini", "--", *command],
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}},
        "volumeMounts": mounts,
    }
