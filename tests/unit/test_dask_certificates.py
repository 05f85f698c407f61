"""A renewed leaf is taken up whole, or not at all."""

import logging
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from casita.credentials.x509 import Authority, Leaf, Role, issue_leaf
from casita.dask.certificates import LeafError, LeafFiles, LeafWatch, rehearse
from tests.unit.dask_session import SecretMount, authority, leaf, mount

logger = logging.getLogger("test")


def files(directory: Path) -> LeafFiles:
    return LeafFiles(directory / "ca.pem", directory / "tls.crt", directory / "tls.key")


def listener(directory: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=directory / "ca.pem")
    context.load_cert_chain(directory / "tls.crt", directory / "tls.key")
    return context


def serial(context: ssl.SSLContext, signer: Authority) -> str:
    """Return the serial number of what `context` presents in a handshake."""
    trusting = ssl.create_default_context(cadata=signer.certificate_pem.decode())
    trusting.check_hostname = False
    inbound, outbound = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = trusting.wrap_bio(inbound, outbound)
    there = context.wrap_bio(outbound, inbound, server_side=True)
    for side in (here, there, here):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    certificate = here.getpeercert()
    assert certificate is not None
    return f"{int(str(certificate['serialNumber']), 16):x}"


@pytest.fixture
def signer() -> Authority:
    return authority()


@pytest.fixture
def mounted(tmp_path: Path, signer: Authority) -> SecretMount:
    return mount(tmp_path / "tls", signer, Role.SCHEDULER)


def test_new_handshakes_present_the_renewed_leaf(
    mounted: SecretMount, signer: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    contexts = [listener(mounted.directory), listener(mounted.directory)]
    watch = LeafWatch(files(mounted.directory), lambda: contexts, serves=True, logger=logger)
    assert watch.poll(), "a swap between the contexts' making and the first look must not be missed"
    assert not watch.poll()

    renewed = mounted.write_leaf(signer, leaf(signer, Role.SCHEDULER))
    caplog.set_level(logging.INFO)
    assert watch.poll()
    assert [serial(context, signer) for context in contexts] == [renewed.serial] * 2
    assert f"serial {renewed.serial}, valid until" in caplog.text


def test_a_leaf_written_in_place_is_noticed_too(mounted: SecretMount, signer: Authority) -> None:
    context = listener(mounted.directory)
    watch = LeafWatch(files(mounted.directory), lambda: [context], serves=True, logger=logger)
    watch.poll()
    renewed = leaf(signer, Role.SCHEDULER)
    (mounted.directory / "tls.crt").write_bytes(renewed.certificate_pem)
    assert not watch.poll(), "the new certificate beside the old key is no leaf"
    (mounted.directory / "tls.key").write_bytes(renewed.key_pem)
    assert watch.poll()
    assert serial(context, signer) == renewed.serial


def truncated_certificate(good: Leaf, _: Authority) -> tuple[bytes, bytes]:
    return good.certificate_pem[:200], good.key_pem


def truncated_key(good: Leaf, _: Authority) -> tuple[bytes, bytes]:
    return good.certificate_pem, good.key_pem[:100]


def empty(_good: Leaf, _: Authority) -> tuple[bytes, bytes]:
    return b"", b""


def another_key(good: Leaf, signer: Authority) -> tuple[bytes, bytes]:
    return good.certificate_pem, leaf(signer, Role.SCHEDULER).key_pem


def another_authority(_good: Leaf, _: Authority) -> tuple[bytes, bytes]:
    stranger = leaf(authority("stranger"), Role.SCHEDULER)
    return stranger.certificate_pem, stranger.key_pem


def expired(_good: Leaf, signer: Authority) -> tuple[bytes, bytes]:
    past = datetime.now(UTC) - timedelta(minutes=4)
    old = issue_leaf(signer, Role.SCHEDULER, ("localhost",), past, timedelta(minutes=1))
    return old.certificate_pem, old.key_pem


def for_clients_only(_good: Leaf, signer: Authority) -> tuple[bytes, bytes]:
    client = leaf(signer, Role.CLIENT)
    return client.certificate_pem, client.key_pem


def encrypted_key(good: Leaf, _: Authority) -> tuple[bytes, bytes]:
    key = serialization.load_pem_private_key(good.key_pem, None)
    secret = serialization.BestAvailableEncryption(b"secret")
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return good.certificate_pem, key.private_bytes(*pem, secret)


@pytest.mark.parametrize(
    "broken",
    [
        truncated_certificate,
        truncated_key,
        empty,
        another_key,
        another_authority,
        expired,
        for_clients_only,
        encrypted_key,
    ],
)
def test_a_bad_leaf_is_refused_once_and_the_old_one_kept(
    mounted: SecretMount,
    signer: Authority,
    caplog: pytest.LogCaptureFixture,
    broken: Callable[[Leaf, Authority], tuple[bytes, bytes]],
) -> None:
    context = listener(mounted.directory)
    before = serial(context, signer)
    watch = LeafWatch(files(mounted.directory), lambda: [context], serves=True, logger=logger)
    watch.poll()
    good = leaf(signer, Role.SCHEDULER)
    certificate, key = broken(good, signer)
    mounted.write({"ca.pem": signer.certificate_pem, "tls.crt": certificate, "tls.key": key})

    assert not watch.poll()
    assert not watch.poll()
    assert serial(context, signer) == before
    assert caplog.text.count("stays in use") == 1
    assert good.key_pem.decode().splitlines()[1] not in caplog.text

    mounted.write_leaf(signer, good)
    assert watch.poll(), "the next good one is taken"
    assert serial(context, signer) == good.serial


def test_a_missing_file_is_refused(mounted: SecretMount, caplog: pytest.LogCaptureFixture) -> None:
    (mounted.directory / "tls.key").unlink()
    watch = LeafWatch(files(mounted.directory), list, serves=True, logger=logger)
    assert not watch.poll()
    assert "tls.key" in caplog.text


def test_a_client_leaf_in_one_file_is_good_for_dialling(
    mounted: SecretMount, signer: Authority
) -> None:
    client = mounted.write_leaf(signer, leaf(signer, Role.CLIENT, ()))
    combined = LeafFiles(mounted.directory / "ca.pem", mounted.directory / "usercert.pem", None)
    assert rehearse(combined.authority, combined.read(), serves=False).serial == client.serial
    with pytest.raises(LeafError):
        rehearse(combined.authority, combined.read(), serves=True)
