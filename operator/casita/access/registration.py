"""Makes fsspec open ``root://`` by casita's file system.

Packages tell fsspec of theirs by an entry point; of two for one name the first found counts, which
between packages in one folder is chance. So the notebook image has a single one, casita's, and the
preloads of Dask register it in every process of a session, whatever its image.
"""

from typing import Final

from fsspec.registry import register_implementation, registry

PROTOCOL: Final = "root"


def register_root() -> None:
    """Let ``root://`` be casita's from now on.

    It is imported at its first use, and XRootD with it; but at once where another one is in use
    already, as in a notebook that has read before it had a cluster.
    """
    name = "casita.access.filesystem.XRootDFileSystem"
    register_implementation(PROTOCOL, name, clobber=True)
    if PROTOCOL in registry:
        from casita.access.filesystem import XRootDFileSystem

        register_implementation(PROTOCOL, XRootDFileSystem, clobber=True)
