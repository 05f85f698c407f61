"""The site's root key, of which report tokens and the seals of authorities' keys are derived."""

from pathlib import Path
from typing import Final

from casita.credentials.errors import CredentialError

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
