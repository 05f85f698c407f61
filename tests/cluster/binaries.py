"""Go programs that no Debian package has, built from source modules and cached.

Each folder under tests/cluster/go is a Go module with its go.sum committed, so a build fetches
exactly what was reviewed. Binaries are kept by a hash of everything that decides their content;
a warm start builds nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.cluster.locations import REPOSITORY, cache
from tests.cluster.packages import find
from tests.cluster.steps import Steps

MODULES = REPOSITORY / "tests" / "cluster" / "go"
KUBERNETES_VERSION = "v1.34.4"
REQUIRED_GO = (1, 26)
BUILD_SECONDS = 3600


@dataclass(frozen=True)
class Program:
    """One Go module and what to build of it."""

    name: str
    package: str = "."
    module: str = field(default="", repr=False)
    """Folder of the Go module, if that is not named like the program."""
    variables: tuple[str, ...] = ()
    """Values for string variables of the program, as the linker's -X takes them."""
    links: tuple[str, ...] = ()
    """Names by which the binary is called besides its own."""

    @property
    def folder(self) -> Path:
        """Folder of its Go module."""
        return MODULES / (self.module or self.name)


_VERSION = "k8s.io/component-base/version"
PROGRAMS = {
    program.name: program
    for program in (
        Program(
            "kubernetes",
            # Without these the API server calls itself v0.0.0-master, which charts refuse.
            variables=(
                f"{_VERSION}.gitVersion={KUBERNETES_VERSION}",
                f"{_VERSION}.gitMajor={KUBERNETES_VERSION.removeprefix('v').split('.')[0]}",
                f"{_VERSION}.gitMinor={KUBERNETES_VERSION.split('.')[1]}",
            ),
            links=(
                "kube-apiserver",
                "kube-controller-manager",
                "kube-scheduler",
                "kube-proxy",
                "kubelet",
                "kubectl",
            ),
        ),
        Program("pause"),
        Program("coredns"),
        Program("kube-router"),
        Program("helm", package="helm.sh/helm/v3/cmd/helm"),
        Program("traefik", package="github.com/traefik/traefik/v3/cmd/traefik"),
        Program("versitygw", package="github.com/versity/versitygw/cmd/versitygw"),
        Program("keda-adapter", package="github.com/kedacore/keda/v2/cmd/adapter", module="keda"),
        Program("keda-operator", package="github.com/kedacore/keda/v2/cmd/operator", module="keda"),
    )
}
"""In the order in which a cluster needs them."""


def binary(name: str, steps: Steps) -> Path:
    """The path of a program by its own name or by one of its links; built if need be.

    Raises:
        ClusterError: there is no Go compiler of the required version, or the build failed.
    """
    program = next(p for p in PROGRAMS.values() if name == p.name or name in p.links)
    compiler = go()
    folder = cache() / "programs" / f"{program.name}-{key(program, compiler.version)}"
    if not (folder / name).exists():
        with _locked(program.name):
            if not (folder / name).exists():
                _build(program, compiler, folder, steps)
    return folder / name


@dataclass(frozen=True)
class Compiler:
    """A Go compiler on this machine."""

    path: str
    version: str


def go() -> Compiler:
    """The Go compiler.

    Raises:
        ClusterError: none is on PATH, or it is too old.
    """
    path = find("go")
    wanted = ".".join(map(str, REQUIRED_GO))
    if path is None:
        raise ClusterError(f"no Go compiler on PATH; install Go {wanted} or later (command: go)")
    version = _run([path, "env", "GOVERSION"], cwd=MODULES / "pause").strip()
    if not new_enough(version):
        raise ClusterError(f"{path} is {version}; Go {wanted} or later is needed")
    return Compiler(path, version)


def new_enough(version: str) -> bool:
    """Whether a compiler that calls itself e.g. ``go1.26.8`` can build the modules."""
    match = re.match(r"go(\d+)\.(\d+)", version)
    # A compiler built from a development branch has no number and is newer than any release.
    return match is None or (int(match[1]), int(match[2])) >= REQUIRED_GO


def key(program: Program, go_version: str) -> str:
    """Hash of all that decides a binary's content."""
    digest = hashlib.sha256(repr((program, go_version, os.uname().machine)).encode())
    folder = program.folder
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(f"\0{path.relative_to(folder)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def module_folder(folder: str, module: str) -> Path:
    """Folder with the source of a module that the module in `folder` requires."""
    compiler = go()
    where = MODULES / folder
    _run([compiler.path, "mod", "download", module], cwd=where)
    return Path(_run([compiler.path, "list", "-m", "-f", "{{.Dir}}", module], cwd=where).strip())


def _build(program: Program, compiler: Compiler, folder: Path, steps: Steps) -> None:
    making = folder.with_name(f"{folder.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    flags = " ".join(["-s", "-w", *(f"-X {variable}" for variable in program.variables)])
    with steps.step(f"{program.name}: building from source"):
        _run(
            [
                compiler.path,
                "build",
                "-mod=readonly",
                "-trimpath",
                "-buildvcs=false",
                "-ldflags",
                flags,
                "-o",
                str(making / program.name),
                program.package,
            ],
            cwd=program.folder,
        )
    for link in program.links:
        (making / link).symlink_to(program.name)
    making.rename(folder)
    # The one before stays for a checkout at another commit.
    kept = re.compile(rf"{program.name}-[0-9a-f]{{16}}")
    builds = [path for path in folder.parent.iterdir() if kept.fullmatch(path.name)]
    for old in sorted(builds, key=lambda path: path.stat().st_mtime)[:-2]:
        shutil.rmtree(old)


def _run(command: list[str], *, cwd: Path) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        # A user's own GOFLAGS or go.work must not change what is built here.
        env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=BUILD_SECONDS,
    )
    if done.returncode != 0:
        tail = "\n".join(done.stderr.splitlines()[-20:])
        raise ClusterError(f"`{' '.join(command)}` in {cwd} failed:\n{tail}")
    return done.stdout


@contextmanager
def _locked(name: str) -> Iterator[None]:
    """Let one process at a time build a program; the others then find it built."""
    folder = cache() / "programs"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
