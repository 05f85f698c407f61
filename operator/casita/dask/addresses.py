"""Names kept as names, so that a gateway can route by them; and what workers say to dial."""

from distributed import Scheduler, Worker


def keep_names(scheduler: Scheduler) -> None:
    """Let `scheduler` dial workers by the name that they advertise.

    Stock distributed resolves it once, at registration (``Scheduler.add_worker``), and dials the
    number from then on; but a connection carries a server name (SNI) only where a name is dialled.
    """
    stock = scheduler.coerce_address

    def coerce_address(addr: object, resolve: bool = True) -> str:  # noqa: ARG001
        return str(stock(addr, resolve=False))

    scheduler.coerce_address = coerce_address


def advertise(worker: Worker, address: str) -> None:
    """Let a `worker` that listens, but has not registered, be dialled at `address`.

    ``dask worker`` takes an address to be dialled at only with one port to listen at, and workers
    that share a machine have a range of ports (``distributed/cli/dask_worker.py``).

    Args:
        worker: the worker.
        address: a host, or ``tls://host:{port}``, where the braces stand for the worker's port.
    """
    full = address if "://" in address else f"tls://{address}:{{port}}"
    worker.contact_address = worker._address = full.replace("{port}", str(worker.port))
