"""Directories of the data that sessions may read: how they are written, and which holds which.

A path caveat of a macaroon was a plain string prefix before XRootD 5.9.1, so that ``/store`` also
opened ``/storeevil``. With a slash at its end it is a directory in every release.
"""

from typing import Final

_PART: Final = r"[A-Za-z0-9_-][A-Za-z0-9._-]*"
"""One part of a path. It never begins with a dot, so none is ``.`` or ``..``; there is neither a
space, which a macaroon cannot hold, nor anything that a URL would escape."""

DIRECTORY_PATTERN: Final = rf"^/({_PART}/)*({_PART})?$"
"""A directory, with a slash at its end or without."""

PREFIX_PATTERN: Final = rf"^/({_PART}/)*$"
"""A directory with a slash at its end."""

FILE_PATTERN: Final = rf"^/({_PART}/)*{_PART}$"

MAX_PATH: Final = 512


def as_prefix(directory: str) -> str:
    """Return a directory with a slash at its end."""
    return directory if directory.endswith("/") else f"{directory}/"


def within(path: str, grant: str) -> bool:
    """Say whether `path` is the directory `grant` or lies below it; both match the patterns."""
    return as_prefix(path).startswith(as_prefix(grant))
