"""Names of a hub's users and servers, as sessions have them.

JupyterHub takes nearly any text as the name of a user (``alice.smith@example.org``); the user of a
session is the local part of an identity that HTCondor, XRootD and POSIX accept as it is. What is
not such a name gets a readable beginning and a hash over all of it. Two names never become one: a
name that looks as if it had such a hash gets one, too.
"""

import base64
import hashlib
import re
from typing import Final

from casita.api.names import RESERVED_USERS, USER_PATTERN

MAX_USER: Final = 32
"""Characters of a session's user (`USER_PATTERN`)."""

MAX_PART: Final = 40
"""Characters of each part of a session's name."""

SEPARATOR: Final = "--"
"""Between user and server in the name of a session; in neither of them."""

_DIGEST: Final = 10
_HASHED: Final = re.compile(rf"-[a-z2-7]{{{_DIGEST}}}$")
_LABEL: Final = re.compile(r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")


def session_user(name: str) -> str:
    """Return the user of the sessions of the hub's user `name`: that name, if it can be one."""
    taken = name in RESERVED_USERS or _HASHED.search(name)
    if re.fullmatch(USER_PATTERN, name) and not taken:
        return name
    return _hashed(name, MAX_USER)


def session_name(name: str, server: str = "") -> str:
    """Return the name of the session of a server.

    Args:
        name: the hub's user.
        server: name of the server; empty for a user's default one.
    """
    user = session_user(name)
    head = user if _is_part(user) else _hashed(user, MAX_PART)
    if not server:
        return head
    plain = _is_part(server) and not _HASHED.search(server)
    return f"{head}{SEPARATOR}{server if plain else _hashed(server, MAX_PART)}"


def _is_part(text: str) -> bool:
    return bool(_LABEL.match(text)) and SEPARATOR not in text and len(text) <= MAX_PART


def _hashed(text: str, length: int) -> str:
    digest = base64.b32encode(hashlib.sha256(text.encode()).digest()).decode().lower()[:_DIGEST]
    room = length - _DIGEST - 1
    readable = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if not readable[:1].isalpha():
        readable = f"u-{readable}"
    return f"{readable[:room].strip('-')}-{digest}"
