"""A control plane without nodes: etcd, API server and controller manager on the loopback.

Ready in seconds, without root or a network namespace: the bed of tests that need the real CRD
validation, server-side apply, RBAC, admission policies, audit and garbage collection.

    with ControlPlane(audit=True) as plane:
        plane.kubectl("apply", "-f", "charts/casita/charts/operator/crds")
        alice = plane.user_kubeconfig("alice", ["physicists"])
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from tests.cluster import components, kubeconfig, packages, ports, process, wait
from tests.cluster.api import Api
from tests.cluster.binaries import binary
from tests.cluster.kubectl import Kubectl
from tests.cluster.steps import Steps

START_SECONDS = 60.0
AUDIT_POLICY: Mapping[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}
"""One audit event per answered request, without bodies."""

CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "cronjob-controller",
    "deployment-controller",
    "disruption-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "replicaset-controller",
    "resourcequota-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "statefulset-controller",
    "validatingadmissionpolicy-status-controller",
)
"""Those that mean something without nodes; each further one delays the start, because the
controller manager makes their service accounts at 20 requests a second."""


class ControlPlane:
    """etcd, kube-apiserver and kube-controller-manager, stopped when the block ends.

    If this process dies, so do they.

    Attributes:
        folder: certificates, kubeconfigs, data and logs; removed at the end unless given.
        url: address of the API server, on 127.0.0.1 and a free port.
        kubeconfig: an admin's kubeconfig.
        ca_file: certificate authority of the API server.
        audit_log: JSON lines of audit.k8s.io/v1 Events; written only with `audit`.
        logs: the log file of each component.
    """

    def __init__(
        self,
        *,
        audit: bool | Mapping[str, Any] = False,
        manifests: Sequence[Path] = (),
        api_server_flags: Sequence[str] = (),
        controller_manager: bool = True,
        controller_manager_flags: Sequence[str] = (),
        folder: Path | None = None,
        steps: Steps | None = None,
    ) -> None:
        """Prepare; nothing is started before the block is entered.

        Args:
            audit: write `audit_log`, by `AUDIT_POLICY` or by a policy of the caller's.
            manifests: files or folders that are applied before the controller manager starts.
                CRDs belong here: the garbage collector looks for new kinds every 30 s only.
            api_server_flags: further flags of kube-apiserver.
            controller_manager: start the controllers; without them no service accounts are made
                and nothing is collected.
            controller_manager_flags: further flags of kube-controller-manager.
            folder: an existing, empty folder to use and keep, instead of a temporary one.
            steps: where progress is told; silent by default.
        """
        self._audit_policy = AUDIT_POLICY if audit is True else audit or None
        self._manifests = tuple(manifests)
        self._api_server_flags = tuple(api_server_flags)
        self._with_controllers = controller_manager
        self._controller_manager_flags = tuple(controller_manager_flags)
        self._temporary = folder is None
        self._given_folder = folder
        self._steps = steps or Steps(quiet=True)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._watchdog: subprocess.Popen[bytes] | None = None
        self.logs: dict[str, Path] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything and return when requests are answered and controllers work.

        Raises:
            ClusterError: a program is missing and cannot be had, or a component ended; the
                message has the end of its log.
        """
        packages.ensure(packages.CONTROL_PLANE, self._steps)
        programs = binary("kubernetes", self._steps).parent
        self.folder = self._given_folder or Path(tempfile.mkdtemp(prefix="casita-control-plane-"))
        port, *others = ports.free(4)
        self._settings = components.Settings(
            programs, self.folder, "127.0.0.1", "127.0.0.1", port, *others
        )
        self._authority = components.write_credentials(self._settings, components.USERS)
        self.url, self.ca_file = self._settings.url, self._settings.ca_file
        self.kubeconfig = self._settings.kubeconfig("admin")
        self.audit_log = self.folder / "audit.jsonl"
        self._api = Api(self.kubeconfig)
        self._watchdog = self._start_watchdog()
        try:
            self._launch("etcd", components.etcd(self._settings))
            self.start_api_server()
            for path in self._manifests:
                self.kubectl("apply", "--server-side", "--filename", str(path))
            if self._with_controllers:
                self.start_controller_manager()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything and remove the temporary folder; harmless when nothing runs."""
        for name in list(self._running):
            self._end(name, gently=False)
        if self._watchdog is not None:
            self._watchdog.communicate()  # closes its input, which ends it
            self._watchdog = None
            if self._temporary:
                shutil.rmtree(self.folder)

    def start_api_server(self, flags: Sequence[str] | None = None) -> None:
        """Start the API server, with other extra flags if given, and wait until it is ready."""
        if flags is not None:
            self._api_server_flags = tuple(flags)
        # Without nodes nothing needs the Endpoints of the `kubernetes` Service, for which a
        # loopback address is not allowed.
        own = ["--endpoint-reconciler-type=none", *self._audit_flags(), *self._api_server_flags]
        self._launch("kube-apiserver", components.api_server(self._settings, *own))
        self._await("kube-apiserver", "ready", lambda: self._api.status("/readyz") == 200)

    def stop_api_server(self, *, gently: bool = False) -> None:
        """End the API server: at once, or `gently`, when watchers get up to 10 s to leave."""
        self._end("kube-apiserver", gently=gently)

    def start_controller_manager(self) -> None:
        """Start the controllers and wait until they have done their first work."""
        flags = [f"--controllers={','.join(CONTROLLERS)}", *self._controller_manager_flags]
        command = components.controller_manager(self._settings, *flags)
        self._launch("kube-controller-manager", command)
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        self._await("kube-controller-manager", "working", lambda: self._api.status(account) == 200)

    def stop_controller_manager(self) -> None:
        """End the controllers."""
        self._end("kube-controller-manager", gently=False)

    def user_kubeconfig(self, user: str, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig for a user with a certificate of its own; RBAC says what it may do."""
        folder = Path(tempfile.mkdtemp(prefix="user-", dir=self.folder))
        return kubeconfig.write(
            folder / "kubeconfig",
            server=self.url,
            authority=self._authority.pair.certificate,
            client=self._authority.client(user, groups),
            user=user,
        )

    def kubectl(self, *arguments: str, stdin: str = "", as_user: Path | None = None) -> str:
        """Run kubectl as admin, or by another kubeconfig, and return its output.

        Raises:
            ClusterError: it failed; the message is what it wrote to standard error.
        """
        run = Kubectl(self._settings.programs / "kubectl", as_user or self.kubeconfig)
        return run(*arguments, stdin=stdin)

    def audit_events(self) -> Iterator[dict[str, Any]]:
        """The audit events so far, oldest first."""
        if self.audit_log.exists():
            with self.audit_log.open() as lines:
                # The last line may be half written.
                yield from (json.loads(line) for line in lines if line.endswith("\n"))

    def _audit_flags(self) -> list[str]:
        if self._audit_policy is None:
            return []
        policy = self.folder / "audit-policy.yaml"
        policy.write_text(yaml.safe_dump(dict(self._audit_policy)))
        return [
            f"--audit-policy-file={policy}",
            f"--audit-log-path={self.audit_log}",
            "--audit-log-mode=blocking",  # an event is in the file before its answer is sent
            "--audit-log-maxsize=10240",
        ]

    def _start_watchdog(self) -> subprocess.Popen[bytes]:
        """Lead a process group, and kill it when this process closes the pipe or dies."""
        return subprocess.Popen(
            ["sh", "-c", "read -r _; kill -KILL 0"], stdin=subprocess.PIPE, process_group=0
        )

    def _launch(self, name: str, command: list[str]) -> None:
        self.logs[name] = self.folder / f"{name}.log"
        with self.logs[name].open("ab") as log:
            self._running[name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                process_group=self._watchdog.pid if self._watchdog else 0,
            )

    def _end(self, name: str, *, gently: bool) -> None:
        running = self._running.pop(name)
        if gently:
            running.terminate()
        else:
            running.kill()
        try:
            running.wait(process.STOP_SECONDS)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()

    def _await(self, name: str, what: str, condition: Callable[[], bool]) -> None:
        def ended() -> str | None:
            for component, running in self._running.items():
                if (status := running.poll()) is not None:
                    last = process.tail(self.logs[component], 15)
                    return f"{component} ended with status {status}:\n{last}"
            return None

        wait.until(condition, f"{name}: {what}", seconds=START_SECONDS, every=0.05, failed=ended)
        self._steps.say(f"{name}: {what}")
