"""Reading material back: what is whole passes, and what is not is told without showing it."""

import traceback
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from casita.credentials.errors import CredentialError
from casita.credentials.verify import load_authority, load_certificate, verify_leaf
from casita.credentials.x509 import BACKDATE, Authority, Leaf, Role, issue_leaf, new_authority

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
HOST = "alice-0123456789.casita.svc"

ALICE = new_authority("casita session alice", NOW - BACKDATE, 8 * DAY)
BOB = new_authority("casita session alice", NOW - BACKDATE, 8 * DAY)
SCHEDULER = issue_leaf(ALICE, Role.SCHEDULER, [HOST, "localhost"], NOW, DAY)
CLIENT = issue_leaf(ALICE, Role.CLIENT, [], NOW, DAY)
RSA_KEY = rsa.generate_private_key(65537, 2048).private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
)
LOCKED_KEY = ALICE.key.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.BestAvailableEncryption(b"password"),
)


def verify(
    leaf: Leaf = SCHEDULER,
    *,
    certificate: bytes | None = None,
    key: bytes | None = None,
    authority: Authority = ALICE,
    now: datetime = NOW,
) -> Leaf:
    return verify_leaf(
        leaf.certificate_pem if certificate is None else certificate,
        leaf.key_pem if key is None else key,
        authority.certificate_pem,
        now,
    )


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def test_a_leaf_that_is_whole_comes_back_as_it_was_made() -> None:
    assert verify() == SCHEDULER
    assert verify(CLIENT) == CLIENT


def test_certificate_and_key_may_lie_in_one_file() -> None:
    # As in the user's usercert.pem.
    both = CLIENT.certificate_pem + CLIENT.key_pem
    read = verify_leaf(both, both, ALICE.certificate_pem, NOW, role=Role.CLIENT)
    assert (read.serial, read.not_after) == (CLIENT.serial, CLIENT.not_after)


@pytest.mark.parametrize(
    ("certificate", "key", "message"),
    [
        (b"", None, "certificate is empty"),
        (None, b"", "key is empty"),
        (half(SCHEDULER.certificate_pem), None, "certificate cannot be read"),
        (b"nonsense", None, "certificate cannot be read"),
        (None, half(SCHEDULER.key_pem), "key cannot be read: damaged, truncated"),
        (None, b"nonsense", "key cannot be read"),
        (None, SCHEDULER.certificate_pem, "key cannot be read"),
        (None, LOCKED_KEY, "key cannot be read: damaged, truncated or with a password"),
        (None, RSA_KEY, "key is not an elliptic-curve key"),
        (None, CLIENT.key_pem, "key does not belong to its certificate"),
        (CLIENT.certificate_pem, None, "key does not belong to its certificate"),
    ],
)
def test_what_is_wrong_with_a_leaf_is_told_and_no_material_shown(
    certificate: bytes | None, key: bytes | None, message: str
) -> None:
    with pytest.raises(CredentialError, match=f"^{message}") as caught:
        verify(certificate=certificate, key=key)
    told = "".join(traceback.format_exception(caught.value))
    for secret in (SCHEDULER.key_pem, CLIENT.key_pem, LOCKED_KEY, RSA_KEY):
        assert not [line for line in secret.decode().splitlines()[1:-1] if line in told]


def test_a_leaf_of_another_authority_is_told_though_the_names_agree() -> None:
    with pytest.raises(CredentialError, match=r"^certificate is not signed by this authority$"):
        verify(authority=BOB)


def test_a_leaf_does_not_pass_as_its_own_authority() -> None:
    with pytest.raises(CredentialError, match="not signed by this authority"):
        verify_leaf(SCHEDULER.certificate_pem, SCHEDULER.key_pem, SCHEDULER.certificate_pem, NOW)


