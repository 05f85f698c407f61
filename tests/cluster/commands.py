"""Running other programs to their end."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence

from tests.cluster.errors import ClusterError
from tests.cluster.packages import search_path

SECONDS = 3600
"""No build takes longer than this."""


def call(
    command: list[str], environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and keep what it prints."""
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
        env={**os.environ, "PATH": search_path(), **(environment or {})},
    )


def check(done: subprocess.CompletedProcess[str], shown: Sequence[str] | None = None) -> str:
    """The output of a command.

    Args:
        done: the command that was run.
        shown: the command as the user knows it, if that is shorter.

    Raises:
        ClusterError: it failed; the message has the end of what it printed.
    """
    if done.returncode != 0:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-25:])
        raise ClusterError(f"`{' '.join(shown or done.args)}` failed:\n{last}")
    return done.stdout
