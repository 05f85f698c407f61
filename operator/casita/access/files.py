"""Files that hold secrets: nobody else's at any moment, and whole at every moment.

The readers insist on it. HTCondor takes a token or key only from a file that the process owns and
that has no bits for group or others (``src/condor_utils/secure_file.cpp``); XRootD's client takes
one without such bits (``src/XrdSecztn/XrdSecProtocolztn.cc``).
"""

import os
import tempfile
from pathlib import Path
from typing import Final

PRIVATE_MODES: Final = (0o600, 0o400)


def write_private(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Put a file in place of whatever `path` is, at once; a reader sees the old or the new.

    The file is made beside it under a name that starts with a dot, which HTCondor's search of a
    folder of tokens passes over, and that begins with no bits for group and others. A symbolic link
    at `path` is replaced, not followed.

    Raises:
        OSError: it cannot be written; what was at `path` is still there.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def make_private_folder(path: Path) -> None:
    """Make a folder, and those above it, that only this user may enter; leave one that exists.

    Raises:
        OSError: it cannot be made, or something else has its name.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
    if not path.is_dir():
        raise NotADirectoryError(f"{path}: is not a folder")
