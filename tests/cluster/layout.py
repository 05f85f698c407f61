"""The image store between builder and node: one OCI image layout for all images.

Layers that images share are in it once, uncompressed, so that writing a changed image costs its
changed layers only, and so does sending it to a node that has the others already.
Format: https://github.com/opencontainers/image-spec, image-layout.md.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import IO, Any

NAME = "org.opencontainers.image.ref.name"


class Layout:
    """A folder in OCI image layout."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> set[str]:
        """Full names of the images in the layout."""
        return set(self._manifests())

    def digest(self, reference: str) -> str:
        """Digest of an image's manifest, ``sha256:...``."""
        return str(self._manifests()[reference]["digest"])

    def blobs(self, reference: str) -> list[str]:
        """Digests of all that an image consists of."""
        manifest = self.digest(reference)
        content = json.loads(self._blob(manifest).read_text())
        return [manifest, content["config"]["digest"], *(x["digest"] for x in content["layers"])]

    def write(self, reference: str, out: IO[bytes], *, without: AbstractSet[str]) -> None:
        """Write an image as a tar archive in OCI layout, leaving out the blobs `without`."""
        index = {"schemaVersion": 2, "manifests": [self._manifests()[reference]]}
        with tarfile.open(fileobj=out, mode="w|") as archive:
            _add(archive, "oci-layout", {"imageLayoutVersion": "1.0.0"})
            _add(archive, "index.json", index)
            for digest in dict.fromkeys(self.blobs(reference)):
                if digest not in without:
                    archive.add(self._blob(digest), arcname=_path(digest))

    def keep(self, references: Collection[str]) -> None:
        """Drop all other images, and the blobs that only they have."""
        kept = {name: entry for name, entry in self._manifests().items() if name in references}
        wanted = {digest for name in kept for digest in self.blobs(name)}
        index = {"schemaVersion": 2, "manifests": list(kept.values())}
        (self._folder / "index.json").write_text(json.dumps(index))
        for blob in (self._folder / "blobs" / "sha256").iterdir():
            if f"sha256:{blob.name}" not in wanted:
                blob.unlink()

    def _manifests(self) -> Mapping[str, dict[str, Any]]:
        index = self._folder / "index.json"
        listed = json.loads(index.read_text())["manifests"] if index.exists() else []
        return {entry["annotations"][NAME]: entry for entry in listed}

    def _blob(self, digest: str) -> Path:
        return self._folder / _path(digest)


def _path(digest: str) -> str:
    algorithm, _, value = digest.partition(":")
    return f"blobs/{algorithm}/{value}"


def _add(archive: tarfile.TarFile, name: str, content: object) -> None:
    data = json.dumps(content).encode()
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))
