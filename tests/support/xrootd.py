"""A client of the cache in a session's place: a pod with XRootD's own programs."""

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from casita.api.names import COMPONENT_LABEL, NOTEBOOK, SESSION_LABEL
from tests.support import kubectl
from tests.support.pods import RECONNECTING, RESTRICTED, UNPRIVILEGED

AUTHORITY = "/tmp/ca.pem"
COPY = """
umask 077
folder=$(mktemp -d)
cat > "$folder/bt_u1000"
test -s "$folder/bt_u1000" || rm "$folder/bt_u1000"
trap '' PIPE
XDG_RUNTIME_DIR=$folder exec xrdcp --silent --force "$@"
"""
"""Copies by the token on standard input; without one if that is empty.

xrdcp writes to a TLS connection whose other end may be gone, and would die of SIGPIPE where it can
connect again; Python, and so all that reads through it, ignores that signal anyway.
"""
RESOLVE = """
import socket, sys, time
deadline = time.monotonic() + 60
while True:
    try:
        socket.getaddrinfo("xcache", 1094)
        break
    except OSError:
        if time.monotonic() > deadline:
            raise
        time.sleep(0.2)
"""
"""Waits until the network's policies know a new pod, and its name service answers."""


@dataclass(frozen=True)
class Client:
    """A pod that reads; as a session's pod if it is in a namespace of sessions."""

    namespace: str
    pod: str

    def read(self, url: str, token: str, *options: str, timeout: float = 120) -> bytes:
        """Read a whole file.

        Raises:
            KubectlError: it was refused or failed; the message has the client's own words.
        """
        return self._copy(token, *options, url, "-", timeout=timeout)

    def fetch(self, url: str, token: str, *options: str, timeout: float = 120) -> None:
        """Read a whole file and throw it away."""
        self._copy(token, *options, url, "/dev/null", timeout=timeout)

    def refused(self, url: str, token: str) -> str:
        """Return the client's words when it is refused; an empty text when it is not."""
        try:
            self.fetch(url, token)
        except kubectl.KubectlError as error:
            return str(error)
        return ""

    def start(self, url: str, token: str, *options: str) -> "subprocess.Popen[bytes]":
        """Begin to read a file to the process' standard output, which is not buffered."""
        command = [*kubectl.command(), *self._arguments(*options, url, "-")]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, bufsize=0, stdin=pipe, stdout=pipe, stderr=pipe)
        assert process.stdin is not None
        process.stdin.write(token.encode())
        process.stdin.close()
        process.stdin = None
        return process

    def _copy(self, token: str, *arguments: str, timeout: float) -> bytes:
        return kubectl.run(*self._arguments(*arguments), stdin=token, timeout=timeout)

    def _arguments(self, *arguments: str) -> list[str]:
        shell = ["sh", "-ec", COPY, "xrdcp", *arguments]
        return ["-n", self.namespace, "exec", "-i", self.pod, "--", *shell]


@contextmanager
def client(namespace: str, image: str, authority: bytes, session: str = "") -> Iterator[Client]:
    """Run a client's pod.

    Args:
        namespace: where.
        image: the cache's image, which has the client too.
        authority: certificates of who may sign a server's.
        session: name of the session that the pod counts to, if any.
    """
    name = f"reader-{uuid4().hex[:8]}"
    labels = {SESSION_LABEL: session, COMPONENT_LABEL: NOTEBOOK} if session else {}
    kubectl.run("apply", "-f", "-", stdin=json.dumps(_pod(namespace, name, image, labels)))
    try:
        wait = ("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=90s")
        kubectl.run("-n", namespace, *wait)
        kubectl.write_file(namespace, name, AUTHORITY, authority)
        kubectl.execute(namespace, name, "python3", "-c", RESOLVE)
        yield Client(namespace, name)
    finally:
        kubectl.run("-n", namespace, "delete", "pod", name, "--now", "--wait=false")


def secret(namespace: str, name: str) -> dict[str, bytes]:
    """Return what a Secret holds."""
    found = json.loads(kubectl.run("-n", namespace, "get", "secret", name, "-o", "json"))
    return {key: base64.b64decode(value) for key, value in found["data"].items()}


def _pod(namespace: str, name: str, image: str, labels: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            **RESTRICTED,
            "containers": [
                {
                    "name": "reader",
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["/usr/bin/tini", "--", "sleep", "infinity"],
                    "env": [
                        {"name": "X509_CERT_FILE", "value": AUTHORITY},
                        *RECONNECTING,
                    ],
                    "resources": {
                        "requests": {"cpu": "20m", "memory": "32Mi"},
                        "limits": {"memory": "512Mi"},
                    },
                    "securityContext": UNPRIVILEGED,
                    "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}],
                }
            ],
            "volumes": [{"name": "scratch", "emptyDir": {}}],
        },
    }