@pytest.mark.parametrize(
    ("offset", "message"),
    [
        (-2 * BACKDATE, "authority's certificate is not valid before"),
        (DAY, f"^certificate expired at {SCHEDULER.not_after:%Y-%m-%dT%H:%M:%SZ}$"),
        (9 * DAY, f"^authority's certificate expired at {ALICE.not_after:%Y-%m-%dT%H:%M:%SZ}$"),
    ],
)
def test_what_is_not_valid_now_is_told_with_its_time(offset: timedelta, message: str) -> None:
    with pytest.raises(CredentialError, match=message):
        verify(now=NOW + offset)


def test_a_leaf_is_good_until_its_last_second() -> None:
    assert verify(now=SCHEDULER.not_after - timedelta(seconds=1))
    assert verify(now=SCHEDULER.not_before)


@pytest.mark.parametrize(
    ("leaf", "role", "missing"),
    [
        (CLIENT, Role.SCHEDULER, "serverAuth"),
        (issue_leaf(ALICE, Role.ENDPOINT, [HOST], NOW, DAY), Role.WORKER, "clientAuth"),
    ],
)
def test_a_leaf_in_the_wrong_secret_is_told(leaf: Leaf, role: Role, missing: str) -> None:
    with pytest.raises(CredentialError, match=f"cannot serve a {role}: it lacks {missing}"):
        verify_leaf(leaf.certificate_pem, leaf.key_pem, ALICE.certificate_pem, NOW, role=role)


def test_a_leaf_without_a_name_that_is_needed_is_told() -> None:
    names = [HOST, "alice.dask.new.example"]
    for leaf, missing in ((SCHEDULER, "alice.dask.new.example"), (CLIENT, HOST)):
        with pytest.raises(CredentialError, match=f"certificate does not name {missing}"):
            verify_leaf(leaf.certificate_pem, leaf.key_pem, ALICE.certificate_pem, NOW, names=names)
    pem = SCHEDULER.certificate_pem
    assert verify_leaf(pem, SCHEDULER.key_pem, ALICE.certificate_pem, NOW, names=[HOST])


def test_an_authority_that_is_whole_can_sign_again() -> None:
    read = load_authority(ALICE.certificate_pem, ALICE.key_pem, NOW)
    assert read.fingerprint == ALICE.fingerprint
    assert (read.certificate_pem, read.key_pem) == (ALICE.certificate_pem, ALICE.key_pem)
    assert verify(issue_leaf(read, Role.WORKER, [HOST], NOW, DAY))


@pytest.mark.parametrize(
    ("certificate", "key", "message"),
    [
        (b"", ALICE.key_pem, "authority's certificate is empty"),
        (ALICE.certificate_pem, half(ALICE.key_pem), "authority's key cannot be read"),
        (ALICE.certificate_pem, BOB.key_pem, "authority's key does not belong"),
        (SCHEDULER.certificate_pem, SCHEDULER.key_pem, "authority's certificate is not that of an"),
    ],
)
def test_what_is_wrong_with_an_authority_is_told(
    certificate: bytes, key: bytes, message: str
) -> None:
    with pytest.raises(CredentialError, match=f"^{message}"):
        load_authority(certificate, key)


def test_an_authority_that_expired_is_told_if_the_time_is_given() -> None:
    later = NOW + 9 * DAY
    with pytest.raises(CredentialError, match="authority's certificate expired at"):
        load_authority(ALICE.certificate_pem, ALICE.key_pem, later)
    assert load_authority(ALICE.certificate_pem, ALICE.key_pem)


def test_a_certificate_is_read_from_pem_and_der() -> None:
    assert load_certificate(ALICE.certificate_der) == ALICE.certificate
    assert load_certificate(ALICE.certificate_pem) == ALICE.certificate


@given(st.data())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_damage_anywhere_is_a_credential_error_or_harmless(data: st.DataObject) -> None:
    pems = {"certificate": SCHEDULER.certificate_pem, "key": SCHEDULER.key_pem}
    which = data.draw(st.sampled_from(sorted(pems)))
    damaged = bytearray(pems[which])
    damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    pems[which] = bytes(damaged)
    try:
        read = verify(certificate=pems["certificate"], key=pems["key"])
    except CredentialError:
        return
    assert (read.serial, read.not_after) == (SCHEDULER.serial, SCHEDULER.not_after)
