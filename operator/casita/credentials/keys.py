"""The site's signing keys, read from the files that the chart mounts.

A file is read again when it has changed: kubelet replaces what a Secret holds by another link, so
the file's own number and times are another's. What cannot be used is said with the file's name and
the remedy, never with anything of its content.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

from casita.credentials import idtoken, macaroon
from casita.credentials.errors import CredentialError, SigningKeyError
from casita.credentials.token import SigningKey
from casita.credentials.verify import load_certificate

MIN_KEY_BYTES: Final = 32
"""As long as the hash that derives from it."""

T = TypeVar("T")


class KeyFile(Generic[T]):
    """A file of key material, and what was made of it when it was last read.

    Args:
        path: the file.
        what: how errors call it.
        remedy: what an admin can do when it cannot be used.
        parse: makes something of the content; raises `CredentialError`, without any of it.
    """

    def __init__(self, path: Path, what: str, remedy: str, parse: Callable[[bytes], T]) -> None:
        self._path = path
        self._what = what
        self._remedy = remedy
        self._parse = parse
        self._seen: tuple[int, ...] | None = None
        self._found: T | None = None

    def read(self) -> T:
        """Return what the file holds now.

        Raises:
            SigningKeyError: it is missing, cannot be read or used.
        """
        try:
            here = self._path.stat()
            mark = (here.st_dev, here.st_ino, here.st_size, here.st_mtime_ns)
            if self._found is None or mark != self._seen:
                self._found, self._seen = None, None
                self._found = self._parse(self._path.read_bytes())
                self._seen = mark
        except FileNotFoundError:
            raise self._error("there is no such file") from None
        except OSError as error:
            raise self._error(error.strerror or type(error).__name__) from None
        except CredentialError as error:
            raise self._error(str(error)) from None
        return self._found

    def _error(self, why: str) -> SigningKeyError:
        return SigningKeyError(f"{self._what} {self._path}: {why}; {self._remedy}")


def idtoken_key_file(path: Path, key_id: str) -> KeyFile[SigningKey]:
    """Return the file of the named key that IDTOKENs are signed with."""

    def parse(content: bytes) -> SigningKey:
        _check_length(content, MIN_KEY_BYTES)
        return SigningKey(idtoken.derive_key(content, key_id), _fingerprint(content))

    remedy = "the Secret must hold, as `key`, the file of that key on the pool's daemons"
    return KeyFile(path, "IDTOKEN key", remedy, parse)


def macaroon_key_file(path: Path) -> KeyFile[SigningKey]:
    """Return the file of the key that macaroons are signed with."""

    def parse(content: bytes) -> SigningKey:
        secret = macaroon_secret(content)
        return SigningKey(macaroon.derive_key(secret), _fingerprint(secret))

    remedy = "the Secret must hold, as `key`, the file that macaroons.secretkey names at the cache"
    return KeyFile(path, "macaroon key", remedy, parse)


def authority_file(path: Path) -> KeyFile[bytes]:
    """Return the file of the certificate that signs the cache's."""

    def parse(content: bytes) -> bytes:
        if b"PRIVATE KEY" in content:
            raise CredentialError("it holds a private key, which sessions must not get")
        load_certificate(content)
        return content

    remedy = "the Secret must hold the authority that signs the cache's certificate, PEM"
    return KeyFile(path, "the cache's authority", remedy, parse)


def macaroon_secret(content: bytes) -> bytes:
    """Return the secret that a key file of XRootD holds: base64 on lines, at least 32 bytes.

    Raises:
        CredentialError: the server would not start with it, or would take another secret of it.
    """
    _check_length(content, 1)
    if b"\n" not in content:
        # OpenSSL's reader, which the server uses, finds nothing in a line without an end.
        raise CredentialError("it has no newline at its end, and XRootD does not start with it")
    try:
        secret = base64.b64decode(b"".join(content.split()), validate=True)
    except ValueError:
        raise CredentialError("it is not base64") from None
    _check_length(secret, macaroon.MIN_SECRET_BYTES, "decoded ")
    return secret


def _check_length(content: bytes, least: int, how: str = "") -> None:
    if not content:
        raise CredentialError("it is empty")
    if len(content) < least:
        raise CredentialError(f"it has {len(content)} {how}bytes, at least {least} are needed")


def _fingerprint(key: bytes) -> str:
    return hmac.digest(key, b"casita-key-fingerprint-v1", hashlib.sha256)[:8].hex()
