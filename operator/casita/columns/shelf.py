"""Keeps the object store's disk from filling up: ``python -m casita.columns.shelf``.

Beside the chart's own object store, whose buckets are folders and which makes one for each request.
ServiceX itself never deletes one.
"""

import argparse
import logging
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

logger: Final = logging.getLogger("casita.columns")

ROUND_SECONDS: Final = 600
_REQUEST: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Bucket:
    """What one request delivered.

    Attributes:
        changed: when something of it was written last, in seconds since 1970.
    """

    path: Path
    size: int
    changed: float


def buckets(folder: Path) -> Iterator[Bucket]:
    """Yield the buckets of requests; what else is in the folder is passed over."""
    for path in folder.iterdir():
        if _REQUEST.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            found = [each.lstat() for each in (path, *path.rglob("*"))]
            yield Bucket(
                path, sum(each.st_size for each in found), max(each.st_mtime for each in found)
            )


def over(found: Iterable[Bucket], now: float, max_age: float, max_bytes: int) -> list[Bucket]:
    """Return the buckets to delete: those too old, and of the others the oldest that are too much.

    What was written within the last hour stays, however much it is: somebody may be reading it.
    """
    oldest = sorted(found, key=lambda bucket: bucket.changed)
    room = max_bytes - sum(bucket.size for bucket in oldest)
    chosen = []
    for bucket in oldest:
        age = now - bucket.changed
        if age > max_age or (room < 0 and age > 3600):
            chosen.append(bucket)
            room += bucket.size
    return chosen


def tidy(folder: Path, now: float, max_age: float, max_bytes: int) -> None:
    """Go round once; a bucket that changes meanwhile waits for the next round."""
    try:
        chosen = over(list(buckets(folder)), now, max_age, max_bytes)
    except FileNotFoundError:
        return
    for bucket in chosen:
        shutil.rmtree(bucket.path, ignore_errors=True)
        logger.info("bucket %s, %d bytes, deleted", bucket.path.name, bucket.size)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="casita.columns.shelf", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where the buckets are")
    parser.add_argument("--max-age-seconds", type=int, required=True)
    parser.add_argument("--max-bytes", type=int, required=True)
    options = parser.parse_args(argv)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s", force=True
    )
    while True:
        tidy(options.folder, time.time(), options.max_age_seconds, options.max_bytes)
        time.sleep(ROUND_SECONDS)


if __name__ == "__main__":
    main()
