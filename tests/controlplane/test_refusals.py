"""What only the operator can judge becomes a condition; nothing is made, and a correction heals."""

import pytest

from tests.controlplane.conftest import Operate
from tests.support.bed import Bed
from tests.support.cluster import Json, condition, eventually

REFUSED = [
    ({"profile": "nowhere"}, {"profile": "small"}, "UnknownProfile", "nowhere"),
    ({"image": "example.org/evil:1"}, {"image": None}, "ImageNotAllowed", "example.org/evil:1"),
    (
        {"profile": "small", "scheduler": {"cores": 2}},
        {"scheduler": {"cores": 1}},
        "ExceedsProfile",
        "scheduler.cores is 2",
    ),
    (
        {"profile": "small", "workers": [{"pool": "big", "max": 1, "cores": 64}]},
        {"workers": [{"pool": "big", "max": 1, "cores": 2}]},
        "ExceedsProfile",
        "pool big: cores is 64",
    ),
]


@pytest.mark.parametrize(
    ("spec", "correction", "reason", "words"), REFUSED, ids=["profile", "image", "size", "pool"]
)
async def test_a_refused_session_says_why_makes_nothing_and_heals_when_corrected(
    bed: Bed, operate: Operate, spec: Json, correction: Json, reason: str, words: str
) -> None:
    with operate():
        bed.create(**spec)
        session = await bed.until("Ready", "False", reason)
        assert words in condition(session, "Ready")["message"]
        others = [c for c in session["status"]["conditions"] if c["type"] != "Ready"]
        assert {(c["status"], c["reason"]) for c in others} == {("Unknown", "SpecRefused")}
        assert bed.children() == {}
        bed.edit(**correction)
        await bed.until_issued()


async def test_a_refusal_is_told_by_one_event(bed: Bed, operate: Operate) -> None:
    with operate():
        bed.create(profile="nowhere")
        await eventually(lambda: [e for e in bed.events() if e["reason"] == "UnknownProfile"])
        bed.create("bob")
        await bed.until_issued("bob")
    found = [e for e in bed.events() if e["regarding"]["name"] == "alice"]
    assert [(e["type"], e["reason"]) for e in found] == [("Warning", "UnknownProfile")]


async def test_a_running_session_that_becomes_refused_keeps_what_runs(
    bed: Bed, operate: Operate
) -> None:
    with operate():
        bed.create()
        await bed.until_issued()
        scheduler = bed.uid("Pod", "scheduler")
        bed.edit(profile="nowhere")
        await bed.until("Ready", "False", "UnknownProfile")
        assert bed.uid("Pod", "scheduler") == scheduler
        bed.edit(profile=None)
        await bed.until_issued()
    assert bed.uid("Pod", "scheduler") == scheduler


async def test_a_session_that_became_refused_can_still_be_stopped(
    bed: Bed, operate: Operate
) -> None:
    with operate():
        bed.create()
        await bed.until_issued()
        bed.edit(profile="nowhere", lifecycle="Stopped")
        await bed.until("Ready", "False", "Stopped")
        await eventually(lambda: not bed.children())


async def test_an_image_that_the_profile_allows_is_used(bed: Bed, operate: Operate) -> None:
    with operate():
        bed.create(profile="small", image="example.org/other:2")
        await bed.until_issued()
    container = bed.child("Pod", "scheduler")["spec"]["containers"][0]
    assert container["image"] == "example.org/other:2"


async def test_a_site_without_batch_system_cache_and_services_says_so_to_who_asks_for_them(
    bed: Bed, operate: Operate
) -> None:
    with operate():
        bed.create(
            workers=[{"pool": "batch", "backend": "HTCondor", "max": 5}],
            dataAccess={"pathPrefix": "/store"},
        )
        session = await bed.until_issued()
    for kind, wanted in (
        ("WorkersReady", ("False", "NotConfigured")),
        ("DataReady", ("True", "NotConfigured")),
        ("ServicesReady", ("True", "NotConfigured")),
    ):
        found = condition(session, kind)
        assert (found["status"], found["reason"]) == wanted
    assert condition(session, "Ready")["reason"] == "Starting"
