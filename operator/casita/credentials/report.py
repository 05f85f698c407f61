"""The report token: how the operator knows that a report comes from a session's own scheduler.

Nothing is stored: a token is the HMAC-SHA256 (RFC 2104) of a site-wide root key over the session's
uid and run, so it can be made again at any time, speaks for one session only, and dies with the
run. A session of the same name made later has another uid and another token.
"""

import base64
import hashlib
import hmac
from typing import Final

from casita.credentials.errors import CredentialError
from casita.credentials.root import check_root_key

TOKEN_LENGTH: Final = 43
"""Characters of a token: 32 bytes in base64url without padding."""

_PURPOSE: Final = b"casita-report-v1"


def report_token(root_key: bytes, uid: str, run: str) -> str:
    """Return the token of the session `uid` in its run `run`: 43 characters of base64url.

    Args:
        root_key: the site's root key, at least 32 bytes.
        uid: ``metadata.uid`` of the session.
        run: fingerprint of the run's authority (`casita.credentials.x509.authority_fingerprint`).

    Raises:
        CredentialError: the root key is too short, or `uid` or `run` is not printable text.
    """
    check_root_key(root_key, "root key")
    for what, value in (("uid", uid), ("run", run)):
        if not _is_part(value):
            raise CredentialError(f"report token: {what} must be printable text, got {value!r}")
    # NUL stands between the parts, so that no two different pairs give one message.
    message = b"\0".join((_PURPOSE, uid.encode(), run.encode()))
    digest = hmac.digest(root_key, message, hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def verify_report_token(root_key: bytes, uid: str, run: str, token: str) -> bool:
    """Say whether `token` is that of the session `uid` in its run `run`, in constant time.

    `run` and `token` may be whatever a stranger sent: what no token is made for, none is good for.

    Raises:
        CredentialError: the root key is too short.
    """
    if not (_is_part(uid) and _is_part(run)):
        return False
    expected = report_token(root_key, uid, run).encode()
    # As bytes: compare_digest refuses text that is not ASCII, and a caller may send any.
    return hmac.compare_digest(expected, token.encode("utf-8", "surrogatepass"))


def _is_part(value: str) -> bool:
    # Without control characters there is no NUL, and without surrogates it can be encoded.
    return bool(value) and value.isprintable()
