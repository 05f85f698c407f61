"""A user's server, in a home with what makes it one: ``python -m casita.access.welcome``.

The command of a notebook's pod, before the real one. A home that has no examples gets them; whoever
comes for the first time sees the page that they begin with, and later it is theirs to open, to
change or to delete. ServiceX' client finds its configuration (`casita.access.columns`).
"""

import os
import shutil
import sys
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import Final

from casita.access.columns import link_configuration

SOURCE: Final = Path("/opt/casita/share/examples")
"""Where the image has them; an image of a site may have others there, or none."""
FOLDER: Final = "casita-examples"
FIRST_PAGE: Final = "getting-started.md"
DEFAULT_URL: Final = "JUPYTERHUB_DEFAULT_URL"
"""What a user sees first (``jupyterhub/singleuser/extension.py``)."""


def welcome(home: Path, source: Path, environment: MutableMapping[str, str]) -> None:
    """Copy the examples into `home` unless a folder of theirs is there, and let them be seen first.

    Never raises: a home that is full or cannot be written still has its server.
    """
    target = home / FOLDER
    if target.exists() or not source.is_dir():
        return
    try:
        shutil.copytree(source, target, copy_function=shutil.copyfile)
    except OSError as error:
        print(f"the examples are not in {target}: {error}", file=sys.stderr)
        return
    if (target / FIRST_PAGE).exists():
        environment[DEFAULT_URL] = f"/lab/tree/{FOLDER}/{FIRST_PAGE}"


def main(command: Sequence[str]) -> None:
    """Welcome, and become the server."""
    welcome(Path.home(), SOURCE, os.environ)
    link_configuration(Path.home(), os.environ)
    os.execvp(command[0], list(command))  # noqa: S606 - a list, from the spawner


if __name__ == "__main__":
    main(sys.argv[1:])
