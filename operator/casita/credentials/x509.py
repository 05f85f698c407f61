"""Certificates: a session's own authority and the leaves that it signs.

Dask checks neither host names nor roles of its peers: every certificate of a trusted authority is
let in (``distributed/security.py``: ``check_hostname = False``). The authority therefore is the
border between sessions, and each session has one of its own. OpenSSL does check the extended key
usage: whoever is dialled needs *serverAuth*, whoever dials needs *clientAuth*; scheduler and
workers do both. Profile of the certificates: RFC 5280 section 4.2, as OpenSSL's ``-x509_strict``
and Python's ``VERIFY_X509_STRICT`` (the default since Python 3.13) demand it. ECDSA on P-256 with
SHA-256; keys are PKCS#8 PEM without a password.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from casita.credentials.errors import CredentialError

BACKDATE: Final = timedelta(minutes=5)
"""How far before its making a certificate is valid, for clocks that are late."""

MAX_COMMON_NAME: Final = 64
"""Characters of a common name (RFC 5280 appendix A.1, ub-common-name)."""

_HASH: Final = hashes.SHA256()
_CURVE: Final = ec.SECP256R1()


class Role(StrEnum):
    """What a leaf is for; decides its extended key usage."""

    SCHEDULER = "scheduler"
    WORKER = "worker"
    CLIENT = "client"
    ENDPOINT = "endpoint"


_SERVER, _CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
USAGES: Final[dict[Role, tuple[x509.ObjectIdentifier, ...]]] = {
    Role.SCHEDULER: (_SERVER, _CLIENT),
    Role.WORKER: (_SERVER, _CLIENT),
    Role.CLIENT: (_CLIENT,),
    Role.ENDPOINT: (_SERVER,),
}


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


# Builders never change, so what all certificates of a kind share is built once.
_AUTHORITY_BUILDER: Final = (
    x509.CertificateBuilder()
    .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    .add_extension(_key_usage(signs_certificates=True), critical=True)
)
_LEAF_BUILDER: Final = (
    x509.CertificateBuilder()
    .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    .add_extension(_key_usage(signs_certificates=False), critical=True)
)
_LEAF_BUILDERS: Final = {
    role: _LEAF_BUILDER.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    for role, usages in USAGES.items()
}


@dataclass(frozen=True)
class Authority:
    """A certificate authority: its certificate and the key that signs with it."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @cached_property
    def certificate_pem(self) -> bytes:
        """The certificate, PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @cached_property
    def certificate_der(self) -> bytes:
        """The certificate, DER."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @cached_property
    def key_pem(self) -> bytes:
        """The private key, PKCS#8 PEM."""
        return _key_pem(self.key)

    @cached_property
    def fingerprint(self) -> str:
        """See `authority_fingerprint`."""
        return authority_fingerprint(self.certificate)

    @cached_property
    def key_identifier(self) -> x509.AuthorityKeyIdentifier:
        """What every leaf of this authority names as its issuer's key."""
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())

    @property
    def serial(self) -> str:
        """Serial number, hexadecimal."""
        return f"{self.certificate.serial_number:x}"

    @property
    def not_before(self) -> datetime:
        """Start of validity, UTC."""
        return self.certificate.not_valid_before_utc

    @property
    def not_after(self) -> datetime:
        """End of validity, UTC."""
        return self.certificate.not_valid_after_utc


@dataclass(frozen=True)
class Leaf:
    """A certificate for one role, with its key, ready for a Secret.

    The serial number is hexadecimal; `not_before` and `not_after` bound the validity, in UTC.
    """

    certificate_pem: bytes
    key_pem: bytes = field(repr=False)
    serial: str
    not_before: datetime
    not_after: datetime


