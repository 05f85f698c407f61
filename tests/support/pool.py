"""The facility's HTCondor pool as its users meet it: tokens, and a pod to use them in."""

import base64
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from casita.api.names import COMPONENT_LABEL, NOTEBOOK, SESSION_LABEL
from casita.credentials.idtoken import derive_key
from tests.facility import NAMESPACE as SYSTEM
from tests.support import kubectl
from tests.support.pods import RESTRICTED, UNPRIVILEGED

SCHEDD = "casita@casita.pool"
COLLECTOR = f"casita-htcondor.{SYSTEM}.svc.cluster.local:9618"
ACCESS_POINT = "deploy/casita-htcondor"
POOL, MACHINES = "casita-pool", "deploy/casita-htcondor-ep"
KEY_ID = "casita"
CLIENT = (Path(__file__).parent / "condor_client.py").read_text()
MINUTES = timedelta(minutes=10)


class CondorError(Exception):
    """HTCondor refused; the message is its own."""


def signing_key(secret: str = f"{SYSTEM.partition('-')[0]}-idtoken-key") -> bytes:
    """Return the content of a signing key, as the pool has it."""
    found = kubectl.run("-n", SYSTEM, "get", "secret", secret, "-o", "jsonpath={.data.key}")
    return base64.b64decode(found)


def token(
    key: bytes,
    user: str,
    *,
    key_id: str = KEY_ID,
    life: timedelta = MINUTES,
    issued: datetime | None = None,
    domain: str = "casita.users",
    **claims: Any,
) -> str:
    """Make an IDTOKEN, right or wrong; a claim that is None is left out."""
    now = issued or datetime.now(UTC)
    said = {
        "iss": "casita.pool",
        "sub": f"{user}@{domain}",
        "iat": int(now.timestamp()),
        "exp": int((now + life).timestamp()),
        "jti": secrets.token_hex(16),
        "scope": "condor:/READ condor:/WRITE",
        **claims,
    }
    parts = [{"alg": "HS256", "kid": key_id}, {k: v for k, v in said.items() if v is not None}]
    signed = ".".join(_base64(json.dumps(part).encode()) for part in parts)
    signature = hmac.digest(derive_key(key, KEY_ID), signed.encode(), "sha256")
    return f"{signed}.{_base64(signature)}"


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@dataclass(frozen=True)
class User:
    """Somebody with a token, in a pod."""

    namespace: str
    pod: str
    name: str

    @property
    def folder(self) -> str:
        """Where the token is."""
        return f"/tmp/{self.name}"

    def give(self, text: str) -> None:
        """Replace the user's token, as renewal does."""
        put = 'umask 077; mkdir -p "$0"; cat > "$0/.new"; mv "$0/.new" "$0/token"'
        target = ("-n", self.namespace, "exec", "-i", self.pod, "-c", "tools")
        arguments = (*target, "--", "sh", "-c", put)
        kubectl.run(*arguments, self.folder, stdin=text)

    def do(self, what: str, **request: Any) -> Any:
        """Ask the schedd for something by HTCondor's wheel; see tests/support/condor_client.py.

        Raises:
            CondorError: it was refused.
        """
        command = ("python3", "-c", CLIENT, SCHEDD)
        said = self.run(*command, stdin={"do": what, **request}, container="wheel")
        answer = json.loads(said)
        if "error" in answer:
            raise CondorError(answer["error"])
        return answer["answer"]

    def run(
        self, *command: str, stdin: Mapping[str, Any] | None = None, container: str = "tools"
    ) -> str:
        """Run a command with the user's token."""
        where = f"_condor_SEC_TOKEN_DIRECTORY={self.folder}"
        target = ("-n", self.namespace, "exec", "-i", self.pod, "-c", container)
        text = json.dumps(stdin or {})
        return kubectl.run(*target, "--", "env", where, *command, stdin=text).decode()

    def submit(
        self,
        script: str,
        *,
        spool: bool = True,
        files: Mapping[str, str] | None = None,
        **lines: Any,
    ) -> int:
        """Submit a shell script as a job and return its cluster's number."""
        request = {"lines": lines, "script": script, "files": dict(files or {}), "spool": spool}
        return int(self.do("submit", **request))

    def ad(self, job: int, *names: str) -> dict[str, Any]:
        """Return what the queue says of a job; nothing when it is not there."""
        found = self.do("ads", constraint=f"ClusterId == {job}", names=list(names))
        return dict(found[0]) if found else {}

    def status(self, job: int) -> int | None:
        """Return a job's status: 1 idle, 2 running, 3 removed, 4 completed, 5 held."""
        return self.ad(job, "JobStatus").get("JobStatus")

    def files(self, job: int) -> dict[str, bytes]:
        """Fetch what a job's folder has, as far as it is given."""
        found = self.do("retrieve", constraint=f"ClusterId == {job}")
        return {name: base64.b64decode(content) for name, content in found.items()}


def client_pod(name: str, namespace: str, images: Mapping[str, str]) -> dict[str, Any]:
    """Return a pod of a session that has HTCondor's tools and no configuration of theirs.

    Args:
        name: the pod's name.
        namespace: one of sessions.
        images: references by container: `tools` of the pool's image, `wheel` of the operator's.
    """
    environment = {
        "CONDOR_CONFIG": "/dev/null",
        "HOME": "/tmp",
        "_condor_RELEASE_DIR": "/usr",
        "_condor_COLLECTOR_HOST": COLLECTOR,
        "_condor_SEC_CLIENT_AUTHENTICATION_METHODS": "IDTOKENS",
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {SESSION_LABEL: name, COMPONENT_LABEL: NOTEBOOK},
        },
        "spec": {
            **RESTRICTED,
            "containers": [
                {
                    "name": container,
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["sleep", "infinity"],
                    "env": [{"name": key, "value": v} for key, v in environment.items()],
                    "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
                    "securityContext": UNPRIVILEGED,
                    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                }
                for container, image in images.items()
            ],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    }


def at_access_point(*command: str) -> str:
    """Run a command beside the schedd, as HTCondor's own account."""
    arguments = ("-n", SYSTEM, "exec", ACCESS_POINT, "-c", "condor", "--")
    return kubectl.run(*arguments, *command).decode()


def at_machine(*command: str) -> str:
    """Run a command in the machine's pod, as root."""
    return kubectl.run("-n", POOL, "exec", MACHINES, "-c", "condor", "--", *command).decode()
