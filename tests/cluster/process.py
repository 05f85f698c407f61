"""Processes that are started, recorded, watched and stopped by their ids."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.cluster import wait
from tests.cluster.packages import search_path

STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Process:
    """A process by id and start time, so that a recycled id is never taken for it."""

    name: str
    pid: int
    started: int
    """Start time in clock ticks since boot (proc(5), /proc/pid/stat, field 22)."""
    log: str

    def alive(self) -> bool:
        """Whether the process runs; a zombie does not."""
        return start_time(self.pid) == self.started

    def kill(self) -> None:
        """Kill the process and wait for its end."""
        self._signal(signal.SIGKILL)
        wait.until(
            lambda: not self.alive(), f"{self.name}: ended", seconds=STOP_SECONDS, every=0.02
        )

    def last_lines(self, count: int = 15) -> str:
        """The end of the process's log."""
        return tail(Path(self.log), count)

    def _signal(self, number: signal.Signals) -> None:
        if self.alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


def start(name: str, command: Sequence[str], log: Path) -> Process:
    """Start a process that outlives this one, in a session of its own, writing to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    # Not by `subprocess`, whose objects want to see their process's end.
    pid = os.posix_spawnp(
        command[0],
        list(command),
        {**os.environ, "PATH": search_path()},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    return Process(name, pid, start_time(pid) or 0, str(log))


def succeeds(command: Sequence[str]) -> bool:
    """Whether a quick command ends with status 0; what it prints is dropped."""
    environment = {**os.environ, "PATH": search_path()}
    return (
        subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0
    )


def start_time(pid: int) -> int | None:
    """Start time of a living process in clock ticks since boot; None if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command's name, in parentheses, may hold spaces; what follows it does not.
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in "ZX" else int(fields[18])


def children(pid: int) -> list[int]:
    """Ids of a process's children."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == pid:
                    found.append(int(entry.name))
    return found


def name_of(pid: int) -> str | None:
    """The name of a process's program (proc(5), /proc/pid/comm); None if there is no process."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None


def tail(log: Path, count: int) -> str:
    """The last `count` lines of a file, or a word about why there are none."""
    if not log.exists():
        return f"(no {log})"
    return "\n".join(log.read_text(errors="replace").splitlines()[-count:])


class Register:
    """A folder with one file for each process that was started."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, process: Process) -> None:
        """Remember a process."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / f"{process.name}.json").write_text(json.dumps(asdict(process)))

    def all(self) -> list[Process]:
        """The processes on record, running or not."""
        if not self._folder.is_dir():
            return []
        return [
            Process(**json.loads(path.read_text())) for path in sorted(self._folder.glob("*.json"))
        ]
