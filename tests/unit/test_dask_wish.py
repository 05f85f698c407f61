"""What a scheduler asks its operator for, and when it says so."""

import json

import pytest

from casita.dask.mismatches import MAX_LINES, mismatch_lines, versions_of
from casita.dask.report import Content, encode_report
from casita.dask.standing import Standing
from casita.dask.wish import Demand, Wish, WishError, adapted, demand_of, scaled, worth_telling
from casita.sessions.demand import Demand as OperatorsDemand
from casita.sessions.reports import Report

IDLE = tuple(Standing(f"w{n}") for n in range(4))


def test_work_asks_for_cores_and_names_who_may_go_only_if_it_is_fewer() -> None:
    assert demand_of(Wish(), 4, IDLE).body() == {"cores": 4, "minimum": 0}
    fewer = demand_of(Wish(), 3, (*IDLE, Standing("long", engaged=True)))
    assert fewer.retire == ("w0", "w1", "w2", "w3", "long")
    assert fewer.busy == ("long",)


def test_workers_that_are_leaving_count_for_nothing() -> None:
    demand = demand_of(Wish(), 4, (*IDLE, Standing("going", leaving=True)))
    assert demand.retire == ()


def test_the_users_word_comes_before_the_works() -> None:
    wish = scaled(Wish(), 2, None)
    assert demand_of(wish, 100, IDLE).body() == {
        "workers": 2,
        "minimum": 0,
        "retire": ("w0", "w1", "w2", "w3"),
    }
    assert demand_of(adapted(1, 3), 100, ()).body() == {"cores": 100, "minimum": 1, "maximum": 3}


def test_pools_are_asked_for_one_after_the_other() -> None:
    wish = scaled(scaled(Wish(), None, {"batch": 3}), None, {"local": 1})
    assert demand_of(wish, 0, ()).pools == {"batch": 3, "local": 1}
    assert scaled(wish, 5, None) == Wish(workers=5)
    assert adapted(None, None) == Wish()


@pytest.mark.parametrize(
    "ask",
    [
        lambda: scaled(Wish(), None, None),
        lambda: scaled(Wish(), None, {}),
        lambda: scaled(Wish(), 1, {"batch": 1}),
        lambda: scaled(Wish(), -1, None),
        lambda: scaled(Wish(), True, None),
        lambda: scaled(Wish(), 1.5, None),  # type: ignore[arg-type]
        lambda: scaled(Wish(), None, {"batch": 10_001}),
        lambda: adapted(5, 4),
        lambda: adapted(0, "many"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_number_of_workers_is_refused(ask: object) -> None:
    assert callable(ask)
    with pytest.raises(WishError):
        ask()


@pytest.mark.parametrize(
    ("told", "now", "worth"),
    [
        (None, Demand(cores=0), True),
        (Demand(cores=100), Demand(cores=100), False),
        (Demand(cores=100), Demand(cores=95), False),
        (Demand(cores=100), Demand(cores=90), True),
        (Demand(cores=100), Demand(cores=110), True),
        (Demand(cores=3), Demand(cores=4), True),
        (Demand(cores=0), Demand(cores=1), True),
        (Demand(cores=1000), Demand(cores=0), True),
        (Demand(cores=5), Demand(workers=5), True),
        (Demand(cores=5, busy=("a",)), Demand(cores=5), True),
        (Demand(cores=5, retire=("a", "b")), Demand(cores=5, retire=("b", "a")), False),
    ],
)
def test_trembling_figures_wait_for_the_heartbeat(
    told: Demand | None, now: Demand, worth: bool
) -> None:
    assert worth_telling(told, now) is worth


@pytest.mark.parametrize(
    "demand",
    [
        demand_of(Wish(), 3, IDLE),
        demand_of(adapted(2, 9), 10**9, IDLE),
        demand_of(Wish(workers=10_000), 3, IDLE),
        demand_of(Wish(pools={"batch": 3}), 3, IDLE),
    ],
)
def test_the_operator_takes_what_is_said(demand: Demand) -> None:
    taken = OperatorsDemand.model_validate(json.loads(json.dumps(demand.body())))
    said = {key: value for key, value in demand.body().items() if value != ()}
    assert taken.model_dump(exclude_unset=True) == said


def test_a_report_of_the_largest_session_is_taken() -> None:
    """Ten thousand workers of the longest names, most of them held."""
    many = [Standing(f"{'w' * 55}-{n:05}", engaged=n % 2 == 0) for n in range(10_000)]
    content = Content((), demand_of(Wish(), 1, many).body(), None, ["x" * 200] * 5)
    body = encode_report("0123456789abcdef", content)
    assert len(body) <= 2**20
    Report.model_validate_json(body)


OWN = {"python": "3.11", "dask": "2026.8.0", "distributed": "2026.8.0"}


def test_peers_with_other_versions_are_named_once_for_each_difference() -> None:
    lines = mismatch_lines(
        OWN,
        {"Client-a": {**OWN, "distributed": "2026.7.0"}, "Client-b": OWN},
        {f"batch-{n}": {**OWN, "python": "3.12"} for n in range(3)},
    )
    assert lines == (
        "client Client-a: distributed 2026.7.0, scheduler has 2026.8.0",
        "worker batch-0 and 2 more: python 3.12, scheduler has 3.11",
    )


def test_lines_about_versions_are_few_and_short() -> None:
    workers = {f"{'w' * 300}{n}": {"dask": str(n)} for n in range(20)}
    lines = mismatch_lines(OWN, {}, workers)
    assert len(lines) == MAX_LINES
    assert max(map(len, lines)) <= 200


def test_of_python_only_the_minor_release_matters() -> None:
    said = {"host": {"python": "3.11.7.final.0"}, "packages": {"dask": "1", "numpy": "2"}}
    assert versions_of(said) == {"python": "3.11", "dask": "1"}
    assert versions_of({}) == {}
