"""Sealing: what lies in a Secret that others than the operator can read is of no use to them.

Whoever may create pods in a namespace can mount its Secrets, and a gateway may list them. The key
of a session's authority would let them into the session for as long as it lives, so it is encrypted
under the site's root key, which never leaves the operator's namespace: AES-256-GCM (NIST SP
800-38D) with a key derived per session by HKDF-SHA256 (RFC 5869).
"""

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from casita.credentials.errors import CredentialError

_PURPOSE: Final = b"casita-seal-v1\0"
_NONCE_BYTES: Final = 12


def seal(root_key: bytes, uid: str, material: bytes) -> bytes:
    """Encrypt `material` for the session `uid`; return a random nonce, ciphertext and tag."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + _cipher(root_key, uid).encrypt(nonce, material, uid.encode())


def unseal(root_key: bytes, uid: str, sealed: bytes) -> bytes:
    """Decrypt what `seal` made for the session `uid`.

    Raises:
        CredentialError: it was changed or truncated, is another session's, or was sealed under
            another root key.
    """
    nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        return _cipher(root_key, uid).decrypt(nonce, ciphertext, uid.encode())
    except (InvalidTag, ValueError) as error:
        raise CredentialError(
            "sealed key cannot be opened: damaged, of another session, or sealed under another "
            "root key"
        ) from error


def _cipher(root_key: bytes, uid: str) -> AESGCM:
    info = _PURPOSE + uid.encode()
    return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(root_key))
