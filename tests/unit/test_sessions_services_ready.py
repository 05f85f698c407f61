"""ServicesReady: of the services that a session may use, each that does not do what it should."""

from datetime import UTC, datetime
from typing import Any

import pytest

from casita.api.conditions import ConditionType, Reason
from casita.api.session import SessionSpec
from casita.clients.checking.request import CheckAnswer, CheckReason
from casita.config import Site
from casita.sessions.checks import COLUMNS, TRACKING, inference_part
from casita.sessions.conditions import status_of
from casita.sessions.findings import Findings, Verdict
from casita.sessions.plan import Plan
from casita.sessions.services_ready import services_ready
from casita.sessions.view import View
from tests.unit.sessions_site import OWNER, VALUES, with_site

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DEFAULT = VALUES["profiles"][0]
PROFILES = [DEFAULT, {**DEFAULT, "name": "ml", "inference": "taggers"}]
OWN = {"url": "http://service:5000", "namespace": "n", "secret": "s"}
SERVER = {"name": "taggers", "url": "gateway:8001", "healthUrl": "http://triton:8000"}
SITE = with_site(profiles=PROFILES, inference={"servers": [SERVER]}, tracking=OWN, columns=OWN)
TRITON = inference_part("taggers")
PARTS = (TRITON, TRACKING, COLUMNS)


def answer(part: str, reason: CheckReason = CheckReason.ANSWERED) -> CheckAnswer:
    return CheckAnswer(reason, f"{part}: {reason}")


def fine(*parts: str) -> dict[str, CheckAnswer]:
    return {part: answer(part) for part in parts}


def verdict(
    answers: dict[str, CheckAnswer],
    profile: str = "ml",
    site: Site = SITE,
    previous: dict[str, Any] | None = None,
) -> Verdict:
    view = View(OWNER, SessionSpec(user="alice", profile=profile), site, {}, NOW)
    return services_ready(view, Findings({}, answers=answers), previous or {})


@pytest.mark.parametrize(
    "site",
    [
        with_site(profiles=PROFILES),
        with_site(
            profiles=PROFILES,
            inference={"servers": [{"name": "taggers", "url": "triton.example.org:443"}]},
            tracking={"url": "https://mlflow.example.org"},
        ),
    ],
    ids=["none", "somebody else's"],
)
def test_a_site_without_services_of_its_own_has_nothing_to_tell(site: Site) -> None:
    found = verdict({}, site=site)
    assert (found.status, found.reason) == (True, Reason.NOT_CONFIGURED)


def test_all_that_answer_are_named() -> None:
    found = verdict(fine(*PARTS))
    assert (found.status, found.reason) == (True, Reason.ANSWERED)
    assert found.message == "; ".join(f"{part}: Answered" for part in PARTS)


TROUBLES = [
    (TRITON, CheckReason.UNREACHABLE, Reason.INFERENCE_UNREACHABLE),
    (TRITON, CheckReason.NOT_UNDERSTOOD, Reason.INFERENCE_UNREACHABLE),
    (TRACKING, CheckReason.NO_ANSWER, Reason.TRACKING_UNREACHABLE),
    (TRACKING, CheckReason.TOKEN_REFUSED, Reason.TRACKING_REFUSED),
    (COLUMNS, CheckReason.NOT_UNDERSTOOD, Reason.COLUMNS_UNREACHABLE),
    (COLUMNS, CheckReason.TOKEN_REFUSED, Reason.COLUMNS_REFUSED),
]


@pytest.mark.parametrize(("part", "why", "reason"), TROUBLES)
def test_one_that_fails_is_told_alone(part: str, why: CheckReason, reason: Reason) -> None:
    found = verdict({**fine(*PARTS), part: answer(part, why)})
    assert (found.status, found.reason, found.message) == (False, reason, f"{part}: {why}")


def test_all_that_fail_are_told_and_the_first_gives_the_word() -> None:
    down = {part: answer(part, CheckReason.UNREACHABLE) for part in PARTS}
    found = verdict(down)
    assert (found.status, found.reason) == (False, Reason.INFERENCE_UNREACHABLE)
    assert found.message == "; ".join(f"{part}: Unreachable" for part in PARTS)


def test_a_session_hears_of_the_services_that_it_uses_alone() -> None:
    answers = {**fine(*PARTS), TRITON: answer(TRITON, CheckReason.UNREACHABLE)}
    assert verdict(answers, profile="default").status is True
    assert verdict(answers, profile="ml").status is False


def test_a_failure_is_told_before_the_rest_was_asked() -> None:
    found = verdict({TRACKING: answer(TRACKING, CheckReason.UNREACHABLE)})
    assert found.reason is Reason.TRACKING_UNREACHABLE


def told(status: str, reason: str, message: str = "as before") -> dict[str, Any]:
    condition = {
        "type": "ServicesReady",
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2025-01-01T00:00:00Z",
    }
    return {"conditions": [condition]}


@pytest.mark.parametrize("answers", [{}, fine(TRITON)])
def test_until_all_were_asked_nothing_is_known(answers: dict[str, CheckAnswer]) -> None:
    assert verdict(answers) == Verdict(None, Reason.NOT_TRIED, "being tried")


def test_a_restarted_operator_keeps_what_was_told_until_all_were_asked() -> None:
    before = told("False", "TrackingRefused")
    assert verdict(fine(TRITON), previous=before) == Verdict(
        False, Reason.TRACKING_REFUSED, "as before"
    )
    assert verdict(fine(*PARTS), previous=before).status is True


@pytest.mark.parametrize("before", [told("Unknown", "NotTried"), told("False", "Stopped")])
def test_what_says_nothing_of_services_is_not_kept(before: dict[str, Any]) -> None:
    assert verdict({}, previous=before).status is None


def test_a_check_that_could_not_be_made_says_nothing() -> None:
    answers = {**fine(*PARTS), COLUMNS: answer(COLUMNS, CheckReason.CHECK_FAILED)}
    assert verdict(answers).status is None


def test_services_do_not_enter_ready() -> None:
    spec = SessionSpec(user="alice", profile="ml")
    view = View(OWNER, spec, SITE, {}, NOW)
    readies = []
    for reason in (CheckReason.ANSWERED, CheckReason.UNREACHABLE):
        answers = {part: answer(part, reason) for part in PARTS}
        status = status_of(view, Plan(), Findings({}, answers=answers), 1, {})
        conditions = {c["type"]: c for c in status["conditions"]}
        readies.append(conditions[ConditionType.READY])
        assert conditions["ServicesReady"]["status"] == str(reason is CheckReason.ANSWERED)
    assert readies[0] == readies[1]
