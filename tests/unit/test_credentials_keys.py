"""Key files are read as the servers read them; what is wrong is told, with file and remedy."""

import base64
import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casita.credentials import idtoken, macaroon
from casita.credentials.errors import CredentialError, SigningKeyError
from casita.credentials.keys import (
    authority_file,
    idtoken_key_file,
    macaroon_key_file,
    macaroon_secret,
)
from casita.credentials.system import (
    new_idtoken_key,
    new_macaroon_key,
    new_system_authority,
)
from tests.unit.test_credentials_macaroon import NOW

SECRET = bytes(range(64))
TEXT = base64.b64encode(SECRET)


def write(folder: Path, content: bytes) -> Path:
    file = folder / "key"
    file.write_bytes(content)
    return file


def test_generated_keys_are_read_and_no_two_are_the_same(tmp_path: Path) -> None:
    for make, read in (
        (new_idtoken_key, lambda path: idtoken_key_file(path, "casita")),
        (new_macaroon_key, macaroon_key_file),
    ):
        one, other = (read(write(tmp_path, make())).read() for _ in range(2))
        assert one.material != other.material
        assert one.fingerprint != other.fingerprint
    assert len(new_idtoken_key()) == 64
    assert len(macaroon_secret(new_macaroon_key())) == 64


def test_a_generated_macaroon_key_is_one_line_with_an_end() -> None:
    assert new_macaroon_key().count(b"\n") == 1
    assert new_macaroon_key().endswith(b"\n")


def test_keys_are_derived_as_the_servers_do(tmp_path: Path) -> None:
    found = idtoken_key_file(write(tmp_path, SECRET), "casita").read()
    assert found.material == idtoken.derive_key(SECRET, "casita")
    found = macaroon_key_file(write(tmp_path, TEXT + b"\n")).read()
    assert found.material == macaroon.derive_key(SECRET)


@given(st.binary(min_size=32, max_size=200), st.integers(1, 76))
def test_base64_may_be_wrapped_anywhere(secret: bytes, width: int) -> None:
    text = base64.b64encode(secret)
    lines = [text[start : start + width] for start in range(0, len(text), width)]
    assert macaroon_secret(b"\n".join(lines) + b"\n") == secret
    assert macaroon_secret(b"\r\n".join(lines) + b"\r\n") == secret


WRONG_MACAROON_KEYS = {
    "empty": (b"", "empty"),
    "no newline": (TEXT, "no newline"),
    "not base64": (b"this is / not base64!\n", "not base64"),
    "raw bytes": (SECRET, "not base64"),
    "truncated": (TEXT[:-3] + b"\n", "not base64"),
    "url alphabet": (base64.urlsafe_b64encode(b"\xff" * 64) + b"\n", "not base64"),
    "too short": (base64.b64encode(b"short") + b"\n", "5 decoded bytes, at least 32"),
}


@pytest.mark.parametrize(
    ("content", "words"), WRONG_MACAROON_KEYS.values(), ids=WRONG_MACAROON_KEYS
)
def test_a_macaroon_key_that_the_server_would_not_take_is_refused(
    tmp_path: Path, content: bytes, words: str
) -> None:
    file = write(tmp_path, content)
    with pytest.raises(SigningKeyError, match=words) as caught:
        macaroon_key_file(file).read()
    assert str(file) in str(caught.value)
    assert "macaroons.secretkey" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "key_id", "words"),
    [
        (b"", "casita", "empty"),
        (b"too short", "casita", "9 bytes, at least 32"),
        (SECRET, "POOL", "'POOL' is the pool's own"),
    ],
)
def test_an_idtoken_key_that_cannot_be_used_is_refused(
    tmp_path: Path, content: bytes, key_id: str, words: str
) -> None:
    file = write(tmp_path, content)
    with pytest.raises(SigningKeyError, match=words) as caught:
        idtoken_key_file(file, key_id).read()
    assert str(file) in str(caught.value)


def test_a_file_that_is_missing_or_no_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SigningKeyError, match="there is no such file; the Secret must hold"):
        macaroon_key_file(tmp_path / "key").read()
    with pytest.raises(SigningKeyError, match="Is a directory"):
        idtoken_key_file(tmp_path, "casita").read()


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.symlink_to(file)
    with pytest.raises(SigningKeyError, match="symbolic links"):
        idtoken_key_file(file, "casita").read()


def test_a_file_that_a_group_may_read_is_fine(tmp_path: Path) -> None:
    """The operator mounts Secrets as they are; the servers have copies of their own."""
    file = write(tmp_path, SECRET)
    file.chmod(0o440)
    assert idtoken_key_file(file, "casita").read().material


def test_a_key_that_kubelet_replaces_is_read_again(tmp_path: Path) -> None:
    """By another link to another folder, as kubelet does, whatever the file's times are."""
    for name, byte in (("one", b"1"), ("two", b"2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "key").write_bytes(byte * 64)
        os.utime(tmp_path / name / "key", (1, 1))
    (tmp_path / "..data").symlink_to("one")
    file = tmp_path / "key"
    file.symlink_to("..data/key")
    reader = idtoken_key_file(file, "casita")
    first = reader.read()
    assert reader.read() is first
    (tmp_path / "new").symlink_to("two")
    (tmp_path / "new").replace(tmp_path / "..data")
    assert reader.read().fingerprint != first.fingerprint


def test_a_key_that_is_lost_is_not_used_on_and_comes_back(tmp_path: Path) -> None:
    file = write(tmp_path, SECRET)
    reader = idtoken_key_file(file, "casita")
    before = reader.read()
    file.unlink()
    with pytest.raises(SigningKeyError):
        reader.read()
    write(tmp_path, b"")
    with pytest.raises(SigningKeyError):
        reader.read()
    write(tmp_path, SECRET)
    assert reader.read() == before


@given(st.binary(min_size=1, max_size=90))
def test_no_error_shows_anything_of_a_key(content: bytes) -> None:
    try:
        macaroon_secret(content)
    except CredentialError as error:
        said = str(error)
        for start in range(len(content) - 7):
            assert content[start : start + 8].decode("latin-1") not in said


def test_a_fingerprint_tells_keys_apart_and_is_no_plain_hash(tmp_path: Path) -> None:
    found = idtoken_key_file(write(tmp_path, SECRET), "casita").read()
    assert len(found.fingerprint) == 16
    assert found.fingerprint != hashlib.sha256(SECRET).hexdigest()[:16]
    assert found.fingerprint not in found.material.hex()


def test_the_caches_authority_is_a_certificate_and_never_a_key(tmp_path: Path) -> None:
    authority = new_system_authority(NOW)
    pem = authority.certificate_pem
    assert authority_file(write(tmp_path, pem)).read() == pem
    with pytest.raises(SigningKeyError, match="cannot be read"):
        authority_file(write(tmp_path, pem[:100])).read()
    with pytest.raises(SigningKeyError, match="private key"):
        authority_file(write(tmp_path, pem + authority.key_pem)).read()
