"""Macaroons that casita never makes: a holder's, a forger's, and those of careless hands."""

import base64
import hashlib
import hmac
from collections.abc import Sequence


def forge(material: bytes, location: str, identifier: str, caveats: Sequence[str]) -> str:
    """Serialize a macaroon of any caveats, in version 1 of libmacaroons' format."""
    signature = hmac.digest(material, identifier.encode(), hashlib.sha256)
    fields = [(b"location", location.encode()), (b"identifier", identifier.encode())]
    for caveat in caveats:
        signature = hmac.digest(signature, caveat.encode(), hashlib.sha256)
        fields.append((b"cid", caveat.encode()))
    return _encoded([*fields, (b"signature", signature)])


def narrow(token: str, caveat: str) -> str:
    """Add a caveat as any holder can, by the signature alone."""
    *fields, (_, signature) = decoded(token)
    added = hmac.digest(signature, caveat.encode(), hashlib.sha256)
    return _encoded([*fields, (b"cid", caveat.encode()), (b"signature", added)])


def replace(token: str, old: str, new: str) -> str:
    """Change a caveat and leave the signature, as a forger without the key would."""
    fields = [(k, v.replace(old.encode(), new.encode())) for k, v in decoded(token)]
    return _encoded(fields)


def decoded(token: str) -> list[tuple[bytes, bytes]]:
    """Return the fields of a macaroon."""
    data = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    fields = []
    while data:
        length = int(data[:4], 16)
        name, _, value = data[4 : length - 1].partition(b" ")
        fields.append((name, value))
        data = data[length:]
    return fields


def _encoded(fields: Sequence[tuple[bytes, bytes]]) -> str:
    packets = (b"%04x%s %s\n" % (len(name) + len(value) + 6, name, value) for name, value in fields)
    return base64.urlsafe_b64encode(b"".join(packets)).rstrip(b"=").decode()
