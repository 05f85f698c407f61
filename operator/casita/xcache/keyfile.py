"""The macaroon key as XRootD reads it.

XRootD 5 wants base64 in lines of at most 64 characters, the last of which ends; a file whose one
line does not end stops the server at its start. Decoded, it is the key: at least 32 bytes.
"""

import base64
import binascii
from typing import Final

MIN_KEY_BYTES: Final = 32
_LINE: Final = 64


class KeyFileError(Exception):
    """The key cannot be used; the message says why, without any of it."""


def normalised(content: bytes) -> bytes:
    """Return the same key in the form that every XRootD 5 reads.

    Raises:
        KeyFileError: it is not base64, or too short.
    """
    try:
        key = base64.b64decode(b"".join(content.split()), validate=True)
    except (binascii.Error, ValueError):
        raise KeyFileError("it is not base64; make one by: openssl rand 64 | base64 -w64") from None
    if len(key) < MIN_KEY_BYTES:
        raise KeyFileError(f"it has {len(key)} bytes; at least {MIN_KEY_BYTES} are needed")
    text = base64.b64encode(key)
    lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
    return b"".join(line + b"\n" for line in lines)