def new_authority(
    common_name: str, not_before: datetime, lifetime: timedelta, *, serial: int | None = None
) -> Authority:
    """Make an authority that signs leaves only (path length 0).

    Args:
        common_name: what people read in the certificate, at most 64 characters.
        not_before: start of validity, with a time zone; `BACKDATE` before now, usually.
        lifetime: from `not_before` to the end of validity.
        serial: serial number; 159 random bits if absent.

    Raises:
        CredentialError: the name is empty or too long, or the lifetime is not positive.
    """
    start = _whole_seconds(not_before)
    end = _whole_seconds(not_before + lifetime)
    if end <= start:
        raise CredentialError(f"lifetime of an authority must be positive, got {lifetime}")
    key = ec.generate_private_key(_CURVE)
    public_key = key.public_key()
    name = _name(common_name)
    identifier = x509.SubjectKeyIdentifier.from_public_key(public_key)
    certificate = (
        _AUTHORITY_BUILDER.subject_name(name)
        .issuer_name(name)
        .public_key(public_key)
        .serial_number(x509.random_serial_number() if serial is None else serial)
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(identifier, critical=False)
        .sign(key, _HASH)
    )
    return Authority(certificate, key)


def issue_leaf(
    authority: Authority,
    role: Role,
    names: Sequence[str],
    now: datetime,
    lifetime: timedelta,
    *,
    common_name: str | None = None,
    serial: int | None = None,
) -> Leaf:
    """Make a key and a certificate for it, signed by `authority`.

    The validity begins `BACKDATE` before `now` and ends after `lifetime`, both drawn in to lie
    within the authority's own: a leaf never outlives what signed it.

    Args:
        authority: who signs.
        role: what the leaf is for.
        names: DNS names of the holder; may be empty for a client, which nobody dials.
        now: the time of issue, with a time zone.
        lifetime: from `now` to the end of validity.
        common_name: what people read in the certificate; the role's name if absent.
        serial: serial number; 159 random bits if absent.

    Raises:
        CredentialError: the authority is not valid at `now`, the lifetime is not positive, or a
            name is missing or malformed.
    """
    moment = _whole_seconds(now)
    if not names and role is not Role.CLIENT:
        raise CredentialError(f"a leaf for {role} needs at least one DNS name")
    if not authority.not_before <= now < authority.not_after:
        raise CredentialError(
            f"authority {authority.fingerprint} is valid from {authority.not_before:%FT%TZ} to "
            f"{authority.not_after:%FT%TZ}, it cannot sign a leaf at {now:%FT%T%z}"
        )
    start = max(moment - BACKDATE, authority.not_before)
    end = min(_whole_seconds(now + lifetime), authority.not_after)
    if end <= now:
        raise CredentialError(f"lifetime of a leaf must be positive, got {lifetime}")
    number = x509.random_serial_number() if serial is None else serial
    key = ec.generate_private_key(_CURVE)
    public_key = key.public_key()
    builder = (
        _LEAF_BUILDERS[role]
        .subject_name(_name(common_name or role.value))
        .issuer_name(authority.certificate.subject)
        .public_key(public_key)
        .serial_number(number)
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(authority.key_identifier, critical=False)
    )
    if names:
        builder = builder.add_extension(_alternative_names(names), critical=False)
    certificate = builder.sign(authority.key, _HASH)
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    return Leaf(pem, _key_pem(key), f"{number:x}", start, end)


def authority_fingerprint(certificate: x509.Certificate) -> str:
    """Return 16 hexadecimal digits that tell one authority from another (SHA-256 over the DER)."""
    return certificate.fingerprint(_HASH)[:8].hex()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _name(common_name: str) -> x509.Name:
    if not 0 < len(common_name) <= MAX_COMMON_NAME:
        raise CredentialError(
            f"common name must have 1 to {MAX_COMMON_NAME} characters, got {common_name!r}"
        )
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _alternative_names(names: Sequence[str]) -> x509.SubjectAlternativeName:
    try:
        return x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    except ValueError as error:
        raise CredentialError(f"DNS names {list(names)}: {error}") from error


def _whole_seconds(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"a time with a zone is needed, got {moment.isoformat()}")
    return moment.astimezone(UTC).replace(microsecond=0)
