"""What is kept of schedulers' reports, and which of them are worth a look at the session."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from casita.sessions.cache import SessionKey
from casita.sessions.reports import SILENT_SECONDS, Report, Reports
from tests.support.clock import Clock

KEY = ("casita", "alice")
RUN = "0123456789abcdef"


class Desk:
    """Reports, with a clock and a note of who was told of."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.told: list[SessionKey] = []
        self.reports = Reports(self.told.append, self.clock)
        self._at = 0.0

    def take(self, **report: Any) -> bool:
        """Take a report a second after the last; say whether the session is to be looked at."""
        self._at += 1.0
        before = len(self.told)
        body = json.dumps({"run": RUN, **report})
        assert self.reports.take(KEY, Report.model_validate_json(body), self._at)
        return len(self.told) > before


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_report_is_of_its_own_run_alone(desk: Desk) -> None:
    workers = [{"name": "a", "reachable": True}, {"name": "b", "reachable": False, "error": "no"}]
    desk.take(workers=workers, demand={"cores": 3}, idleSeconds=5, mismatches=["client 1, here 2"])
    reports = desk.reports
    demand, since = reports.demand(KEY, RUN), reports.idle_since(KEY, RUN)
    assert demand is not None
    assert demand.cores == 3
    assert since is not None
    assert 5 <= (desk.clock() - since).total_seconds() < 6
    assert reports.registered(KEY, RUN) == {"a"}
    assert reports.unreachable(KEY, RUN) == {"b": "no"}
    assert reports.mismatches(KEY, RUN) == ("client 1, here 2",)
    for key, run in ((KEY, "another"), (("casita", "bob"), RUN)):
        assert reports.demand(key, run) is None
        assert reports.idle_since(key, run) is None
        assert reports.registered(key, run) == frozenset()
        assert not reports.unreachable(key, run)
        assert reports.mismatches(key, run) == ()
    reports.forget(KEY)
    assert reports.demand(KEY, RUN) is None


def test_idle_time_goes_on_between_reports_and_a_silent_scheduler_is_not_idle(desk: Desk) -> None:
    desk.take(idleSeconds=100)
    since = desk.reports.idle_since(KEY, RUN)
    desk.clock.forward(seconds=SILENT_SECONDS - 10)
    assert desk.reports.idle_since(KEY, RUN) == since
    desk.clock.forward(seconds=20)
    assert desk.reports.idle_since(KEY, RUN) is None
    assert desk.take(idleSeconds=100 + SILENT_SECONDS + 10)  # it may be due to stop
    assert desk.reports.idle_since(KEY, RUN) is not None
    desk.take(idleSeconds=None)
    assert desk.reports.idle_since(KEY, RUN) is None


def test_only_what_a_decision_or_the_status_depends_on_is_worth_a_look(desk: Desk) -> None:
    both = [{"name": name, "reachable": True} for name in "ab"]
    assert desk.take(workers=both, demand={"cores": 3})
    assert not desk.take(workers=both, demand={"cores": 3})
    assert not desk.take(workers=both[::-1], demand={"cores": 3, "retire": ["a", "b"]})
    assert not desk.take(workers=both, demand={"cores": 3, "retire": ["b", "a"], "busy": ["a"]})
    assert desk.take(workers=both, demand={"cores": 4})
    assert desk.take(workers=both, demand={"workers": 4})
    assert desk.take(workers=both[:1], demand={"workers": 4})
    assert desk.take(workers=both[:1], demand={"workers": 4}, mismatches=["one"])
    assert desk.take(workers=both[:1], demand={"workers": 4}, idleSeconds=0)
    assert desk.take(demand={"workers": 4})


def test_a_newest_retire_order_is_there_when_somebody_is_to_go(desk: Desk) -> None:
    desk.take(demand={"cores": 3, "retire": ["a"]})
    desk.take(demand={"cores": 3, "retire": ["b"], "busy": ["c"]})
    demand = desk.reports.demand(KEY, RUN)
    assert demand is not None
    assert (demand.retire, demand.busy) == (("b",), ("c",))


def test_idle_time_that_only_goes_on_is_no_news_and_a_use_in_between_is(desk: Desk) -> None:
    desk.take(idleSeconds=10)
    desk.clock.forward(seconds=60)
    assert not desk.take(idleSeconds=70.4)
    desk.clock.forward(seconds=60)
    assert desk.take(idleSeconds=30)
    assert desk.take(idleSeconds=None)
    assert not desk.take(idleSeconds=None)


def test_text_for_people_cannot_steer_their_terminal(desk: Desk) -> None:
    lost = {"name": "a", "reachable": False, "error": "timed\x1b[2J out\n"}
    desk.take(workers=[lost], mismatches=["\x1b]0;x\x07 \u00b5"])
    assert desk.reports.unreachable(KEY, RUN) == {"a": "timed?[2J out?"}
    assert desk.reports.mismatches(KEY, RUN) == ("?]0;x? \u00b5",)


@pytest.mark.parametrize(
    "beside",
    [
        {"demand": {}},
        {"demand": {"cores": 1, "workers": 1}},
        {"demand": {"cores": -1}},
        {"demand": {"cores": 1.5}},
        {"demand": {"cores": True}},
        {"demand": {"cores": 10**8}},
        {"demand": {"workers": 10_001}},
        {"demand": {"cores": 1, "minimum": 3, "maximum": 2}},
        {"demand": {"pools": {"Not A Pool": 1}}},
        {"demand": {"pools": {f"p{index}": 1 for index in range(17)}}},
        {"demand": {"cores": 1, "retire": ["x" * 129]}},
        {"demand": {"cores": 1, "busy": ["x"] * 10_001}},
        {"idleSeconds": -1},
        {"idleSeconds": "Infinity"},
        {"idleSeconds": 1e10},
        {"mismatches": ["x"] * 6},
        {"mismatches": ["x" * 301]},
        {"workers": [{"name": "a", "reachable": True}] * 10_001},
    ],
)
def test_what_is_out_of_bounds_is_refused(beside: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Report.model_validate_json(json.dumps({"run": RUN, **beside}))
