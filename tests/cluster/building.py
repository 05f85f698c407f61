"""Building all images without a cluster."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from tests.cluster import builders, images, packages
from tests.cluster.binaries import PROGRAMS, binary
from tests.cluster.recipes import REGISTRY
from tests.cluster.steps import Steps


def build_all(steps: Steps, *, push: str | None) -> dict[str, str]:
    """Build every image whose content changed; return their full names by name.

    Args:
        steps: where progress is told.
        push: registry and folder to which they are sent as well; the names are then those there.

    Raises:
        ClusterError: a build failed, or nothing here can build images.
    """
    if os.geteuid() == 0 and builders.running_engine() is None:
        packages.ensure(packages.IMAGES, steps)
    builder = builders.choose()
    with ThreadPoolExecutor(1) as compiling, ThreadPoolExecutor(1) as imaging:
        wanted = [name for name in PROGRAMS if images.is_wanted(name)]
        programs = {name: compiling.submit(binary, name, steps) for name in wanted}
        built = images.build(imaging, lambda: builder, lambda name: programs[name].result(), steps)
        ready = {name: image.result() for name, image in built.items()}
    images.tidy(builder, ready)
    if push is None:
        return images.references(ready)
    sent = {}
    for name, image in ready.items():
        target = image.reference.replace(REGISTRY, push.rstrip("/"), 1)
        with steps.step(f"image {name}: sending to {target}"):
            builder.push(image.reference, target)
        sent[name] = images.Image(name, target)
    return images.references(sent)
