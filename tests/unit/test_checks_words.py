"""What servers and libraries say becomes one reason and plain words."""

import pytest

from casita.clients.checking.request import (
    CacheCheck,
    CheckAnswer,
    CheckReason,
    ScheddCheck,
    decode_answer,
    decode_request,
    encode_answer,
    encode_request,
)
from casita.clients.checking.schedd import explain

FAILED = "ERROR: AUTHENTICATE:1003:Failed to authenticate with any method"

LOGGED = [
    (
        "Ignoring token as it is from trust domain a.pool (server trust domain is b.pool).",
        CheckReason.TOKEN_REFUSED,
        "tokens are made for the trust domain a.pool, and the pool's is b.pool",
    ),
    (
        f"Ignoring token as it was signed with key casita (not known to the server).\n{FAILED}",
        CheckReason.TOKEN_REFUSED,
        "the pool has no signing key named casita",
    ),
    (
        f"Hash supplied by server doesn't match that calculated by the client.\n{FAILED}",
        CheckReason.TOKEN_REFUSED,
        "signing key of that name is another",
    ),
    (FAILED, CheckReason.TOKEN_REFUSED, "clocks apart"),
    (
        'FAILED: Received "DENIED" from server for user probe@elsewhere using method IDTOKENS.',
        CheckReason.PERMISSION_DENIED,
        "denies probe@elsewhere; see ALLOW_READ",
    ),
    (
        "attempt to connect to <10.0.0.1:9618> failed: Connection refused (connect errno = 111).",
        CheckReason.UNREACHABLE,
        "no connection: Connection refused",
    ),
    (
        "Can't resolve collector nosuch.invalid:9618; skipping",
        CheckReason.UNREACHABLE,
        "no such name",
    ),
    (
        "condor_read(): timeout reading 5 bytes from collector.\nIO: Failed to read packet header",
        CheckReason.NO_ANSWER,
        "no answer",
    ),
    ("IO: Failed to read packet header", CheckReason.NOT_UNDERSTOOD, "HTCondor's protocol"),
    ("", CheckReason.NOT_UNDERSTOOD, "Failed to start command."),
]
"""Lines that htcondor 25.14.1 wrote before HTCondor 23.9.6."""


@pytest.mark.parametrize(("log", "reason", "text"), LOGGED)
def test_a_failure_of_htcondors_library_is_told_by_its_cause(
    log: str, reason: CheckReason, text: str
) -> None:
    found, message = explain(log, "Failed to start command.")
    assert found is reason
    assert text in message


REQUESTS: list[CacheCheck | ScheddCheck] = [
    CacheCheck("xcache", 1094, "a token", "pem", "/store/probe", "/store/none"),
    ScheddCheck("pool:9618", "casita@casita.pool", "a token", ("READ", "WRITE")),
]


@pytest.mark.parametrize("request_", REQUESTS)
def test_requests_and_answers_cross_the_pipe_unchanged(request_: CacheCheck | ScheddCheck) -> None:
    assert decode_request(encode_request(request_, 30.0)) == (request_, 30.0)
    answer = CheckAnswer(CheckReason.NO_SUCH_FILE, "no file", 1.5)
    assert decode_answer(encode_answer(answer)) == answer


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_token_is_not_shown_with_its_request(request_: CacheCheck | ScheddCheck) -> None:
    assert "a token" not in repr(request_)


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"null", b'{"check": "tape", "timeout": 1}'])
def test_what_is_no_request_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"request|Expecting"):
        decode_request(text)


@pytest.mark.parametrize("line", ["", "[]", "null", "{}", '{"reason": "Fine"}', '{"step": "read"}'])
def test_what_is_no_answer_is_not_taken_for_one(line: str) -> None:
    with pytest.raises(ValueError, match=r"answer|Expecting|Fine"):
        decode_answer(line)
