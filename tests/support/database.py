"""A PostgreSQL server of the test's own, by Debian's package, which may be taken away and back."""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster import ports

USER = "casita"


@dataclass(frozen=True)
class Database:
    """The server, as its own user sees it: it refuses to be root's."""

    programs: Path
    folder: Path
    port: int

    @property
    def url(self) -> str:
        """Its database ``hub``, as a hub is told of it."""
        return f"postgresql+psycopg://{USER}@127.0.0.1:{self.port}/hub"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-p {self.port} -k {self.folder} -h 127.0.0.1"
        self.run("pg_ctl", *self._where, "-w", "-o", options, "-l", f"{self.folder}/log", "start")

    def kill(self) -> None:
        """End it without a word to anybody."""
        self.run("pg_ctl", *self._where, "-m", "immediate", "stop")

    @property
    def _where(self) -> tuple[str, str]:
        return "-D", f"{self.folder}/data"

    def run(self, program: str, *arguments: str) -> None:
        """Run one of its programs."""
        command = ["runuser", "-u", "postgres", "--", str(self.programs / program), *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder)


@contextlib.contextmanager
def database() -> Iterator[Database]:
    """Run one; the test is left out, loudly, where Debian's `postgresql` is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("LEFT OUT: a hub on PostgreSQL; install Debian's package postgresql to try it")
    with tempfile.TemporaryDirectory(prefix="casita-database-") as name:
        folder = Path(name)
        folder.chmod(0o777)  # its user is another; it makes what it needs below
        (port,) = ports.free(1)
        made = Database(found[-1].parent, folder, port)
        made.run("initdb", "-D", f"{folder}/data", "--auth=trust", "-U", USER)
        made.start()
        try:
            made.run("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", USER, "hub")
            yield made
        finally:
            made.kill()
