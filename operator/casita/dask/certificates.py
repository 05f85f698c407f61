"""Renewed certificates without a restart: a leaf's files are watched and loaded while in use.

An `ssl.SSLContext` may be given another certificate at any time; handshakes from then on present
it, and connections that are open go on. Kubelets replace the files of a mounted Secret by swapping
a symbolic link, so a read may see the new certificate and the old key: every new leaf first has to
shake hands with itself, and until it can, the old one stays.
"""

import logging
import os
import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_ROUNDS: Final = 8
"""More turns than any TLS handshake takes between two peers."""

_NO_PASSWORD: Final = "-"  # noqa: S105 - keys here have none; without this OpenSSL would ask a terminal

Signature = tuple[tuple[int, int, int, int], ...]


class LeafError(Exception):
    """A leaf's files cannot be used; the message says why, and holds no key."""


@dataclass(frozen=True, slots=True)
class LeafFiles:
    """Where a leaf lies: its authority's certificate, its own, and its key, all PEM."""

    authority: Path
    certificate: Path
    key: Path | None
    """`None` where the certificate's file holds the key too."""

    def signature(self) -> Signature:
        """Return what changes whenever the leaf's files are replaced or written."""
        files = [path for path in (self.certificate, self.key) if path is not None]
        return tuple(
            (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
            for found in (path.stat() for path in files)
        )

    def read(self) -> bytes:
        """Return certificate and key, one after the other."""
        key = b"" if self.key is None else b"\n" + self.key.read_bytes()
        return self.certificate.read_bytes() + key


@dataclass(frozen=True, slots=True)
class LeafFacts:
    """What a log line tells of a leaf."""

    serial: str
    """Hexadecimal."""
    not_after: str


class LeafWatch:
    """Keeps the contexts of a process at the newest good leaf in its files."""

    def __init__(
        self,
        files: LeafFiles,
        contexts: Callable[[], Iterable[ssl.SSLContext]],
        *,
        serves: bool,
        logger: logging.Logger,
    ) -> None:
        """Watch `files` for what `contexts` returns at that time; `serves` as in `rehearse`."""
        self._files = files
        self._contexts = contexts
        self._serves = serves
        self._logger = logger
        self._loaded: Signature | None = None
        self._refused = ""

    def poll(self) -> bool:
        """Load the leaf if its files changed since the last time; say whether that was done.

        Called on the thread that runs the handshakes. Never raises: a leaf that cannot be used is
        refused with one log line, and tried again at the next call, since a swap of files seen
        half-way or a clock that is behind cures itself.
        """
        try:
            signature = self._files.signature()
            if signature == self._loaded:
                return False
            material = self._files.read()
            facts = rehearse(self._files.authority, material, serves=self._serves)
        except (LeafError, OSError) as error:
            self._refuse(str(error))
            return False
        with _file_in_memory(material) as path:
            for context in self._contexts():
                context.load_cert_chain(path, password=_NO_PASSWORD)
        self._logger.info(
            "certificate %s loaded: serial %s, valid until %s",
            self._files.certificate,
            facts.serial,
            facts.not_after,
        )
        self._loaded = signature
        self._refused = ""
        return True

    def _refuse(self, reason: str) -> None:
        if reason != self._refused:
            self._refused = reason
            self._logger.error(
                "certificate %s refused, the one loaded before stays in use: %s",
                self._files.certificate,
                reason,
            )


def rehearse(authority: Path, material: bytes, *, serves: bool) -> LeafFacts:
    """Let a leaf shake hands with itself, checked as the peers will check it.

    Args:
        authority: file of the authority that the leaf must be signed by.
        material: certificate and key, PEM.
        serves: whether the leaf is also presented by a listener, as that of schedulers and workers
            is; a client's is not, and need not be good for it.

    Raises:
        LeafError: certificate and key do not fit together, are truncated, are not signed by
            `authority`, not valid now, or not meant for this use.
        OSError: `authority` cannot be read.
    """
    trusted = authority.read_bytes()
    try:
        listener = _context(ssl.Purpose.CLIENT_AUTH, trusted, material)
        dialler = _context(ssl.Purpose.SERVER_AUTH, trusted, material)
        dialler.verify_mode = ssl.CERT_REQUIRED if serves else ssl.CERT_NONE
        peer = _shake_hands(dialler, listener)
    except (ssl.SSLError, UnicodeDecodeError) as error:
        raise LeafError(f"it cannot shake hands with itself ({error})") from error
    return LeafFacts(serial=f"{int(str(peer['serialNumber']), 16):x}", not_after=peer["notAfter"])


def _context(purpose: ssl.Purpose, trusted: bytes, material: bytes) -> ssl.SSLContext:
    """Build a context as ``distributed/security.py`` does: names are not checked, authority is."""
    context = ssl.create_default_context(purpose, cadata=trusted.decode("ascii"))
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    with _file_in_memory(material) as path:
        try:
            context.load_cert_chain(path, password=_NO_PASSWORD)
        except ssl.SSLError as error:
            # OpenSSL says no more than "PEM lib" of most faults.
            raise LeafError(f"no whole certificate and key that fit together ({error})") from error
    return context


def _shake_hands(dialler: ssl.SSLContext, listener: ssl.SSLContext) -> dict[str, str]:
    """Return the dialler's certificate as the listener sees it."""
    inbound, outbound = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = dialler.wrap_bio(inbound, outbound)
    there = listener.wrap_bio(outbound, inbound, server_side=True)
    for _ in range(_ROUNDS):
        # Both in each turn: in TLS 1.3 the dialler is done before it has been checked.
        if all([_step(here), _step(there)]):
            return there.getpeercert() or {}  # type: ignore[return-value] # the two fields used are str
    raise ssl.SSLError(f"no handshake within {_ROUNDS} turns")


def _step(side: ssl.SSLObject) -> bool:
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


@contextmanager
def _file_in_memory(data: bytes) -> Iterator[str]:
    """Give a path to `data`, as OpenSSL's loader wants one, without a key on any disk (Linux)."""
    with os.fdopen(os.memfd_create("leaf"), "wb") as file:
        file.write(data)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"
