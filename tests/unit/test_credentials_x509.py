"""Certificates: accepted by strict verifiers, each in its own role and its own session only."""

import shutil
import ssl
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from casita.credentials.errors import CredentialError
from casita.credentials.system import SYSTEM_AUTHORITY_LIFETIME, new_system_authority
from casita.credentials.x509 import (
    BACKDATE,
    Authority,
    Leaf,
    Role,
    authority_fingerprint,
    issue_leaf,
    new_authority,
)
from tests.golden import Golden

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
HOST = "alice-0123456789.casita.svc"
DIALLED = (Role.SCHEDULER, Role.WORKER, Role.ENDPOINT)
DIALLING = (Role.SCHEDULER, Role.WORKER, Role.CLIENT)

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="needs the openssl command"
)


def authority(name: str = "casita session alice", lifetime: timedelta = 8 * DAY) -> Authority:
    return new_authority(name, NOW - BACKDATE, lifetime)


def leaf(of: Authority, role: Role, lifetime: timedelta = DAY) -> Leaf:
    return issue_leaf(of, role, [] if role is Role.CLIENT else [HOST], NOW, lifetime)


@pytest.fixture(scope="module")
def alice() -> Authority:
    return authority()


def said(value: x509.ExtensionType) -> object:
    match value:
        case x509.BasicConstraints():
            return {"ca": value.ca, "pathLength": value.path_length}
        case x509.KeyUsage():
            usages = ("digital_signature", "key_cert_sign", "crl_sign", "key_encipherment")
            return [usage for usage in usages if getattr(value, usage)]
        case x509.ExtendedKeyUsage():
            return [usage._name for usage in value]
        case x509.SubjectAlternativeName():
            return value.get_values_for_type(x509.DNSName)
        case _:
            return "of the key"


def profile(certificate: x509.Certificate) -> dict[str, Any]:
    """What a certificate says, without what is random or of the day."""
    extensions = {
        f"{extension.oid._name}{' (critical)' if extension.critical else ''}": said(extension.value)
        for extension in certificate.extensions
    }
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return {
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "version": certificate.version.name,
        "serial": certificate.serial_number,
        "curve": key.curve.name,
        "signature": certificate.signature_algorithm_oid._name,
        "hours": (certificate.not_valid_after_utc - certificate.not_valid_before_utc)
        / timedelta(hours=1),
        "extensions": extensions,
    }


def test_certificates_say_what_they_always_said(golden: Golden) -> None:
    root = new_authority("casita session alice", NOW - BACKDATE, 8 * DAY, serial=1)
    made = {"authority": profile(root.certificate)}
    for number, role in enumerate(Role, start=2):
        names = [] if role is Role.CLIENT else [HOST, "alice-0123456789.dask.af.example"]
        one = issue_leaf(root, role, names, NOW, 7 * DAY, serial=number)
        made[role.value] = profile(x509.load_pem_x509_certificate(one.certificate_pem))
    golden.check("certificates.json", made)


