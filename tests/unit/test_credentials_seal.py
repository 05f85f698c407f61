"""A sealed key opens for its own session under the site's own root key, and for nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casita.credentials.errors import CredentialError
from casita.credentials.seal import seal, unseal

ROOT = bytes(range(32))


@given(st.binary(max_size=500), st.text(min_size=1, max_size=40))
def test_what_was_sealed_opens_again(material: bytes, uid: str) -> None:
    assert unseal(ROOT, uid, seal(ROOT, uid, material)) == material


def test_the_material_cannot_be_read_from_what_is_stored() -> None:
    assert b"PRIVATE KEY" not in seal(ROOT, "uid", b"-----BEGIN PRIVATE KEY-----")


@pytest.mark.parametrize(
    ("root", "uid"), [(ROOT, "another"), (bytes(32), "uid")], ids=["session", "root key"]
)
def test_another_session_or_root_key_does_not_open_it(root: bytes, uid: str) -> None:
    with pytest.raises(CredentialError, match="cannot be opened"):
        unseal(root, uid, seal(ROOT, "uid", b"key"))


@given(st.data())
def test_any_damage_is_noticed(data: st.DataObject) -> None:
    sealed = seal(ROOT, "uid", b"material")
    place = data.draw(st.integers(0, len(sealed) - 1))
    damaged = bytearray(sealed)
    damaged[place] ^= data.draw(st.integers(1, 255))
    for broken in (bytes(damaged), sealed[:place]):
        with pytest.raises(CredentialError):
            unseal(ROOT, "uid", broken)
