"""Who turns recipes into images: buildah, or a container engine."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.cluster.buildah import Buildah
from tests.cluster.commands import call, check
from tests.cluster.errors import ClusterError
from tests.cluster.locations import REPOSITORY
from tests.cluster.packages import IMAGES, find, missing
from tests.cluster.recipes import DEBIAN, FOUNDATION, REGISTRY, Recipe


class Builder(Protocol):
    """Makes images in a store of its own."""

    def has(self, reference: str) -> bool:
        """Whether the store holds an image of that name."""
        ...

    def foundation(self, reference: str) -> None:
        """Make the Debian that `docker.io/library/debian` stands for."""
        ...

    def build(self, recipe: Recipe, reference: str, below: Mapping[str, str]) -> None:
        """Build an image; `below` are the images that it needs, by build argument."""
        ...

    def archive(self, reference: str, file: Path) -> None:
        """Write a whole image to an archive that `kind load image-archive` reads."""
        ...

    def push(self, reference: str, target: str) -> None:
        """Send an image to a registry under the full name `target`."""
        ...

    def keep(self, references: Collection[str]) -> None:
        """Drop casita's images of other names, and the layers that only they have."""
        ...


@dataclass(frozen=True)
class Engine:
    """Builds by docker or podman, which reach the registries by themselves."""

    command: str

    def has(self, reference: str) -> bool:
        """See `Builder`."""
        return call([self.command, "image", "inspect", reference]).returncode == 0

    def foundation(self, reference: str) -> None:
        """See `Builder`."""
        upstream = f"docker.io/library/{FOUNDATION}:{DEBIAN}-slim"
        self._do(["pull", upstream])
        self._do(["tag", upstream, reference])

    def build(self, recipe: Recipe, reference: str, below: Mapping[str, str]) -> None:
        """See `Builder`."""
        options = [f"--build-arg={argument}={image}" for argument, image in below.items()]
        options += ["--tag", reference, "--file", str(recipe.dockerfile)]
        # Older dockers need to be told to understand RUN --mount.
        command = [self.command, "build", *options, str(REPOSITORY)]
        check(call(command, {"DOCKER_BUILDKIT": "1"}))

    def archive(self, reference: str, file: Path) -> None:
        """See `Builder`."""
        self._do(["save", "--output", str(file), reference])

    def push(self, reference: str, target: str) -> None:
        """See `Builder`."""
        self._do(["tag", reference, target])
        self._do(["push", target])

    def keep(self, references: Collection[str]) -> None:
        """See `Builder`."""
        for name in self._do(["images", "--format", "{{.Repository}}:{{.Tag}}"]).split():
            if name.startswith(f"{REGISTRY}/") and name not in references:
                call([self.command, "rmi", name])

    def _do(self, arguments: list[str]) -> str:
        return check(call([self.command, *arguments]))


def choose() -> Builder:
    """The builder for this machine: buildah as root where it is, else a running engine.

    Raises:
        ClusterError: neither is there.
    """
    if os.geteuid() == 0 and not missing(IMAGES):
        return Buildah()
    engine = running_engine()
    if engine is None:
        raise ClusterError(
            "images need a running docker or podman, or, as root on Debian or Ubuntu, the packages "
            f"{' '.join(sorted(set(IMAGES.values())))}"
        )
    return Engine(engine)


def running_engine() -> str | None:
    """`docker` or `podman`, whichever answers; a command alone may have no daemon behind it."""
    for command in ("docker", "podman"):
        if find(command) and call([command, "info"]).returncode == 0:
            return command
    return None