@needs_openssl
@pytest.mark.parametrize("role", Role)
def test_openssl_accepts_each_leaf_strictly_for_its_purposes(
    alice: Authority, role: Role, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_bytes(alice.certificate_pem)
    (tmp_path / "leaf.pem").write_bytes(leaf(alice, role).certificate_pem)
    accepted = {
        purpose
        for purpose in ("sslserver", "sslclient")
        if openssl_verifies(tmp_path, "-x509_strict", "-purpose", purpose)
    }
    expected = {"sslserver"} if role in DIALLED else set()
    assert accepted == expected | ({"sslclient"} if role in DIALLING else set())


@needs_openssl
def test_a_leaf_of_another_session_does_not_verify(alice: Authority, tmp_path: Path) -> None:
    # The same names on purpose: only the key tells the two authorities apart.
    (tmp_path / "ca.pem").write_bytes(authority().certificate_pem)
    (tmp_path / "leaf.pem").write_bytes(leaf(alice, Role.CLIENT).certificate_pem)
    assert not openssl_verifies(tmp_path)


@needs_openssl
def test_keys_are_pkcs8_without_a_password(alice: Authority) -> None:
    for pem in (alice.key_pem, leaf(alice, Role.WORKER).key_pem):
        assert pem.startswith(b"-----BEGIN PRIVATE KEY-----\n")
        subprocess.run(["openssl", "pkey", "-check", "-noout"], input=pem, check=True, timeout=60)


def openssl_verifies(directory: Path, *options: str) -> bool:
    command = ["openssl", "verify", *options, "-CAfile", "ca.pem", "leaf.pem"]
    done = subprocess.run(command, cwd=directory, capture_output=True, check=False, timeout=60)
    return done.returncode == 0


def context(side: int, root: Authority, one: Leaf, directory: Path) -> ssl.SSLContext:
    """As Dask makes it, but with the strict check that Python 3.13 has by default."""
    made = ssl.SSLContext(side)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_REQUIRED
    made.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    made.load_verify_locations(cadata=root.certificate_pem.decode())
    file = directory / f"{one.serial}.pem"
    file.write_bytes(one.certificate_pem + one.key_pem)
    made.load_cert_chain(file)
    return made


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, host: str | None = None) -> None:
    """Shake hands in memory, and pass a byte each way; raise what either side raises."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(to_client, to_server, server_hostname=host)
    other = server.wrap_bio(to_server, to_client, server_side=True)
    waiting: list[Callable[[], object]] = [one.do_handshake, other.do_handshake]
    for _ in range(10):
        waiting = [step for step in waiting if not _done(step)]
    assert not waiting, "the handshake does not end"
    # With TLS 1.3 the server judges the client's certificate after the client is done.
    one.write(b"?")
    assert other.read(1) == b"?"
    other.write(b"!")
    assert one.read(1) == b"!"


def _done(step: Callable[[], object]) -> bool:
    try:
        step()
    except ssl.SSLWantReadError:
        return False
    return True


@pytest.mark.parametrize("server", [Role.SCHEDULER, Role.WORKER])
@pytest.mark.parametrize("client", DIALLING)
def test_members_of_a_session_connect(
    alice: Authority, tmp_path: Path, server: Role, client: Role
) -> None:
    handshake(
        context(ssl.PROTOCOL_TLS_SERVER, alice, leaf(alice, server), tmp_path),
        context(ssl.PROTOCOL_TLS_CLIENT, alice, leaf(alice, client), tmp_path),
    )


@pytest.mark.parametrize(
    ("server", "client"), [(Role.CLIENT, Role.WORKER), (Role.SCHEDULER, Role.ENDPOINT)]
)
def test_a_leaf_serves_in_no_other_role(
    alice: Authority, tmp_path: Path, server: Role, client: Role
) -> None:
    with pytest.raises(ssl.SSLError, match=r"(?i)unsupported certificate|purpose"):
        handshake(
            context(ssl.PROTOCOL_TLS_SERVER, alice, leaf(alice, server), tmp_path),
            context(ssl.PROTOCOL_TLS_CLIENT, alice, leaf(alice, client), tmp_path),
        )


@pytest.mark.parametrize("stranger", ["server", "client"])
def test_another_session_is_kept_out_on_either_side(
    alice: Authority, tmp_path: Path, stranger: str
) -> None:
    bob = authority()
    side = {"server": alice, "client": alice, stranger: bob}
    with pytest.raises(ssl.SSLError, match=r"(?i)certificate|signature"):
        handshake(
            context(ssl.PROTOCOL_TLS_SERVER, alice, leaf(side["server"], Role.SCHEDULER), tmp_path),
            context(ssl.PROTOCOL_TLS_CLIENT, alice, leaf(side["client"], Role.CLIENT), tmp_path),
        )


def test_a_scheduler_trusts_the_operators_endpoint_by_name(tmp_path: Path) -> None:
    system = new_system_authority(NOW)
    one = leaf(system, Role.ENDPOINT)
    server = context(ssl.PROTOCOL_TLS_SERVER, system, one, tmp_path)
    server.verify_mode = ssl.CERT_NONE
    client = ssl.create_default_context(cadata=system.certificate_pem.decode())
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    handshake(server, client, HOST)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"(?i)hostname"):
        handshake(server, client, "elsewhere.casita.svc")


def test_the_system_authority_lives_as_long_as_documented() -> None:
    system = new_system_authority(NOW)
    assert system.not_before == NOW - BACKDATE
    assert system.not_after == NOW + SYSTEM_AUTHORITY_LIFETIME


@given(
    st.timedeltas(timedelta(0), 8 * DAY - BACKDATE - timedelta(seconds=1)),
    st.timedeltas(timedelta(seconds=2), 400 * DAY),
)
def test_a_leaf_never_outlives_its_authority(age: timedelta, lifetime: timedelta) -> None:
    root = LONG
    now = NOW + age
    one = issue_leaf(root, Role.CLIENT, [], now, lifetime)
    assert root.not_before <= one.not_before <= now < one.not_after <= root.not_after
    if now + lifetime <= root.not_after:
        assert abs(one.not_after - now - lifetime) < timedelta(seconds=1)
    read = x509.load_pem_x509_certificate(one.certificate_pem)
    assert (read.not_valid_before_utc, read.not_valid_after_utc) == (one.not_before, one.not_after)
    assert f"{read.serial_number:x}" == one.serial


LONG = authority()


def test_a_leaf_is_valid_for_clocks_that_are_late() -> None:
    root = new_authority("a", NOW - DAY, 8 * DAY)
    assert leaf(root, Role.WORKER).not_before == NOW - BACKDATE


def test_times_in_any_zone_are_the_same_times(alice: Authority) -> None:
    there = NOW.astimezone(timezone(timedelta(hours=9)))
    one = issue_leaf(alice, Role.CLIENT, [], there, DAY)
    assert one.not_after == NOW + DAY
    assert one.not_after.tzinfo is UTC


def test_a_time_without_a_zone_is_a_mistake(alice: Authority) -> None:
    with pytest.raises(ValueError, match="time with a zone"):
        new_authority("a", NOW.replace(tzinfo=None), DAY)
    with pytest.raises(ValueError, match="time with a zone"):
        issue_leaf(alice, Role.CLIENT, [], NOW.replace(tzinfo=None), DAY)


@pytest.mark.parametrize("offset", [-DAY, 9 * DAY])
def test_an_authority_signs_nothing_outside_its_life(alice: Authority, offset: timedelta) -> None:
    with pytest.raises(CredentialError, match=f"authority {alice.fingerprint} is valid from"):
        issue_leaf(alice, Role.CLIENT, [], NOW + offset, DAY)


@pytest.mark.parametrize("lifetime", [timedelta(0), -DAY])
def test_a_life_has_an_end_after_its_start(alice: Authority, lifetime: timedelta) -> None:
    with pytest.raises(CredentialError, match="lifetime of a leaf must be positive"):
        issue_leaf(alice, Role.CLIENT, [], NOW, lifetime)
    with pytest.raises(CredentialError, match="lifetime of an authority must be positive"):
        new_authority("a", NOW, lifetime)


@pytest.mark.parametrize("name", ["", "a" * 65])
def test_a_common_name_has_the_length_that_x509_allows(name: str) -> None:
    with pytest.raises(CredentialError, match="1 to 64 characters"):
        new_authority(name, NOW, DAY)
    assert new_authority("a" * 64, NOW, DAY)


@pytest.mark.parametrize("role", DIALLED)
def test_who_is_dialled_has_a_name(alice: Authority, role: Role) -> None:
    with pytest.raises(CredentialError, match=f"a leaf for {role} needs at least one DNS name"):
        issue_leaf(alice, role, [], NOW, DAY)


def test_a_name_that_is_none_is_refused(alice: Authority) -> None:
    with pytest.raises(CredentialError, match="DNS names"):
        issue_leaf(alice, Role.WORKER, ["ålice.example"], NOW, DAY)


def test_every_certificate_has_a_number_and_a_key_of_its_own(alice: Authority) -> None:
    made = [leaf(alice, Role.WORKER) for _ in range(20)]
    assert len({one.serial for one in made}) == len(made)
    assert len({one.key_pem for one in made}) == len(made)


def test_a_fingerprint_tells_authorities_apart(alice: Authority) -> None:
    assert alice.fingerprint == authority_fingerprint(alice.certificate)
    assert len(alice.fingerprint) == 16
    assert int(alice.fingerprint, 16) >= 0
    assert authority().fingerprint != alice.fingerprint


def test_nothing_prints_a_key(alice: Authority) -> None:
    one = leaf(alice, Role.WORKER)
    for shown in (repr(one), repr(alice), str(one), f"{alice}"):
        assert "PRIVATE" not in shown
        assert one.key_pem.decode().splitlines()[1] not in shown
