"""Reading material back: is what a Secret holds whole, of one piece, and valid?"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from casita.credentials.errors import CredentialError
from casita.credentials.x509 import USAGES, Authority, Leaf, Role

_USAGE_NAMES: Final = {
    ExtendedKeyUsageOID.SERVER_AUTH: "serverAuth",
    ExtendedKeyUsageOID.CLIENT_AUTH: "clientAuth",
}
_PEM_MARK: Final = b"-----BEGIN"
_UNREADABLE: Final = (
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What cryptography raises for a damaged certificate."""


def load_certificate(data: bytes, what: str = "certificate") -> x509.Certificate:
    """Read one certificate, PEM or DER; of a PEM file with several, the first.

    Args:
        data: the file's or the field's bytes.
        what: how the error calls it.

    Raises:
        CredentialError: it is empty, damaged or truncated.
    """
    if not data:
        raise CredentialError(f"{what} is empty")
    load = x509.load_pem_x509_certificate if _PEM_MARK in data else x509.load_der_x509_certificate
    try:
        certificate = load(data)
        # These are parsed when first asked for; once they are read, they can be relied on.
        _ = (
            certificate.public_key(),
            certificate.extensions,
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
        )
    except _UNREADABLE as error:
        raise CredentialError(f"{what} cannot be read: damaged or truncated") from error
    return certificate


def load_authority(
    certificate_pem: bytes, key_pem: bytes, now: datetime | None = None
) -> Authority:
    """Read an authority that can sign.

    Args:
        certificate_pem: its certificate.
        key_pem: its private key, PKCS#8 PEM.
        now: the time at which it must be valid; not checked if absent.

    Raises:
        CredentialError: certificate or key cannot be read, they do not belong together, the
            certificate is not that of an authority, or it is not valid at `now`.
    """
    certificate = load_certificate(certificate_pem, "authority's certificate")
    key = _load_key(key_pem, "authority's key")
    _check_pair(certificate, key, "authority's")
    try:
        signs = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        signs = False
    if not signs:
        raise CredentialError("authority's certificate is not that of an authority (CA is false)")
    if now is not None:
        _check_time(certificate, now, "authority's certificate")
    return Authority(certificate, key)


def verify_leaf(
    certificate_pem: bytes,
    key_pem: bytes,
    authority_pem: bytes,
    now: datetime,
    *,
    role: Role | None = None,
    names: Sequence[str] = (),
) -> Leaf:
    """Check that a leaf can be used at `now`, and return it with its serial number and times.

    Args:
        certificate_pem: the leaf's certificate; the same bytes as `key_pem` if one file has both.
        key_pem: the leaf's private key, PKCS#8 PEM.
        authority_pem: the certificate of the authority that must have signed it.
        now: the time at which leaf and authority must be valid.
        role: if given, the leaf must be usable in this role.
        names: DNS names that the leaf must have.

    Raises:
        CredentialError: says which of these does not hold.
    """
    certificate = load_certificate(certificate_pem)
    key = _load_key(key_pem, "key")
    authority = load_certificate(authority_pem, "authority's certificate")
    _check_pair(certificate, key, "")
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, TypeError, *_UNREADABLE) as error:
        raise CredentialError("certificate is not signed by this authority") from error
    _check_time(authority, now, "authority's certificate")
    _check_time(certificate, now, "certificate")
    if role is not None:
        _check_usage(certificate, role)
    _check_names(certificate, names)
    return Leaf(
        certificate_pem,
        key_pem,
        f"{certificate.serial_number:x}",
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
    )


def _load_key(pem: bytes, what: str) -> ec.EllipticCurvePrivateKey:
    if not pem:
        raise CredentialError(f"{what} is empty")
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # `from None`: what a parser says of a key it met stays out of every traceback.
        raise CredentialError(
            f"{what} cannot be read: damaged, truncated or with a password"
        ) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CredentialError(f"{what} is not an elliptic-curve key")
    return key


def _check_pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey, whose: str) -> None:
    if certificate.public_key() != key.public_key():
        raise CredentialError(f"{whose} key does not belong to its certificate".strip())


def _check_time(certificate: x509.Certificate, now: datetime, what: str) -> None:
    if now < certificate.not_valid_before_utc:
        raise CredentialError(
            f"{what} is not valid before {certificate.not_valid_before_utc:%FT%TZ}"
        )
    if now >= certificate.not_valid_after_utc:
        raise CredentialError(f"{what} expired at {certificate.not_valid_after_utc:%FT%TZ}")


def _check_usage(certificate: x509.Certificate, role: Role) -> None:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
        present = set(extension.value)
    except x509.ExtensionNotFound:
        present = set()
    missing = [_USAGE_NAMES[usage] for usage in USAGES[role] if usage not in present]
    if missing:
        raise CredentialError(f"certificate cannot serve a {role}: it lacks {', '.join(missing)}")


def _check_names(certificate: x509.Certificate, names: Sequence[str]) -> None:
    if not names:
        return
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        present = set(extension.value.get_values_for_type(x509.DNSName))
    except x509.ExtensionNotFound:
        present = set()
    missing = [name for name in names if name not in present]
    if missing:
        raise CredentialError(f"certificate does not name {', '.join(missing)}")
