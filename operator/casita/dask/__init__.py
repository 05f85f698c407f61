"""What runs inside a session's Dask processes: preloads of scheduler, worker and client.

And `Cluster`, with which a notebook asks for workers. Built on stock distributed of one pinned
version: some of its calls used here (drain, addresses, listeners) are semi-private, and the tests
run the real processes.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from casita.dask.cluster import Cluster

__all__ = ["Cluster"]


def __getattr__(name: str) -> Any:
    # Late: the preloads and the operator's tests need none of what a notebook does.
    if name == "Cluster":
        from casita.dask.cluster import Cluster

        return Cluster
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
