"""The facility's images, built when their content changed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import recipes, servicex_source
from tests.cluster.buildah import DEBIAN_OPTIONS
from tests.cluster.builders import Builder
from tests.cluster.errors import ClusterError
from tests.cluster.locations import REPOSITORY
from tests.cluster.recipes import DEBIAN, FOUNDATION, Recipe
from tests.cluster.steps import Steps

FOLDER = REPOSITORY / "images"
NEVER_RUN = frozenset({"base", "analysis"})
"""Images that only others build on; no node gets them."""
EMBEDDED_ONLY = frozenset({"pause", "coredns"})
"""Images that only the embedded cluster needs; others have their own."""
SERVICEX = frozenset({"objectstore", "postgresql", "rabbitmq", "servicex", "servicex-transformer"})
"""Images of ServiceX, some made of its source, and of what only it stands on."""
SERVICES = SERVICEX | {"keda", "mlflow", "prometheus", "triton"}
"""Images of the services around sessions, built where SERVICES=1 asks for these."""
SERVICE_PROGRAMS = ("keda-operator", "keda-adapter", "versitygw")
"""Go programs in them."""
REFERENCES = REPOSITORY / "build" / "images.json"


def services_wanted() -> bool:
    """Whether the environment asks for the services around sessions."""
    return os.environ.get("SERVICES", "0") not in {"", "0"}


def is_wanted(program: str) -> bool:
    """Whether a Go program is for something that the environment asks for."""
    return program not in SERVICE_PROGRAMS or services_wanted()


@dataclass(frozen=True)
class Image:
    """One built image."""

    name: str
    reference: str


def build(
    executor: Executor,
    builder: Callable[[], Builder],
    program: Callable[[str], Path],
    steps: Steps,
    *,
    without: Collection[str] = (),
) -> dict[str, Future[Image]]:
    """Start building all images one after the other; those that wait for a program come last.

    Args:
        executor: where the builds run; one thread is right, since a build uses all it can get.
        builder: gives who builds; asked in the executor, when its packages are there.
        program: gives a Go program's path, waiting for its build if need be.
        steps: where progress is told.
        without: names of images that are not wanted.
    """
    unwanted = {*without, *left_out(steps)}
    found = {name: recipe for name, recipe in recipes.read(FOLDER).items() if name not in unwanted}
    foundation = executor.submit(lambda: _foundation(builder(), steps))
    futures: dict[str, Future[Image]] = {}

    def make(recipe: Recipe) -> Image:
        below = _below(recipe, foundation, futures)
        return _image(recipe, builder(), below, program, steps)

    # The order of `found`, bases first, is kept among equals.
    for recipe in sorted(found.values(), key=lambda recipe: _waits(recipe, found)):
        futures[recipe.name] = executor.submit(make, recipe)
    return futures


def references(images: dict[str, Image]) -> dict[str, str]:
    """Full names by name, also written to build/images.json."""
    named = {image.name: image.reference for image in images.values()}
    recipes.write_references(REFERENCES, named)
    return named


def known_references() -> dict[str, str]:
    """Full names of the images by name, as the last build wrote them.

    Raises:
        ClusterError: nothing was built yet.
    """
    if not REFERENCES.exists():
        raise ClusterError(f"no {REFERENCES}; run `python -m tests.cluster images` first")
    return dict(json.loads(REFERENCES.read_text()))


def tidy(builder: Builder, images: dict[str, Image]) -> None:
    """Drop what earlier contents left in the builder's store, unless some was not asked for."""
    if services_wanted():
        builder.keep({image.reference for image in images.values()} | {_foundation_reference()})


def left_out(steps: Steps) -> Collection[str]:
    """Names of images that the environment does not ask for, or has no source for."""
    if not services_wanted():
        return SERVICES
    if servicex_source.provide(steps):
        return ()
    steps.say(
        f"images {', '.join(sorted(SERVICEX))}: LEFT OUT; {servicex_source.VARIABLE} names no "
        f"repository of {servicex_source.UPSTREAM}"
    )
    return SERVICEX


def _waits(recipe: Recipe, found: dict[str, Recipe]) -> bool:
    """Whether an image, or one that it needs, holds a Go program."""
    needed = [found[name] for name in recipe.needs if name in found]
    return bool(recipe.programs) or any(_waits(other, found) for other in needed)


def _below(
    recipe: Recipe, foundation: Future[str], futures: dict[str, Future[Image]]
) -> dict[str, str]:
    """Full references of the images that it needs, by build argument."""

    def named(name: str) -> str:
        return foundation.result() if name == FOUNDATION else futures[name].result().reference

    base = {"BASE": named(recipe.base)} if recipe.base is not None else {}
    return base | {argument: named(name) for argument, name in recipe.others.items()}


def _foundation_reference() -> str:
    digest = hashlib.sha256(repr((DEBIAN, DEBIAN_OPTIONS)).encode()).hexdigest()
    return recipes.reference(FOUNDATION, digest[:16])


def _foundation(builder: Builder, steps: Steps) -> str:
    reference = _foundation_reference()
    if not builder.has(reference):
        with steps.step("image debian: making the base"):
            builder.foundation(reference)
    return reference


def _image(
    recipe: Recipe,
    builder: Builder,
    below: dict[str, str],
    program: Callable[[str], Path],
    steps: Steps,
) -> Image:
    for name in recipe.programs:
        _provide(program(name), REPOSITORY / recipes.BINARIES / name)
    others = [below[argument] for argument in recipe.others]
    tag = recipes.content_hash(recipe, REPOSITORY, below.get("BASE"), others)
    reference = recipes.reference(recipe.name, tag)
    if not builder.has(reference):
        with steps.step(f"image {recipe.name}: building"):
            builder.build(recipe, reference, below)
    return Image(recipe.name, reference)


def _provide(program: Path, where: Path) -> None:
    """Put a program into the build context; as a copy, since the cache may be elsewhere."""
    if where.exists() and where.stat().st_mtime_ns == program.stat().st_mtime_ns:
        return
    where.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(program, where)
