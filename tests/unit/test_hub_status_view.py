"""What the status page shows of a session, of the site, and of everybody's sessions together."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from casita.api.conditions import REASONS
from casita.hub.status.servers import Limits, Server
from casita.hub.status.view import session_view, site_view, totals
from tests.support.bed import texts

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NEVER = Limits()
Json = dict[str, Any]

SECRETS = ("a-serial", "some-run", "uid-of-it", "an-annotation", "the-fingerprint")
"""What is in a session and on no page: none of it is a key, and nobody there needs it."""


def condition(kind: str, status: str, reason: str, message: str = "") -> Json:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def session(*conditions: Json, name: str = "alice", user: str = "alice", **more: Any) -> Json:
    spec = {"user": user, "profile": "cms", "lifecycle": "Running", "runId": "some-run"}
    return {
        "metadata": {
            "name": name,
            "namespace": "casita",
            "uid": "uid-of-it",
            "annotations": {"note": "an-annotation"},
        },
        "spec": spec | more.pop("spec", {}),
        "status": {"conditions": list(conditions), **more},
    }


def view(*conditions: Json, **more: Any) -> Json:
    return session_view(session(*conditions, **more), None, NEVER)


READY = condition("Ready", "True", "Ready", "a client can connect")
GATEWAY_BAD = condition("RouteReady", "False", "RouteUnreachable", "no TLS to alice-xyz.dask.af")
GATEWAY_GOOD = condition("RouteReady", "True", "Connected", "met alice's scheduler")


# -- states ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "reason", "state"),
    [
        ("True", "Ready", "ready"),
        ("True", "UpdatePending", "ready"),
        ("False", "Starting", "starting"),
        ("False", "Issuing", "starting"),
        ("False", "AwaitingScheduler", "starting"),
        ("False", "AwaitingGateway", "starting"),
        ("False", "WaitingForPredecessor", "starting"),
        ("False", "Stopped", "stopped"),
        ("False", "IdleStopped", "stopped"),
        ("False", "LifetimeExceeded", "stopped"),
        ("Unknown", "Stopped", "stopped"),
        ("False", "Failed", "trouble"),
        ("False", "ImagePullFailed", "trouble"),
        ("False", "ExceedsProfile", "trouble"),
        ("Unknown", "NotTried", "unknown"),
    ],
)
def test_a_session_is_ready_on_its_way_stopped_or_in_trouble(
    status: str, reason: str, state: str
) -> None:
    assert view(condition("Ready", status, reason))["state"] == state


def test_every_word_that_the_operator_has_for_a_fault_is_trouble() -> None:
    ways = {"Starting", "Issuing", "Scaling", "AwaitingScheduler", "AwaitingGateway"}
    ways |= {"WaitingForPredecessor", "Stopped", "IdleStopped", "LifetimeExceeded"}
    for reason in set(REASONS) - ways:
        assert view(condition("Ready", "False", reason))["state"] == "trouble", reason


def test_of_a_session_that_nobody_looked_at_that_is_said() -> None:
    new = session()
    del new["status"]
    found = session_view(new, None, NEVER)
    assert (found["state"], found["words"]) == ("unknown", "casita has not looked at it yet")
    assert found["conditions"] == found["credentials"] == found["pools"] == []


# -- words ----------------------------------------------------------------------------------------


def test_the_operators_own_words_are_shown() -> None:
    found = view(condition("Ready", "False", "Unschedulable", "0/3 nodes have room"))
    assert found["words"] == "0/3 nodes have room"


def test_without_words_the_reason_has_to_do() -> None:
    found = view(
        condition("Ready", "False", "Unschedulable"), condition("DataReady", "True", "Readable")
    )
    assert found["words"] == "Unschedulable"
    assert found["conditions"][0]["words"] == "Readable"


def test_conditions_come_in_the_order_in_which_a_session_comes_up() -> None:
    kinds = ("WorkersReady", "DataReady", "RouteReady", "CredentialsReady", "SchedulerReady")
    found = view(*(condition(kind, "False", "Starting", f"of {kind}") for kind in kinds), READY)
    assert [(each["title"], each["state"]) for each in found["conditions"]] == [
        ("Credentials", "starting"),
        ("Dask scheduler", "starting"),
        ("Way in from outside", "starting"),
        ("Workers", "starting"),
        ("Data", "starting"),
    ]


def test_credentials_are_named_for_people_with_their_ends_alone() -> None:
    found = view(
        credentials=[
            {
                "name": "macaroon",
                "id": "a-serial",
                "notAfter": "2026-01-02T00:00:00Z",
                "renewalTime": "2026-01-01T12:00:00Z",
            },
            {"name": "another", "id": "a-serial", "notAfter": "2026-01-03T00:00:00Z"},
        ]
    )
    assert found["credentials"] == [
        {"title": "Token for data", "notAfter": "2026-01-02T00:00:00Z", "renewed": True},
        {"title": "another", "notAfter": "2026-01-03T00:00:00Z", "renewed": False},
    ]


def test_a_server_is_shown_with_its_end() -> None:
    server = Server("alice", "", ready=True, url="/user/alice/", started=NOON)
    found = session_view(session(READY), server, Limits(age=timedelta(hours=1)))
    assert found["server"] == {"url": "/user/alice/", "ready": True}
    assert found["ends"] == {"at": "2026-01-01T13:00:00+00:00", "why": "for its age"}
    without = session_view(session(READY), None, Limits(age=timedelta(hours=1)))
    assert without["server"] is without["ends"] is None


def test_whether_it_is_to_run_is_what_was_asked_for() -> None:
    assert view(condition("Ready", "False", "Stopped"))["running"]  # to run, and not there yet
    assert not view(READY, spec={"lifecycle": "Stopped"})["running"]
    assert not view(condition("Ready", "False", "IdleStopped"))["running"]


def test_of_a_stop_no_more_is_said_than_a_button_undoes() -> None:
    told = condition("Ready", "False", "Stopped", "stopped; set spec.lifecycle to Running")
    assert view(told)["words"] == "stopped"


# -- nothing more than that -----------------------------------------------------------------------


def full() -> Json:
    return session(
        READY | {"lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 3},
        GATEWAY_GOOD,
        credentials=[
            {"name": "authority", "id": "a-serial", "notAfter": "2026-01-02T00:00:00Z"},
        ],
        workers=[{"pool": "local", "desired": 2, "requested": 2, "ready": 1, "x": "an-annotation"}],
        scheduler={
            "address": "tls://inside:8786",
            "externalAddress": "tls://alice-xyz.dask.af.test:443",
            "dashboardAddress": "https://inside:8787",
        },
        credentialsSecretName="alice-xyz-client",
        authorityFingerprint="the-fingerprint",
        spec={"scheduler": {"image": "example.org/the-fingerprint"}},
    )


def test_a_session_is_shown_without_what_nobody_needs_to_see() -> None:
    found = session_view(full(), None, NEVER)
    assert found["external"] == "tls://alice-xyz.dask.af.test:443"
    assert found["secret"] == "alice-xyz-client"  # its name, not what is in it
    assert found["pools"] == [{"pool": "local", "desired": 2, "requested": 2, "ready": 1}]
    shown = json.dumps(found)
    assert not [word for word in SECRETS if word in shown]


def test_of_others_sessions_no_more_is_told_than_how_many() -> None:
    others = [
        session(READY, GATEWAY_BAD, name="bobs-analysis", user="bob"),
        session(READY, GATEWAY_GOOD, name="carols", user="carol"),
        full(),
    ]
    gateway, cache = site_view(others)
    assert gateway == {
        "title": "Gateway",
        "state": "trouble",
        "words": "1 of 3 sessions have trouble with it",
    }
    allowed = {"title", "state", "words", *gateway.values(), *cache.values()}
    assert set(texts([gateway, cache])) == allowed
    told = json.dumps([gateway, cache])
    for word in ("bob", "carol", "alice", "casita", "dask", "TLS", "cms", "Unreachable", *SECRETS):
        assert word not in told


# -- the site -------------------------------------------------------------------------------------


def test_a_service_that_all_meet_answers() -> None:
    assert site_view([session(GATEWAY_GOOD), session(GATEWAY_GOOD)])[0] == {
        "title": "Gateway",
        "state": "ready",
        "words": "answers",
    }


@pytest.mark.parametrize(
    "unmet",
    [
        session(),
        session(condition("RouteReady", "True", "NotConfigured")),
        session(condition("RouteReady", "False", "AwaitingScheduler")),
        session(condition("RouteReady", "False", "Stopped")),
        session(condition("DataReady", "Unknown", "NotTried")),
        session(GATEWAY_BAD, spec={"lifecycle": "Stopped"}),
    ],
    ids=["new", "not configured", "not tried", "ended", "data not tried", "stopped"],
)
def test_who_has_not_met_a_service_says_nothing_of_it(unmet: Json) -> None:
    states = [(each["state"], each["words"]) for each in site_view([unmet])]
    assert states == [("unknown", "no session has met it yet")] * 2
    assert site_view([unmet, session(GATEWAY_GOOD)])[0]["state"] == "ready"


def test_the_data_cache_is_judged_by_what_sessions_read() -> None:
    refused = session(condition("DataReady", "False", "CacheRefused"))
    assert site_view([refused])[1]["state"] == "trouble"
    assert site_view([session(condition("DataReady", "True", "Readable"))])[1]["state"] == "ready"


# -- totals ---------------------------------------------------------------------------------------


def pool(desired: int, ready: int) -> Json:
    return {"pool": "local", "desired": desired, "requested": desired, "ready": ready}


def test_totals_are_the_sums_of_what_is_shown() -> None:
    views = [
        view(READY, workers=[pool(4, 3), pool(2, 2)]),
        view(READY, name="alice--second", workers=[pool(1, 0)]),
        view(condition("Ready", "False", "Failed"), name="bob", user="bob"),
        view(condition("Ready", "False", "Starting"), name="carol", user="carol"),
    ]
    assert totals(views) == {
        "sessions": 4,
        "users": 3,
        "ready": 2,
        "trouble": 1,
        "workersReady": 5,
        "workersWanted": 7,
    }


def test_nothing_sums_up_to_nothing() -> None:
    assert set(totals([]).values()) == {0}
