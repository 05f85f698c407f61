"""Free TCP ports on the loopback interface."""

from __future__ import annotations

import random
import socket

from tests.cluster.errors import ClusterError

# Below the range from which Linux takes ports of outgoing connections (32768 and up), so that no
# client grabs a port between the choice and the server's bind.
FIRST, LAST = 20_000, 32_000
TRIES = 200


def free(count: int, *, preferred: int | None = None) -> list[int]:
    """`count` different ports that nobody listens on; `preferred` first, if it is free."""
    found: list[int] = [preferred] if preferred is not None and is_free(preferred) else []
    for candidate in random.sample(range(FIRST, LAST), TRIES):
        if len(found) >= count:
            return found[:count]
        if is_free(candidate):
            found.append(candidate)
    raise ClusterError(f"of {TRIES} ports between {FIRST} and {LAST} fewer than {count} are free")


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:`port`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
