"""The tracking server takes the operator's tokens, and the operator's alone."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from casita.credentials import mlflow
from casita.tracking.tokens import TokenRefusedError, read_key, token_user

ROOT = b"r" * 32
KEY = mlflow.derive_key(ROOT)


def minted(now: datetime, issuer: str = "casita.test") -> str:
    return mlflow.mint(KEY, issuer, "alice", timedelta(hours=1), now, "0" * 32).text


def test_what_the_operator_mints_is_taken() -> None:
    assert token_user(minted(datetime.now(UTC)), KEY.material, "casita.test") == "alice"


def test_it_is_refused_when_it_is_over_or_of_another_site_or_root_key() -> None:
    old = minted(datetime.now(UTC) - timedelta(hours=2))
    with pytest.raises(TokenRefusedError, match="expired"):
        token_user(old, KEY.material, "casita.test")
    with pytest.raises(TokenRefusedError, match="issuer"):
        token_user(minted(datetime.now(UTC)), KEY.material, "another.test")
    other = mlflow.derive_key(b"s" * 32).material
    with pytest.raises(TokenRefusedError, match="verification failed"):
        token_user(minted(datetime.now(UTC)), other, "casita.test")


def test_an_empty_key_signs_nothing(tmp_path: Path) -> None:
    file = tmp_path / "token-key"
    file.write_bytes(b"")
    with pytest.raises(OSError, match="0 bytes"):
        read_key(file)
    file.write_bytes(KEY.material)
    assert read_key(file) == KEY.material
