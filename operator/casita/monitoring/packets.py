"""What XRootD 5 tells of itself by UDP, read with distrust.

Two streams, both described in "XRootD System Monitoring Reference": the summary
(``xrd.report``), XML with counters since the server's start, and the cache's g-stream
(``xrootd.mongstream pfc ... json``), a line of JSON for each file that was closed, below a header.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from xml.etree import ElementTree

MAX_PACKET_BYTES: Final = 65_535
_LARGEST: Final = 2**63


class PacketError(Exception):
    """A packet is not what its stream carries; it is counted and ignored."""


@dataclass(frozen=True)
class FileClose:
    """One file that was closed: what its readers got, and from where.

    Attributes:
        fetched: whether anything came from the origin.
        hit: bytes that readers got from the cache; what was fetched ahead of them counts.
        miss: bytes that readers had to wait for.
        bypass: bytes that went past the cache.
        stored: bytes that were written to the disk.
        checksum_errors: blocks whose checksum was wrong.
    """

    fetched: bool
    hit: int
    miss: int
    bypass: int
    stored: int
    checksum_errors: int


@dataclass(frozen=True)
class Summary:
    """Counters of one server since its start.

    Attributes:
        server: what differs between two starts: process and time.
        counters: value by name, see `COUNTERS`; what a packet lacks is missing.
    """

    server: tuple[str, str]
    counters: Mapping[str, int]


COUNTERS: Final = {
    "opens": ("xrootd", "ops/open"),
    "logins": ("xrootd", "lgn/num"),
    "authenticated": ("xrootd", "lgn/au"),
    "auth_failures": ("xrootd", "lgn/af"),
    "errors": ("xrootd", "err"),
    "connections": ("link", "num"),
    "connected": ("link", "tot"),
    "received_bytes": ("link", "in"),
    "sent_bytes": ("link", "out"),
    "origin_opens": ("pss", "open"),
    "origin_open_errors": ("pss", "open/errs"),
}
"""Name, and where the summary has it: the id of its part and the path below."""


def read_events(packet: bytes) -> list[FileClose]:
    """Read a packet of the g-stream; other events than closes are left out.

    Raises:
        PacketError: it is malformed; nothing of it counts.
    """
    header, *lines = _text(packet).rstrip("\0\n").split("\n")
    code = _object(header).get("code")
    if code == "=" and not any(lines):
        return []  # the server tells who it is, as when it starts
    if code != "g":
        raise PacketError(f"no header of a g-stream, but of {str(code)[:40]!r}")
    events = [_object(line) for line in lines if line]
    return [_close(event) for event in events if event.get("event") == "file_close"]


def read_summary(packet: bytes) -> Summary:
    """Read a packet of the summary.

    Raises:
        PacketError: it is malformed, or of another program.
    """
    text = _text(packet).rstrip("\0\n")
    if "<!" in text or "<?" in text:
        raise PacketError("a summary declares nothing")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - no declarations, so no entities
    except ElementTree.ParseError as error:
        raise PacketError(f"not XML: {error}") from None
    if root.tag != "statistics" or root.get("pgm") != "xrootd":
        raise PacketError(f"not a server's summary: {root.tag[:40]!r}")
    parts = {part.get("id"): part for part in root.iter("stats")}
    counters = {}
    for name, (part, path) in COUNTERS.items():
        found = parts[part].find(path) if part in parts else None
        if found is not None:
            counters[name] = _number((found.text or "").strip())
    return Summary((root.get("pid", ""), root.get("tos", "")), counters)


def _text(packet: bytes) -> str:
    try:
        return packet.decode("utf-8")
    except UnicodeDecodeError:
        raise PacketError("not text") from None


def _object(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise PacketError("not JSON") from None
    if not isinstance(found, dict):
        raise PacketError("not an object")
    return found


def _close(event: Mapping[str, Any]) -> FileClose:
    remotes = event.get("remotes")
    if not isinstance(remotes, list):
        raise PacketError("a close says where it came from")
    hit, miss, bypass, stored, errors = (
        _integer(event.get(name))
        for name in ("b_hit", "b_miss", "b_bypass", "b_todisk", "n_cks_errs")
    )
    return FileClose(bool(remotes), hit, miss, bypass, stored, errors)


def _number(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 19:
        raise PacketError(f"not a number: {text[:40]!r}")
    return _integer(int(text))


def _integer(value: Any) -> int:
    if type(value) is not int or not 0 <= value < _LARGEST:
        raise PacketError(f"not a count: {str(value)[:40]!r}")
    return value
