"""``casita deliver``: files of mounted Secrets, copied to where their readers accept them.

A mounted Secret belongs to root and, where a pod's group is to read it, has bits for that group:
HTCondor and XRootD refuse such a file. This copies it into a folder of the pod, a memory volume, as
a file of this process's own user; once, as an init container, or for as long as the pod lives, as a
sidecar that follows renewals and withdrawals. A kubelet changes a mounted Secret by swapping one
symbolic link, so a look every few seconds at what the names lead to is enough.

Needs only the standard library; runs as any user on a read-only root.
"""

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Final

from casita.access.files import PRIVATE_MODES, make_private_folder, write_private

logger: Final = logging.getLogger("casita.deliver")

Stamp = tuple[int, int, int, int]
"""What changes whenever a file is written or replaced."""

_LOG_FORMAT: Final = "%(asctime)s %(name)s %(levelname)s %(message)s"

_ATTEMPTS: Final = 3
"""To read all files of one state of a Secret while it is being swapped."""


class DeliveryError(Exception):
    """A file is not there to be delivered; the message names it, and never what is in it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file to deliver; both names are relative."""

    source: PurePath
    target: PurePath

    @classmethod
    def parse(cls, text: str, uid: int) -> "Wanted":
        """Read ``SOURCE[=TARGET]``, in which ``{uid}`` of the target stands for the user's number.

        Raises:
            ValueError: a name is empty, absolute, or leads out of its folder.
        """
        source, _, target = text.partition("=")
        names = PurePath(source), PurePath((target or source).replace("{uid}", str(uid)))
        for name in names:
            if not name.name or name.is_absolute() or ".." in name.parts:
                raise ValueError(f"must be names inside the folders, got {text!r}")
        return cls(*names)


@dataclass(frozen=True, slots=True)
class Delivered:
    """A file as it was delivered."""

    source: Stamp
    target: Stamp


@dataclass
class Delivery:
    """Keeps a private folder equal to the files of another one."""

    origin: Path
    folder: Path
    wanted: tuple[Wanted, ...] = ()
    """All files of `origin` but hidden ones where it is empty."""
    mode: int = 0o600
    _delivered: dict[Wanted, Delivered] = field(default_factory=dict)

    def bring(self) -> list[Wanted]:
        """Write what has changed, remove what was withdrawn; return what is wanted and missing.

        Raises:
            DeliveryError: the files change all the time.
            OSError: a file cannot be read or written; others may have been delivered.
        """
        stamps, contents = self._look()
        for wanted, content in contents.items():
            self._write(wanted, stamps[wanted], content)
        for wanted in {*self.wanted, *self._delivered} - stamps.keys():
            self._withdraw(wanted)
        return [wanted for wanted in self.wanted if wanted not in stamps]

    def _look(self) -> tuple[dict[Wanted, Stamp], dict[Wanted, bytes]]:
        """Return what is there, and the content of what is to be written: all of one state."""
        for _ in range(_ATTEMPTS):
            try:
                stamps = self._stamps()
                contents = {
                    wanted: (self.origin / wanted.source).read_bytes()
                    for wanted, stamp in stamps.items()
                    if not self._is_delivered(wanted, stamp)
                }
                if not contents or self._stamps() == stamps:
                    return stamps, contents
            except FileNotFoundError:
                continue  # the Secret was swapped between two looks
        raise DeliveryError(f"{self.origin}: its files change faster than they can be read")

    def _stamps(self) -> dict[Wanted, Stamp]:
        # A link that leads nowhere is a key that has just been withdrawn.
        present = (w for w in self.wanted or self._found() if (self.origin / w.source).is_file())
        return {wanted: _stamp((self.origin / wanted.source).stat()) for wanted in present}

    def _found(self) -> list[Wanted]:
        entries = self.origin.iterdir() if self.origin.is_dir() else ()
        names = (PurePath(entry.name) for entry in entries if not entry.name.startswith("."))
        return [Wanted(name, name) for name in names]

    def _is_delivered(self, wanted: Wanted, stamp: Stamp) -> bool:
        before = self._delivered.get(wanted)
        target = self.folder / wanted.target
        return (
            before is not None
            and before.source == stamp
            and os.path.lexists(target)
            and before.target == _stamp(target.lstat())
        )

    def _write(self, wanted: Wanted, stamp: Stamp, content: bytes) -> None:
        target = self.folder / wanted.target
        make_private_folder(target.parent)
        write_private(target, content, self.mode)
        self._delivered[wanted] = Delivered(stamp, _stamp(target.lstat()))
        logger.info("%s delivered as %s", wanted.source, target)

    def _withdraw(self, wanted: Wanted) -> None:
        self._delivered.pop(wanted, None)
        target = self.folder / wanted.target
        if os.path.lexists(target):
            target.unlink()
            logger.info("%s is no longer there: %s removed", wanted.source, target)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status: 0 done or told to end, 1 failed, 2 usage."""
    logging.basicConfig(level=logging.INFO, format=_LOG_FORMAT)
    options = _parser().parse_args(argv)
    delivery = Delivery(options.origin, options.folder, tuple(options.files), options.mode)
    try:
        make_private_folder(options.folder)
        if options.follow:
            _follow(delivery, options.seconds, options.ready, optional=options.optional)
        else:
            _once(delivery, options.ready, optional=options.optional)
    except (DeliveryError, OSError) as error:
        logger.critical("%s", error)
        return 1
    return 0


def _once(delivery: Delivery, ready: Path | None, *, optional: bool) -> None:
    missing = delivery.bring()
    if missing and not optional:
        raise DeliveryError(_what_is_missing(delivery, missing))
    if ready is not None:
        ready.touch()


def _follow(delivery: Delivery, seconds: float, ready: Path | None, *, optional: bool) -> None:
    """Deliver until SIGTERM or SIGINT. A failure is told once and tried again."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    told = ""
    while True:
        try:
            missing = delivery.bring()
            trouble = "" if optional or not missing else _what_is_missing(delivery, missing)
        except (DeliveryError, OSError) as error:
            trouble = str(error)
        if trouble and trouble != told:
            logger.error("%s", trouble)
        told = trouble
        if ready is not None:
            _set_ready(ready, ready=not trouble)
        if ended.wait(seconds):
            return


