"""Report tokens: one per session and run, made again at any time, and no other one passes."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from casita.credentials.errors import CredentialError
from casita.credentials.report import (
    TOKEN_LENGTH,
    report_token,
    verify_report_token,
)
from casita.credentials.root import load_root_key
from casita.credentials.system import new_root_key
from tests.golden import Golden

KEY = bytes(range(32))
UID = "8d4f2a3c-5a55-4a53-9d3b-2f8f1f3d9a11"
RUN = "0123456789abcdef"

texts = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1)


def test_a_token_never_changes_between_releases(golden: Golden) -> None:
    golden.check(
        "report-token.json", {"uid": UID, "run": RUN, "token": report_token(KEY, UID, RUN)}
    )


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
def test_a_token_is_an_ordinary_hmac_in_base64url() -> None:
    # What the API reference says of the token, done by another program.
    command = f"openssl dgst -sha256 -mac HMAC -macopt hexkey:{KEY.hex()} -binary | base64"
    message = b"casita-report-v1\0" + UID.encode() + b"\0" + RUN.encode()
    made = subprocess.run(["sh", "-c", command], input=message, capture_output=True, check=True)
    expected = made.stdout.decode().strip().translate(str.maketrans("+/", "-_", "="))
    assert report_token(KEY, UID, RUN) == expected
    assert len(expected) == TOKEN_LENGTH


@given(texts, texts, texts, texts)
def test_a_token_serves_one_session_in_one_run(
    uid: str, run: str, other_uid: str, other_run: str
) -> None:
    assume((uid, run) != (other_uid, other_run))
    token = report_token(KEY, uid, run)
    assert verify_report_token(KEY, uid, run, token)
    assert not verify_report_token(KEY, other_uid, other_run, token)
    assert not verify_report_token(KEY[::-1], uid, run, token)


anything = st.text(st.characters())


@given(anything, anything)
def test_whatever_a_stranger_sends_is_refused_and_breaks_nothing(run: str, token: str) -> None:
    assume(token != report_token(KEY, UID, RUN))
    assert not verify_report_token(KEY, UID, RUN, token)
    assert not verify_report_token(KEY, UID, run, token)


@pytest.mark.parametrize("token", ["", "Ünïcode", "\udcff", report_token(KEY, UID, RUN) + "="])
def test_a_token_that_is_nearly_one_is_refused(token: str) -> None:
    assert not verify_report_token(KEY, UID, RUN, token)


@pytest.mark.parametrize(
    ("uid", "run"), [("", RUN), (UID, ""), ("a\0b", RUN), (UID, "a\0b"), (UID, "\udcff")]
)
def test_no_token_is_made_of_what_is_no_name(uid: str, run: str) -> None:
    with pytest.raises(CredentialError, match="must be printable text"):
        report_token(KEY, uid, run)
    assert not verify_report_token(KEY, uid, run, "")


def test_a_root_key_is_read_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"\n" + KEY + b"\n")
    assert load_root_key(file) == b"\n" + KEY + b"\n"


def test_new_root_keys_are_long_enough_and_differ() -> None:
    keys = {new_root_key() for _ in range(8)}
    assert len(keys) == 8
    for key in keys:
        assert report_token(key, UID, RUN)


def test_a_missing_root_key_is_told_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(CredentialError, match=f"{tmp_path}/key: there is no such file"):
        load_root_key(tmp_path / "key")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty, at least 32 bytes"), (b"hunter2", "has 7 bytes, at least 32")],
)
def test_a_root_key_that_is_too_short_is_told_and_not_shown(
    tmp_path: Path, content: bytes, message: str
) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    with pytest.raises(CredentialError, match=message) as caught:
        load_root_key(file)
    assert str(file) in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_root_key_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(CredentialError, match=os.strerror(21)):
        load_root_key(tmp_path)
