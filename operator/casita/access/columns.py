"""The way from ServiceX' client to the session's configuration of it.

The client looks for ``.servicex`` and ``servicex.yaml`` in the working directory, in those above it
and in the home (``servicex/configuration.py``), and no variable leads it elsewhere. The
configuration is with the session's tokens, in a volume of the pod, and changes when they are
renewed; so the home has a link to it. It is the same for all servers that share the home.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

VARIABLE: Final = "CASITA_SERVICEX"
"""Where the session's configuration is; absent where the site gives none."""

NAMES: Final = (".servicex", "servicex.yaml")
"""Either may be the user's own, which is left alone and found first."""


def link_configuration(home: Path, environment: Mapping[str, str]) -> None:
    """Let ServiceX' client find the session's configuration, unless the home has another one.

    Never raises: a home that is full or cannot be written still has its server.
    """
    target = environment.get(VARIABLE)
    if not target or any(os.path.lexists(home / name) for name in NAMES):
        return
    try:
        (home / NAMES[0]).symlink_to(target)
    except OSError as error:
        print(f"ServiceX' client finds no configuration in {home}: {error}", file=sys.stderr)
