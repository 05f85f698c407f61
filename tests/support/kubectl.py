"""kubectl on the cluster that is up."""

import subprocess
from pathlib import Path

from tests.cluster.access import kubeconfig, kubectl


class KubectlError(Exception):
    """kubectl failed; the message is its own."""


def command() -> list[str]:
    """The beginning of every command line: kubectl, on this cluster."""
    return [str(kubectl()), "--kubeconfig", str(kubeconfig())]


def run(*arguments: str, stdin: str | bytes = b"", timeout: float = 300.0) -> bytes:
    """Run kubectl and return what it printed.

    Raises:
        KubectlError: it failed; the message has its arguments and its error.
    """
    line = [*command(), *arguments]
    data = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(line, input=data, capture_output=True, check=False, timeout=timeout)
    if done.returncode:
        said = (done.stderr + done.stdout).decode(errors="replace")
        raise KubectlError(f"kubectl {' '.join(arguments[:6])}: {said[-4000:]}")
    return done.stdout


def execute(namespace: str, pod: str, *command: str, timeout: float = 300.0) -> str:
    """Run a command in a pod and return its standard output."""
    answer = run("-n", namespace, "exec", pod, "--", *command, timeout=timeout)
    return answer.decode()


def write_file(namespace: str, pod: str, path: str, content: bytes) -> None:
    """Put a file into a pod."""
    arguments = ("-n", namespace, "exec", "-i", pod, "--")
    run(*arguments, "sh", "-c", 'cat > "$0"', path, stdin=content)


def read_file(namespace: str, pod: str, path: str) -> bytes:
    """Get a file out of a pod."""
    return run("-n", namespace, "exec", pod, "--", "cat", path)


def fetch(namespace: str, pod: str, folder: str, target: Path) -> list[Path]:
    """Copy the files of a pod's folder to `target`; return them."""
    names = execute(namespace, pod, "ls", folder).split()
    target.mkdir(parents=True, exist_ok=True)
    for name in names:
        (target / name).write_bytes(read_file(namespace, pod, f"{folder}/{name}"))
    return [target / name for name in names]
