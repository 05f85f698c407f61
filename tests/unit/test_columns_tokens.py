"""Tokens of the front door: none passes but a live one of this site, and ServiceX takes ours."""

import base64
import json
import time
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from casita.columns.refusal import Reason, RefusedError
from casita.columns.tokens import Claims, SessionReference, Tokens, bearer
from casita.credentials import jwt
from casita.credentials.servicex import Holder, mint
from casita.credentials.token import SigningKey
from tests.unit.columns_bed import ISSUER, KEY, NOW, TOKENS

SESSION = SessionReference("casita", "alice", "1234")
THEN = NOW.timestamp()


def refresh(user: str = "alice", session: str = str(SESSION), issuer: str = ISSUER) -> str:
    holder = Holder(issuer, user, session)
    return mint(KEY, holder, timedelta(hours=1), NOW, uuid4(), uuid4()).text


def signed(**changes: Any) -> str:
    said = {
        "type": "refresh",
        "iss": ISSUER,
        "sub": "alice",
        "exp": int(THEN) + 60,
        "casita_session": str(SESSION),
        **changes,
    }
    return jwt.encode(KEY, {}, {name: value for name, value in said.items() if value is not None})


def test_what_the_operator_mints_is_understood() -> None:
    claims = TOKENS.verify(refresh(), "refresh", THEN)
    assert claims == Claims("alice", SESSION, int(THEN) + 3600)


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("", Reason.TOKEN),
        ("a.b.c", Reason.TOKEN),
        ("ä.b.c", Reason.TOKEN),
        ("x" * 5000, Reason.TOKEN),
        (signed(type="access"), Reason.TOKEN),
        (signed(iss="other.example.org"), Reason.TOKEN),
        (signed(iss=None), Reason.TOKEN),
        (signed(exp=None), Reason.TOKEN),
        (signed(exp=int(THEN)), Reason.EXPIRED),
        (signed(nbf=int(THEN) + 60), Reason.TOKEN),
        (signed(sub="root"), Reason.TOKEN),
        (signed(sub="Alice'; --"), Reason.TOKEN),
        (signed(sub="alice\n"), Reason.TOKEN),
        (signed(casita_session=None), Reason.TOKEN),
        (signed(casita_session="casita/alice"), Reason.TOKEN),
    ],
)
def test_a_token_that_is_not_right_in_all_is_refused(token: str, reason: Reason) -> None:
    with pytest.raises(RefusedError) as refused:
        TOKENS.verify(token, "refresh", THEN)
    assert (refused.value.status, refused.value.reason) == (401, reason)


def test_a_token_of_another_key_or_with_another_content_is_refused() -> None:
    header, payload, signature = refresh().split(".")
    said = json.loads(base64.urlsafe_b64decode(payload + "=="))
    other = base64.urlsafe_b64encode(json.dumps({**said, "sub": "bob"}).encode()).decode()
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    foreign = jwt.encode(SigningKey(b"other", ""), {}, said)
    for token in (f"{header}.{other.rstrip('=')}.{signature}", f"{none}.{payload}.", foreign):
        with pytest.raises(RefusedError, match="not from this site"):
            TOKENS.verify(token, "refresh", THEN)


def test_an_access_token_keeps_its_session_and_does_not_outlive_the_sessions_token() -> None:
    claims = TOKENS.verify(refresh(), "refresh", THEN)
    found = TOKENS.verify(TOKENS.access(claims, THEN), "access", THEN)
    assert found == Claims("alice", SESSION, int(THEN) + 900)
    late = TOKENS.verify(TOKENS.access(claims, THEN + 3500), "access", THEN + 3500)
    assert late.expires == claims.expires
    with pytest.raises(RefusedError, match="a refresh token is needed"):
        TOKENS.verify(TOKENS.access(claims, THEN), "refresh", THEN)


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic abc"])
def test_no_token_is_told_from_a_wrong_one(header: str | None) -> None:
    with pytest.raises(RefusedError) as refused:
        bearer(header)
    assert refused.value.reason is Reason.NO_TOKEN


def test_servicex_takes_our_tokens_as_its_own() -> None:
    """By the library that its app verifies tokens with, configured as the chart does."""
    flask = pytest.importorskip("flask")
    extended = pytest.importorskip("flask_jwt_extended")
    app = flask.Flask("servicex")
    app.config.update(JWT_SECRET_KEY=KEY.material.decode(), JWT_DECODE_ISSUER=ISSUER)
    extended.JWTManager(app)

    @app.get("/who")  # type: ignore[untyped-decorator]
    @extended.jwt_required()  # type: ignore[untyped-decorator]
    def who() -> dict[str, str]:
        return {"identity": extended.get_jwt_identity()}

    now = time.time()
    claims = Claims("alice", SESSION, int(now) + 600)

    def ask(tokens: Tokens) -> Any:
        header = {"Authorization": f"Bearer {tokens.access(claims, now)}"}
        return app.test_client().get("/who", headers=header)

    assert ask(TOKENS).json == {"identity": "alice"}
    assert ask(Tokens(KEY, "other.example.org", 900)).status_code == 422
    assert ask(Tokens(SigningKey(b"other" * 8, ""), ISSUER, 900)).status_code == 422
