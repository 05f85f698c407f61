"""A session asks its inference server, and asks again where a server was lost."""

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from casita.access.inference import CHANNEL, PATIENCE, NoInferenceError, client, patient

LOST = "[StatusCode.UNAVAILABLE] Received http2 header with status: 502"
KILLED = "[StatusCode.UNKNOWN] Received http2 header with status: 500"
BROKEN_OFF = (
    "[StatusCode.INTERNAL] Stream removed (RST_STREAM (Received RST_STREAM with error code 2))"
)
REFUSED = "[StatusCode.NOT_FOUND] Request for unknown model: 'top' is not found"


class Client:
    """In place of tritonclient's: keeps what it was made with."""

    def __init__(self, url: str, channel_args: list[tuple[str, Any]], **options: Any) -> None:
        self.url, self.channel, self.options = url, dict(channel_args), options

    def infer(self, model: str) -> str:
        return model


@pytest.fixture(autouse=True)
def _tritonclient(monkeypatch: pytest.MonkeyPatch) -> None:
    package, grpc = ModuleType("tritonclient"), ModuleType("tritonclient.grpc")
    grpc.InferenceServerClient = Client  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tritonclient", package)
    monkeypatch.setitem(sys.modules, "tritonclient.grpc", grpc)


def test_the_client_is_one_of_the_sessions_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_URL", "gateway.example:8001")
    found: Any = client(verbose=True)
    assert found.url == "gateway.example:8001"
    assert found.options == {"verbose": True}
    assert found.channel == dict(CHANNEL)
    assert found.infer("dimuon") == "dimuon"


def test_another_server_and_other_options_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_URL", raising=False)
    found: Any = client(url="localhost:1", channel_args=[("grpc.keepalive_time_ms", 1)])
    assert found.url == "localhost:1"
    assert found.channel == {**CHANNEL, "grpc.keepalive_time_ms": 1}


def test_a_session_without_a_server_is_told_in_plain_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_URL", raising=False)
    with pytest.raises(NoInferenceError, match="profile has no inference server"):
        client()


class Answers:
    """Raises what it was given, one after the other, then answers; time passes by sleeping."""

    def __init__(self, *errors: str) -> None:
        self.errors = iter(errors)
        self.now = 0.0

    def __call__(self, model: str) -> str:
        for error in self.errors:
            raise RuntimeError(error)
        return model

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def clock(self) -> float:
        return self.now


def ask(answers: Answers) -> str:
    return patient(answers, answers.clock, answers.sleep)("dimuon")


def test_a_request_that_a_server_took_with_it_is_sent_again() -> None:
    answers = Answers(KILLED, LOST, BROKEN_OFF)
    assert ask(answers) == "dimuon"
    assert 0 < answers.now <= 15


def test_an_answer_of_the_server_is_final() -> None:
    answers = Answers(REFUSED)
    with pytest.raises(RuntimeError, match="unknown model"):
        ask(answers)
    assert answers.now == 0


def test_patience_ends() -> None:
    def lost() -> Iterator[str]:
        while True:
            yield LOST

    answers = Answers()
    answers.errors = lost()
    with pytest.raises(RuntimeError, match="502"):
        ask(answers)
    assert PATIENCE <= answers.now <= PATIENCE + 10
