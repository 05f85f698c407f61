"""Tasks whose runs are counted, or that end when a file appears. Workers import it: be light."""

import time
import uuid
from pathlib import Path

from distributed import worker_client

POLL_SECONDS = 0.02


def counted(directory: str, key: str, value: int = 0) -> int:
    """Leave a mark that `key` was run; return `value`."""
    Path(directory, f"{key}.{uuid.uuid4().hex}").touch()
    return value


def gated(directory: str, key: str, value: int = 0) -> int:
    """Leave a mark that `key` was run, and return `value` once the file ``gate`` is there."""
    counted(directory, key)
    gate = Path(directory, "gate")
    while not gate.exists():
        time.sleep(POLL_SECONDS)
    return value


def nested(value: int) -> int:
    """Return `value` by way of a task of this task."""
    with worker_client(timeout=5) as client:
        return int(client.submit(int, value).result())


def runs(directory: Path, key: str) -> int:
    """Return how often `key` was started."""
    return len(list(directory.glob(f"{key}.*")))


def open_gate(directory: Path) -> None:
    (directory / "gate").touch()
