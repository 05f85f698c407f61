"""Tokens for tracking and columns: of one user, for one service, and what its server takes."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import flask
import jwt as pyjwt
import pytest
from flask_jwt_extended import JWTManager, get_jwt, get_jwt_identity, jwt_required

from casita.api.names import PROBE_USER
from casita.credentials import mlflow, servicex
from casita.credentials.errors import CredentialError
from casita.credentials.root import service_key
from casita.credentials.token import Token

ROOT = bytes(range(32))
NOW = datetime.now(UTC)
LIFE = timedelta(hours=12)
NUMBER = "0123456789abcdef" * 2
HOLDER = servicex.Holder("af.test", "alice", "casita/alice/uid-of-alice")
TRACKING, COLUMNS = mlflow.derive_key(ROOT), servicex.derive_key(ROOT)


def for_tracking(now: datetime = NOW, user: str = "alice") -> Token:
    return mlflow.mint(TRACKING, "af.test", user, LIFE, now, NUMBER)


def for_columns(now: datetime = NOW, holder: servicex.Holder = HOLDER) -> Token:
    return servicex.mint(COLUMNS, holder, LIFE, now, UUID(int=1), UUID(int=2))


def test_each_service_has_a_key_of_its_own_which_is_text_and_leads_to_no_other() -> None:
    keys = [TRACKING, COLUMNS, service_key(ROOT, "other"), mlflow.derive_key(bytes(32))]
    assert len({key.material for key in keys}) == len({key.fingerprint for key in keys}) == 4
    assert all(len(bytes.fromhex(key.material.decode())) == 32 for key in keys)
    assert TRACKING.material not in repr(TRACKING).encode()
    with pytest.raises(CredentialError, match="root key has 8 bytes"):
        mlflow.derive_key(bytes(8))


def test_a_tracking_token_is_one_that_pyjwt_takes_for_this_user_and_service() -> None:
    said = pyjwt.decode(
        for_tracking().text,
        TRACKING.material.decode(),
        algorithms=["HS256"],
        audience="mlflow",
        issuer="af.test",
        options={"require": ["iss", "aud", "sub", "jti", "iat", "nbf", "exp"]},
    )
    assert said["sub"] == "alice"
    assert said["exp"] - said["iat"] == 12 * 3600


def test_a_tracking_token_is_read_back_as_it_was_made() -> None:
    token = for_tracking()
    assert mlflow.verify(TRACKING, token.text, "af.test", "alice") == token


@pytest.mark.parametrize(
    ("issuer", "user", "wrong"), [("other", "alice", "iss"), ("af.test", "bob", "sub")]
)
def test_a_tracking_token_of_somebody_else_is_refused(issuer: str, user: str, wrong: str) -> None:
    with pytest.raises(CredentialError, match=f"another {wrong}"):
        mlflow.verify(TRACKING, for_tracking().text, issuer, user)


@pytest.mark.parametrize("text", ["", "a.b.c", "é.ü.ö", for_columns().text])
def test_what_is_not_signed_with_the_services_key_is_refused(text: str) -> None:
    with pytest.raises(CredentialError, match="damaged or signed with another key"):
        mlflow.verify(TRACKING, text, "af.test", "alice")
    with pytest.raises(CredentialError, match="damaged or signed with another key"):
        servicex.verify(COLUMNS, for_tracking().text, HOLDER)


@pytest.mark.parametrize("user", ["", "Alice", "a b", "a" * 33, "alice@cern.ch"])
def test_no_token_is_made_for_a_name_that_is_none(user: str) -> None:
    with pytest.raises(CredentialError, match="the name must match"):
        for_tracking(user=user)
    with pytest.raises(CredentialError, match="the name must match"):
        for_columns(holder=servicex.Holder("af.test", user, "x"))


def test_the_operator_itself_may_ask() -> None:
    assert for_tracking(user=PROBE_USER).text
    assert for_columns(holder=servicex.Holder("af.test", PROBE_USER, "x")).text


def test_a_columns_token_is_read_back_as_it_was_made() -> None:
    assert servicex.verify(COLUMNS, for_columns().text, HOLDER) == for_columns()
    other = servicex.Holder("af.test", "alice", "casita/alice/uid-of-an-older-one")
    with pytest.raises(CredentialError, match="another casita_session"):
        servicex.verify(COLUMNS, for_columns().text, other)


def servicex_app() -> flask.Flask:
    """A server that asks for refresh tokens as ServiceX' own does."""
    app = flask.Flask("servicex")
    app.config["JWT_SECRET_KEY"] = COLUMNS.material.decode()
    JWTManager(app)

    @app.post("/token/refresh")
    @jwt_required(refresh=True)  # type: ignore[untyped-decorator] # it has no types
    def refresh() -> dict[str, str]:
        said = get_jwt()
        return {"user": get_jwt_identity(), "jti": said["jti"], "csrf": said["csrf"]}

    @app.get("/servicex")
    @jwt_required()  # type: ignore[untyped-decorator] # it has no types
    def work() -> str:
        return "never"

    return app


def ask(text: str, path: str = "/token/refresh") -> tuple[int, dict[str, str]]:
    client = servicex_app().test_client()
    method = "POST" if path == "/token/refresh" else "GET"
    answer = client.open(path, method=method, headers={"Authorization": f"Bearer {text}"})
    return answer.status_code, answer.get_json()


def test_flask_jwt_extended_takes_a_columns_token_for_a_refresh_token_of_its_own() -> None:
    token = for_columns()
    status, said = ask(token.text)
    assert status == 200
    assert said == {"user": "alice", "jti": token.id, "csrf": str(UUID(int=2))}


def test_it_is_good_for_nothing_but_access_tokens() -> None:
    assert ask(for_columns().text, "/servicex")[0] == 422


def test_it_ends() -> None:
    status, said = ask(for_columns(NOW - LIFE - timedelta(seconds=1)).text)
    assert (status, said["msg"]) == (401, "Token has expired")


def test_a_tracking_token_is_none_for_columns() -> None:
    assert ask(for_tracking().text)[0] == 422
