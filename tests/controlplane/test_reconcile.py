"""The main road: a session is made, runs, changes, stops and goes."""

from casita.config import Site
from tests.controlplane.conftest import Operate
from tests.support.bed import ROLES, Bed
from tests.support.cluster import condition, eventually
from tests.support.gateway import Gateway


async def test_a_session_gets_its_objects_and_says_how_it_is(bed: Bed, operate: Operate) -> None:
    with operate():
        bed.create(scaling={"mode": "Manual"}, replicas=2)
        session = await bed.until_issued()
        await eventually(lambda: len(bed.pods()) == 3)
    assert bed.pods() == {"scheduler", "local-0", "local-1"}
    assert set(bed.children("Secret", name="alice")) == {("Secret", f"-{role}") for role in ROLES}
    for kind in ("Service", "NetworkPolicy", "TLSRoute"):
        assert bed.child(kind)
    status = session["status"]
    assert status["credentialsSecretName"] == bed.child_name("client")
    assert status["scheduler"]["externalAddress"] == f"tls://{bed.host()}:1"
    assert [c["type"] for c in status["conditions"]] == [
        "Ready",
        "CredentialsReady",
        "SchedulerReady",
        "RouteReady",
        "WorkersReady",
        "DataReady",
        "ServicesReady",
    ]
    ready = condition(session, "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "Starting")


async def test_a_session_becomes_ready_when_its_scheduler_is_met_through_the_gateway(
    bed: Bed, operate: Operate, routed: Site, gateway: Gateway
) -> None:
    with operate(routed):
        bed.create()
        await bed.until_issued()
        gateway.route(bed.host(), bed.files("scheduler"))
        bed.answer_route()
        bed.mark_ready("scheduler")
        session = await bed.until("Ready", "True", "Ready")
    assert condition(session, "RouteReady")["reason"] == "Connected"
    assert condition(session, "SchedulerReady")["reason"] == "Ready"
    assert gateway.met == [bed.host()]


async def test_a_stopped_session_keeps_nothing_and_starts_with_new_keys(
    bed: Bed, operate: Operate
) -> None:
    with operate():
        bed.create()
        await bed.until_issued()
        before = bed.serials()
        bed.edit(lifecycle="Stopped")
        stopped = await bed.until("Ready", "False", "Stopped")
        await eventually(lambda: not bed.children())
        assert "credentials" not in stopped["status"] or not stopped["status"]["credentials"]
        assert "scheduler" not in stopped["status"]
        bed.edit(lifecycle="Running")
        await bed.until_issued()
        after = bed.serials()
    assert set(before) == set(after) == set(ROLES)
    assert not set(before.values()) & set(after.values())


async def test_a_new_run_id_gives_new_keys_and_a_new_scheduler(bed: Bed, operate: Operate) -> None:
    with operate():
        bed.create()
        await bed.until_issued()
        before, scheduler = bed.serials(), bed.uid("Pod", "scheduler")
        service = bed.uid("Service")
        bed.edit(runId="again")
        await eventually(lambda: bed.uid("Pod", "scheduler") != scheduler)
        session = await bed.until_issued()
        await eventually(lambda: not set(bed.serials().values()) & set(before.values()))
    assert session["status"]["runId"] == "again"
    assert bed.uid("Service") == service


async def test_a_deleted_session_leaves_nothing(bed: Bed, operate: Operate) -> None:
    with operate():
        bed.create(scaling={"mode": "Manual"}, replicas=2)
        await bed.until_issued()
        bed.delete()
        await eventually(lambda: not bed.children(), 60)


async def test_a_session_remade_at_once_under_its_name_works(bed: Bed, operate: Operate) -> None:
    with operate():
        bed.create()
        await bed.until_issued()
        old = {child["metadata"]["uid"] for child in bed.children().values()}
        before = bed.serials()
        bed.delete()
        uid = bed.create()["metadata"]["uid"]
        await bed.until_issued(seconds=60)
        await eventually(lambda: bed.child("TLSRoute") and bed.child("NetworkPolicy"))
    for child in bed.children().values():
        assert child["metadata"]["uid"] not in old
        assert child["metadata"]["ownerReferences"][0]["uid"] == uid
    assert not set(bed.serials().values()) & set(before.values())


async def test_sessions_whose_names_would_slug_alike_both_work(bed: Bed, operate: Operate) -> None:
    names = ["a.b", "a-b"]
    with operate():
        for name in names:
            bed.create(name)
        for name in names:
            await bed.until_issued(name)
    secrets = {bed.status(name)["credentialsSecretName"] for name in names}
    assert len(secrets) == 2


async def test_a_name_of_253_characters_works(bed: Bed, operate: Operate) -> None:
    # Cut anywhere, it would end with what no name may end with.
    name = "a" + "-." * 0 + "-b" * 126
    with operate():
        bed.create(name)
        await bed.until_issued(name)
        bed.edit(name, profile="none")
        await bed.until("Ready", "False", "UnknownProfile", name=name)
        await eventually(lambda: [e for e in bed.events() if e["reason"] == "UnknownProfile"])
