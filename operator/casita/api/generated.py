"""The command line that every generator of a file in the repository shares."""

import argparse
import difflib
import sys
from collections.abc import Sequence
from pathlib import Path


def run_generator(description: str, text: str, arguments: Sequence[str] | None = None) -> int:
    """Print `text`, write it to a file, or compare it with a file; return the exit status.

    Args:
        description: shown by ``--help``.
        text: what the generator made.
        arguments: of the command line; those of the process if absent.
    """
    parser = argparse.ArgumentParser(description=description)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--write", type=Path, metavar="FILE", help="write FILE instead of printing")
    where.add_argument("--check", type=Path, metavar="FILE", help="fail if FILE is not up to date")
    chosen = parser.parse_args(arguments)
    if chosen.check:
        return _check(chosen.check, text)
    if chosen.write:
        chosen.write.parent.mkdir(parents=True, exist_ok=True)
        chosen.write.write_text(text)
    else:
        sys.stdout.write(text)
    return 0


def _check(path: Path, text: str) -> int:
    present = path.read_text() if path.exists() else ""
    if present == text:
        return 0
    difference = difflib.unified_diff(
        present.splitlines(keepends=True), text.splitlines(keepends=True), str(path), "generated"
    )
    sys.stderr.writelines(difference)
    sys.stderr.write(f"{path} is not up to date; write it again with --write\n")
    return 1
