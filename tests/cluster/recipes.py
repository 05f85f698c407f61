"""What the images are made of: Dockerfiles, what they build on and copy, and their content hash.

A Dockerfile says all of it in its own words: ``ARG BASE=casita/base`` names the image below it,
a further ``ARG OTHER=casita/other`` one that it copies from, ``COPY build/images/bin/traefik ...``
asks for a Go program. Every build context is the repository's root.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path

from tests.cluster.errors import ClusterError

REGISTRY = "localhost/casita"
DEBIAN = "trixie"
FOUNDATION = "debian"
"""The Debian that stands in for docker.io/library/debian where no registry is reachable."""
BINARIES = Path("build/images/bin")
IGNORED = "__pycache__"
"""Folders that .dockerignore keeps out of the context."""


@dataclass(frozen=True)
class Recipe:
    """One folder under images/."""

    name: str
    dockerfile: Path
    base: str | None
    """Name of the image that it builds on: another recipe or `FOUNDATION`; None for scratch."""
    sources: tuple[str, ...]
    """What it copies from the context, relative to the repository's root."""
    others: Mapping[str, str] = field(default_factory=dict)
    """Names of the other images that it copies from, by build argument."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of all images that are there before it."""
        return tuple(name for name in (self.base, *self.others.values()) if name is not None)

    @property
    def programs(self) -> tuple[str, ...]:
        """Go programs among what it copies."""
        prefix = f"{BINARIES}/"
        return tuple(s.removeprefix(prefix) for s in self.sources if s.startswith(prefix))


def read(folder: Path) -> dict[str, Recipe]:
    """The recipes under `folder` by name, each after what it builds on and copies from.

    Raises:
        ClusterError: a Dockerfile needs an image that has no recipe.
    """
    recipes = {path.parent.name: parse(path) for path in sorted(folder.glob("*/Dockerfile"))}
    for recipe in recipes.values():
        for name in recipe.needs:
            if name not in {FOUNDATION, *recipes}:
                raise ClusterError(
                    f"{recipe.dockerfile} builds on casita/{name}, but there is no "
                    f"{folder / name / 'Dockerfile'}"
                )
    graph = {name: recipes.keys() & set(recipe.needs) for name, recipe in recipes.items()}
    return {name: recipes[name] for name in TopologicalSorter(graph).static_order()}


def parse(dockerfile: Path) -> Recipe:
    """Read one Dockerfile.

    Raises:
        ClusterError: its base is neither scratch, nor casita/<name>, nor a Debian.
    """
    instructions = list(_instructions(dockerfile.read_text()))
    sources = tuple(
        source
        for word, rest in instructions
        for source in (_copied(rest) if word in {"COPY", "ADD"} else _mounted(rest))
    )
    base = _base(dockerfile, instructions)
    return Recipe(dockerfile.parent.name, dockerfile, base, sources, _others(instructions))


def content_hash(
    recipe: Recipe, repository: Path, base: str | None, others: Iterable[str] = ()
) -> str:
    """Hash of all that decides an image's content: 16 hexadecimal digits.

    Args:
        recipe: the image.
        repository: root of the build context.
        base: full reference of the image that it builds on.
        others: full references of the images that it copies from.

    Raises:
        ClusterError: something it copies does not exist.
    """
    digest = hashlib.sha256("".join(f"{name}\0" for name in (base, *others)).encode())
    digest.update(recipe.dockerfile.read_bytes())
    for source in recipe.sources:
        for path in _files(source, recipe, repository):
            mode = path.stat().st_mode & 0o111
            digest.update(f"\0{path.relative_to(repository)}\0{mode}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def reference(name: str, tag: str) -> str:
    """Full name of an image."""
    return f"{REGISTRY}/{name}:{tag}"


def write_references(path: Path, references: Mapping[str, str]) -> None:
    """Keep the images' full names in a JSON file, for the chart's values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dict(sorted(references.items())), indent=2) + "\n")


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word:
            yield word.upper(), rest.strip()


def _base(dockerfile: Path, instructions: Iterable[tuple[str, str]]) -> str | None:
    words = dict(reversed(list(instructions)))  # the first of each kind
    if words.get("FROM") == "scratch":
        return None
    default = words.get("ARG", "")
    ours = _ours(default)
    if ours and ours[0] == "BASE":
        return ours[1]
    if re.fullmatch(rf"BASE=docker\.io/library/debian:{DEBIAN}-slim", default):
        return FOUNDATION
    raise ClusterError(
        f"{dockerfile}: its first ARG must be BASE=casita/<name> or "
        f"BASE=docker.io/library/debian:{DEBIAN}-slim, or it must be FROM scratch; got {default!r}"
    )


def _others(instructions: Iterable[tuple[str, str]]) -> dict[str, str]:
    found = [_ours(rest) for word, rest in instructions if word == "ARG"]
    return {argument: name for argument, name in filter(None, found) if argument != "BASE"}


def _ours(default: str) -> tuple[str, str] | None:
    """Return the build argument and the image of ours that it names, if it names one."""
    match = re.fullmatch(r"(\w+)=(?:.*/)?casita/([a-z0-9-]+)(?::[\w.-]+)?", default)
    return (match[1], match[2]) if match else None


def _copied(rest: str) -> list[str]:
    words = shlex.split(rest)
    flags = [word for word in words if word.startswith("--")]
    if any(flag.startswith("--from=") for flag in flags):
        return []
    return [_clean(word) for word in words[len(flags) : -1]]


def _mounted(rest: str) -> list[str]:
    mounts = re.findall(r"--mount=(\S*type=bind\S*)", rest)
    options = [dict(part.partition("=")[::2] for part in mount.split(",")) for mount in mounts]
    return [_clean(option.get("source", "")) for option in options if "from" not in option]


def _clean(source: str) -> str:
    return source.removeprefix("./").strip("/")


def _files(source: str, recipe: Recipe, repository: Path) -> list[Path]:
    found = sorted(repository.glob(source)) if source else [repository]
    if not found:
        raise ClusterError(f"{recipe.dockerfile} copies {source}, which is not in {repository}")
    inside = [path for top in found for path in ([top] if top.is_file() else top.rglob("*"))]
    return sorted(path for path in set(inside) if path.is_file() and IGNORED not in path.parts)