def _set_ready(path: Path, *, ready: bool) -> None:
    if ready != path.exists():
        path.touch() if ready else path.unlink()


def _what_is_missing(delivery: Delivery, missing: Sequence[Wanted]) -> str:
    names = ", ".join(str(delivery.origin / wanted.source) for wanted in missing)
    return f"{names}: not there; is the Secret mounted, and has it this key?"


def _stamp(found: os.stat_result) -> Stamp:
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="casita deliver",
        description="Copy files of mounted Secrets into a private folder, and keep them so.",
    )
    add = parser.add_argument
    add("--from", dest="origin", type=Path, required=True, help="folder of the mounted Secrets")
    add("--to", dest="folder", type=Path, required=True, help="private folder, made if absent")
    add(
        *("--file", "-f"),
        dest="files",
        metavar="SOURCE[=TARGET]",
        type=_wanted,
        action="append",
        default=[],
        help="a file to deliver, again for each; {uid} in TARGET is this user's number; "
        "without any, all files of the folder that are not hidden",
    )
    add("--mode", type=_mode, default=0o600, help="0600 or 0400")
    add("--optional", action="store_true", help="a file that is not there is no failure")
    add("--ready", type=Path, help="empty file that is there while all is delivered, for probes")
    add("--seconds", type=_seconds, default=2.0, help="between two looks, with --follow")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--once", action="store_true", help="deliver and end")
    how.add_argument("--follow", action="store_true", help="deliver until told to end")
    return parser


def _wanted(text: str) -> Wanted:
    try:
        return Wanted.parse(text, os.getuid())
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _mode(text: str) -> int:
    modes = {f"{mode:04o}": mode for mode in PRIVATE_MODES}
    if text not in modes:
        raise argparse.ArgumentTypeError(f"must be one of {', '.join(modes)}, got {text!r}")
    return modes[text]


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be a number, got {text!r}") from error
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a positive number, got {text!r}")
    return value


if __name__ == "__main__":
    sys.exit(main())
