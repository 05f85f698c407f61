"""WorkersReady says in plain words how many workers are wanted, why, and who allows no more."""

from typing import Any

import pytest

from casita.api.conditions import Reason
from casita.api.session import SessionSpec
from casita.config import Site
from casita.sessions.demand import Demand
from casita.sessions.findings import Findings, Verdict
from casita.sessions.observed import PodState
from casita.sessions.pods import plan_pools
from casita.sessions.view import View
from casita.sessions.workers_ready import workers_ready
from tests.unit.sessions_site import NOW, OWNER, SITE, with_site, worker

QUOTAS = {"userCores": 8}
OVER = Reason.QUOTA_REACHED


def verdict(
    demand: dict[str, Any] | None = None,
    *,
    pods: int = 0,
    site: Site = SITE,
    findings: Findings | None = None,
    previous: dict[str, Any] | None = None,
    **beside: Any,
) -> Verdict:
    asked = {name: beside.pop(name) for name in ("replicas", "workers") if name in beside}
    mode = "Manual" if "replicas" in asked else "Adaptive"
    spec = SessionSpec.model_validate({"user": "alice", "scaling": {"mode": mode}, **asked})
    told = Demand.model_validate(demand) if demand else None
    children = [worker("local", index) for index in range(pods)]
    view = View(OWNER, spec, site, {c.key: c for c in children}, NOW, demand=told, **beside)
    return workers_ready(view, findings or Findings({}), plan_pools(view, children), previous or {})


SERVED, SCALING = Reason.SERVED, Reason.SCALING
ON_THEIR_WAY = "5 workers wanted for the work at hand, 2 ready"
USER = "3 workers wanted, as the user asked of the scheduler"
BEFORE = "2 workers wanted, as before: the scheduler has not told yet what its work needs"
TOLD: list[tuple[dict[str, Any], Reason, str]] = [
    ({}, SERVED, "0 workers wanted, the minimum of the pools"),
    ({"demand": {"cores": 0}}, SERVED, "0 workers wanted, the minimum of the pools"),
    ({"demand": {"cores": 1}, "pods": 1}, SERVED, "1 worker wanted for the work at hand"),
    (
        {"demand": {"cores": 5}, "pods": 2},
        SCALING,
        "5 workers wanted for the work at hand, 2 ready",
    ),
    ({"demand": {"workers": 3}, "pods": 3}, SERVED, USER),
    ({"demand": {"pools": {"local": 3}}, "pods": 3}, SERVED, USER),
    ({"before": {"local": 2}, "pods": 2}, SERVED, BEFORE),
    ({"replicas": 2, "pods": 2}, SERVED, "2 workers wanted"),
    ({"replicas": 2, "pods": 1}, SCALING, "2 workers wanted, 1 ready"),
]


@pytest.mark.parametrize(("case", "reason", "text"), TOLD)
def test_how_many_workers_are_wanted_and_why(
    case: dict[str, Any], reason: Reason, text: str
) -> None:
    assert verdict(**case) == Verdict(True, reason, text)


def test_workers_that_only_finish_their_tasks_are_told_apart() -> None:
    busy = [worker("local", index).name for index in range(3)]
    found = verdict({"cores": 1, "busy": busy}, pods=3)
    assert (found.status, found.reason) == (True, SCALING)
    assert (
        found.message == "1 worker wanted for the work at hand, 2 more until their tasks are done"
    )


small = with_site(
    profiles=[
        {
            "name": "default",
            "image": "x",
            "limits": {"workers": 2},
            "pools": [{"pool": "local", "max": 12}],
        }
    ]
)
LIMITED: list[tuple[dict[str, Any], str]] = [
    (
        {"site": with_site(quotas=QUOTAS), "workers": [{"pool": "a", "max": 12}]},
        "12 workers asked for, 8 allowed by the user's quota of 8 cores; 8 workers wanted for",
    ),
    (
        {"site": with_site(quotas=QUOTAS), "allowed_cores": 3},
        "8 workers asked for, 3 allowed by the user's quota of 8 cores: 3 for this session now; 3",
    ),
    (
        {"site": with_site(quotas={"siteCores": 20}), "allowed_cores": 4},
        "8 workers asked for, 4 allowed by the site's quota of 20 cores: 4 for this session now; 4",
    ),
    (
        {"site": with_site(quotas={**QUOTAS, "siteCores": 20}), "allowed_cores": 4},
        "8 workers asked for, 4 allowed by the user's quota of 8 cores and the site's quota of 20",
    ),
    ({"site": small}, "12 workers asked for, 2 allowed by limits.workers of profile 'default'; 2"),
]


@pytest.mark.parametrize(("case", "text"), LIMITED)
def test_who_allows_no_more_is_named_with_its_value(case: dict[str, Any], text: str) -> None:
    beside = {"allowed_cores": None if case["site"] is small else 8, **case}
    found = verdict({"cores": 100}, **beside)
    assert (found.status, found.reason) == (True, OVER)
    assert found.message.startswith(text)


def test_versions_that_differ_are_told_after_worse_trouble() -> None:
    lines = ("client Client-1: distributed 2026.7.0, scheduler has 2026.8.0",)
    found = verdict({"cores": 1}, pods=1, findings=Findings({}, mismatches=lines))
    assert (found.status, found.reason) == (False, Reason.VERSION_MISMATCH)
    assert found.message.startswith(lines[0])
    assert "same image" in found.message
    lost = {worker("local", 0).name: "timed out"}
    worse = verdict({"cores": 1}, pods=1, findings=Findings({}, None, lost, mismatches=lines))
    assert worse.reason is Reason.WORKERS_UNREACHABLE


def test_a_pods_trouble_comes_before_quotas() -> None:
    lost = worker("local", 0, PodState(reason=Reason.IMAGE_PULL_FAILED, message="not found"))
    spec = SessionSpec(user="alice")
    told = Demand(cores=100)
    view = View(OWNER, spec, SITE, {lost.key: lost}, NOW, demand=told, allowed_cores=1)
    found = workers_ready(view, Findings({}), plan_pools(view, [lost]), {})
    assert (found.status, found.reason) == (False, Reason.IMAGE_PULL_FAILED)


LAST: dict[str, Any] = {
    "conditions": [
        {"type": "WorkersReady", "status": "True", "reason": "QuotaReached", "message": "said"}
    ],
    "workers": [{"pool": "local", "desired": 2, "requested": 2, "ready": 2}],
}
SAID = Verdict(True, OVER, "said")


def test_after_a_restart_what_was_told_stands_until_the_scheduler_tells_or_counts_change() -> None:
    before = {"local": 2}
    assert verdict(before=before, pods=2, previous=LAST) == SAID
    assert verdict({"cores": 2}, before=before, pods=2, previous=LAST).message != "said"
    assert verdict(before=before, pods=1, previous=LAST).reason is SCALING
    assert verdict(before={}, pods=0, previous=LAST).message != "said"  # another run
    failed = {**LAST, "conditions": [{**LAST["conditions"][0], "reason": "ImagePullFailed"}]}
    assert verdict(before=before, pods=2, previous=failed) == Verdict(True, SERVED, BEFORE)
