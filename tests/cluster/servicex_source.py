"""ServiceX's source, put where its images are built from; this repository keeps nothing of it.

CASITA_SERVICEX_SOURCE names a git repository on this machine, bare or not, that has the commit
below. Without it the images that are made of the source are left out.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.cluster.locations import REPOSITORY
from tests.cluster.steps import Steps

VARIABLE = "CASITA_SERVICEX_SOURCE"
UPSTREAM = "ssl-hep/ServiceX"
COMMIT = "f42d1a585ff55941d06df52379ed7881626c7645"
"""What the patches under images/servicex fit, and the locks were made for."""
FOLDER = REPOSITORY / "build" / "images" / "servicex"
WANTED = (
    "LICENSE",
    "code_generator_funcadl_uproot",
    "code_generator_python",
    "code_generator_raw_uproot",
    "did_finder_cernopendata/src",
    "did_finder_rucio/src",
    "did_finder_xrootd/src",
    "servicex_app/migrations",
    "servicex_app/servicex_app",
    "transformer_sidecar/scripts",
    "transformer_sidecar/src",
)
_MARK = ".commit"


def provide(steps: Steps, folder: Path = FOLDER) -> bool:
    """Put the source into the build context if the environment says where it is.

    Returns whether it is there afterwards; one put there before is used without the variable, too.

    Raises:
        ClusterError: the variable names something without the commit.
    """
    mark = folder / _MARK
    if mark.exists() and mark.read_text() == COMMIT:
        return True
    repository = os.environ.get(VARIABLE)
    if not repository:
        return False
    with steps.step(f"ServiceX: taking {COMMIT[:7]} from {repository}"):
        _export(Path(repository), folder)
    return True


def _export(repository: Path, folder: Path) -> None:
    making = folder.with_name(f"{folder.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    command = ["git", "-C", str(repository), "archive", COMMIT, *WANTED]
    git = subprocess.run(command, capture_output=True, check=False)
    if git.returncode != 0:
        raise ClusterError(
            f"{VARIABLE}={repository} gives no commit {COMMIT} of {UPSTREAM}: "
            f"{git.stderr.decode().strip()}"
        )
    with tarfile.open(fileobj=io.BytesIO(git.stdout)) as archive:
        archive.extractall(making, filter="data")
    (making / _MARK).write_text(COMMIT)
    shutil.rmtree(folder, ignore_errors=True)
    making.rename(folder)


def main() -> int:
    """Put the source into the build context; 1 if there is none."""
    try:
        there = provide(Steps())
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if not there:
        print(f"error: set {VARIABLE} to a git repository of {UPSTREAM}", file=sys.stderr)
    return 0 if there else 1


if __name__ == "__main__":
    sys.exit(main())
