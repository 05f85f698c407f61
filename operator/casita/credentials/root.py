"""The site's root key, of which report tokens, seals and the keys of services are derived."""

import hashlib
import hmac
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from casita.credentials.errors import CredentialError
from casita.credentials.token import SigningKey

MIN_ROOT_KEY_BYTES: Final = 32
"""As long as the hash that derives from it, so that guessing the key is no easier than guessing
what was derived."""


def load_root_key(path: Path) -> bytes:
    """Read the root key: the file's bytes as they are.

    Raises:
        CredentialError: the file is missing, cannot be read, is empty, or is shorter than 32 bytes.
    """
    try:
        key = path.read_bytes()
    except FileNotFoundError as error:
        raise CredentialError(f"root key {path}: there is no such file") from error
    except OSError as error:
        raise CredentialError(f"root key {path}: {error.strerror}") from error
    check_root_key(key, f"root key {path}")
    return key


def check_root_key(key: bytes, what: str) -> None:
    """Raise `CredentialError`, naming `what`, unless `key` is long enough."""
    if not key:
        raise CredentialError(f"{what} is empty, at least {MIN_ROOT_KEY_BYTES} bytes are needed")
    if len(key) < MIN_ROOT_KEY_BYTES:
        raise CredentialError(
            f"{what} has {len(key)} bytes, at least {MIN_ROOT_KEY_BYTES} are needed"
        )


def service_key(root_key: bytes, purpose: str) -> SigningKey:
    """Derive the key that tokens for one service are signed with: HKDF-SHA256 (RFC 5869).

    It is text, 64 hexadecimal digits, so that services can take it from an environment variable;
    these digits are what signs, as they are.

    Args:
        root_key: the site's root key.
        purpose: what the key is for; another purpose gives another key.

    Raises:
        CredentialError: the root key is too short.
    """
    check_root_key(root_key, "root key")
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(root_key)
    material = derived.hex().encode()
    mark = hmac.digest(material, b"casita-key-fingerprint-v1", hashlib.sha256)
    return SigningKey(material, mark[:8].hex())
