"""A user's extra packages as one archive: made once in a notebook, unpacked in each process."""

import hashlib
import importlib
import io
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

MAX_BYTES: Final = 100 * 2**20
"""Of all archives of a session together: each worker fetches them."""

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The first time that an archive can hold: the same files make the same archive."""


class PackagesError(Exception):
    """Packages cannot be brought to the workers; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """An archive, and what is in it as ``name version``."""

    names: tuple[str, ...]
    data: bytes = field(repr=False)
    digest: str


def pack(folder: Path, names: tuple[str, ...]) -> Bundle:
    """Return the files in `folder` as an archive.

    Raises:
        PackagesError: they are too large.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, path.read_bytes())
    data = buffer.getvalue()
    check_size(len(data), names)
    return Bundle(names, data, hashlib.sha256(data).hexdigest())


def check_size(size: int, names: tuple[str, ...]) -> None:
    """Check that an archive may join the others, which have the rest of `size`.

    Raises:
        PackagesError: it may not.
    """
    if size > MAX_BYTES:
        raise PackagesError(
            f"{', '.join(names)}: {size / 2**20:.0f} MiB packed, a session takes "
            f"{MAX_BYTES / 2**20:.0f} MiB in all; ask for an image that has it"
        )


def unpack(data: bytes, digest: str, folder: Path) -> None:
    """Write an archive's files into `folder`, which is made.

    Raises:
        PackagesError: it is not the archive of this digest.
        OSError: there is no room.
    """
    if hashlib.sha256(data).hexdigest() != digest:
        raise PackagesError(f"the archive {digest[:12]} was damaged on its way")
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        archive.extractall(folder)  # names that lead out of the folder are made safe


def make_importable(folder: Path) -> None:
    """Let this process search `folder` first when it imports; modules in use stay as they are."""
    place = str(folder.absolute())
    if place in sys.path:
        sys.path.remove(place)
    sys.path.insert(0, place)
    importlib.invalidate_caches()
