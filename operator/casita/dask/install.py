"""What a notebook does once, so that no worker has to: pip finds and fetches a user's packages."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from casita.dask.bundle import Bundle, PackagesError, pack

PIP_SECONDS: Final = 900.0
_SHOWN_LINES: Final = 15


def make_bundle(requirements: Sequence[str], session: Mapping[str, str], python: str) -> Bundle:
    """Return the packages that are asked for, with those that they need and the session lacks.

    What the session has stays as it is: nothing is fetched that would need another version of it,
    except for the packages that are asked for by name.

    Args:
        requirements: as pip takes them: names with versions, folders, wheels, addresses.
        session: versions of the packages in the session's image, by name.
        python: minor release of the session's Python, as in ``3.11``.

    Raises:
        PackagesError: pip found no way, or it is too much.
    """
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    if own != python:
        raise PackagesError(
            f"Python is {own} here and {python} in the session: no package fits both"
        )
    if not requirements or any(text.startswith("-") for text in requirements):
        raise PackagesError(f"name packages, folders or wheels, not {list(requirements)!r}")
    with tempfile.TemporaryDirectory(prefix="casita-") as place:
        constraints, report = Path(place, "constraints.txt"), Path(place, "report.json")
        constraints.write_text(_constraints(requirements, session))
        options = ("--dry-run", "--ignore-installed", "--report", str(report))
        _pip(*options, "--constraint", str(constraints), "--", *requirements)
        wanted = missing(json.loads(report.read_text()), session)
        target = Path(place, "packages")
        _pip("--no-deps", "--target", str(target), "--", *wanted.values())
        return pack(target, tuple(wanted))


def missing(report: Mapping[str, Any], session: Mapping[str, str]) -> dict[str, str]:
    """Return what pip's report would install and the session lacks: by ``name version``, how to.

    The report's form is pip's "Installation Report", version 1.
    """
    wanted = {}
    for item in report["install"]:
        name, version = item["metadata"]["name"], item["metadata"]["version"]
        if item["requested"] or session.get(canonicalize_name(name)) != version:
            wanted[f"{name} {version}"] = _how_to_get(name, version, item)
    return wanted


def _how_to_get(name: str, version: str, item: Mapping[str, Any]) -> str:
    if not item["is_direct"]:
        return f"{name}=={version}"
    source = item["download_info"]
    if "vcs_info" in source:
        vcs = source["vcs_info"]
        return f"{name} @ {vcs['vcs']}+{source['url']}@{vcs['commit_id']}"
    return f"{name} @ {source['url']}"


def _constraints(requirements: Sequence[str], session: Mapping[str, str]) -> str:
    named = {name for name in map(_name_of, requirements) if name}
    return "".join(
        f"{name}=={version}\n"
        for name, version in sorted(session.items())
        if name not in named and re.fullmatch(r"[A-Za-z0-9._+!-]+", version)
    )


def _name_of(requirement: str) -> str:
    """Return the package that a requirement names; nothing for a folder or a file."""
    try:
        return canonicalize_name(Requirement(requirement).name)
    except InvalidRequirement:
        wheel = re.match(r"([A-Za-z0-9._]+)-[^/]*\.whl$", Path(requirement).name)
        return canonicalize_name(wheel[1]) if wheel else ""


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "install", "--no-input", *arguments]
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,  # what conflicts with what is told on the other one
            text=True,
            timeout=PIP_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise PackagesError(f"pip took more than {PIP_SECONDS:g} s") from error
    if done.returncode:
        told = "\n".join(done.stdout.strip().splitlines()[-_SHOWN_LINES:])
        raise PackagesError(f"pip found no way:\n{told}")
