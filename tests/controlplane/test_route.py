"""A route is proven by a connection through the gateway; whatever is met there is told."""

import socket

import pytest

from casita.config import Site
from casita.sessions import probing
from tests.controlplane.conftest import Operate, SiteWith
from tests.support.bed import Bed
from tests.support.cluster import KINDS, condition, eventually
from tests.support.gateway import Gateway, stranger_files

pytestmark = pytest.mark.usefixtures("impatient")


async def made(bed: Bed, name: str = "alice") -> None:
    """Create a session whose scheduler answers and whose route the gateway takes."""
    bed.create(name)
    await bed.until_issued(name)
    bed.answer_route(name=name)
    bed.mark_ready("scheduler", name=name)


async def test_a_host_that_leads_to_a_stranger_is_told_and_heals(
    bed: Bed, operate: Operate, routed: Site, gateway: Gateway
) -> None:
    gateway.route(bed.host(), stranger_files(bed.host()))
    with operate(routed):
        await made(bed)
        session = await bed.until("RouteReady", "False", "HostTaken")
        assert condition(session, "Ready")["reason"] == "HostTaken"
        gateway.route(bed.host(), bed.files("scheduler"))
        await bed.until("Ready", "True")


async def test_a_session_is_not_satisfied_with_the_scheduler_of_another(
    bed: Bed, operate: Operate, routed: Site, gateway: Gateway
) -> None:
    with operate(routed):
        await made(bed, "bob")
        gateway.route(bed.host("bob"), bed.files("scheduler", name="bob"))
        gateway.route(bed.host("alice"), bed.files("scheduler", name="bob"))
        await made(bed, "alice")
        await bed.until("RouteReady", "False", "HostTaken", name="alice")
        await bed.until("RouteReady", "True", "Connected", name="bob")


async def test_a_gateway_that_does_not_know_the_host_is_told_and_heals(
    bed: Bed, operate: Operate, routed: Site, gateway: Gateway
) -> None:
    with operate(routed):
        await made(bed)
        await bed.until("RouteReady", "False", "RouteUnreachable")
        gateway.route(bed.host(), bed.files("scheduler"))
        await bed.until("RouteReady", "True", "Connected")


async def test_a_gateway_that_is_not_there_is_told_and_nobody_else_is_delayed(
    bed: Bed, operate: Operate, site: Site
) -> None:
    with operate(site):
        await made(bed)
        session = await bed.until("RouteReady", "False", "RouteUnreachable")
        message = condition(session, "RouteReady")["message"]
        assert "127.0.0.1" in message
        assert bed.host() in message
        bed.create("bob")
        await bed.until_issued("bob")


async def test_a_gateway_that_never_answers_is_told_and_nobody_else_is_delayed(
    bed: Bed, operate: Operate, site_with: SiteWith, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("casita.clients.probe.TIMEOUT_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with operate(site_with(gateway={"port": port})):
            await made(bed)
            bed.create("bob")
            await bed.until_issued("bob")
            session = await bed.until("RouteReady", "False", "RouteUnreachable")
    assert "no answer" in condition(session, "RouteReady")["message"]


async def test_a_route_that_the_gateway_refuses_is_told_in_its_words_and_heals(
    bed: Bed, operate: Operate, routed: Site, gateway: Gateway
) -> None:
    with operate(routed):
        bed.create()
        await bed.until_issued()
        gateway.route(bed.host(), bed.files("scheduler"))
        bed.answer_route("False", "NotAllowedByListeners")
        session = await bed.until("RouteReady", "False", "RouteRefused")
        assert "NotAllowedByListeners" in condition(session, "RouteReady")["message"]
        bed.mark_ready("scheduler")
        await bed.until("Ready", "False", "RouteRefused")
        assert gateway.met == []
        bed.answer_route()
        await bed.until("Ready", "True")


async def test_a_route_that_the_gateway_has_not_answered_is_waited_for(
    bed: Bed, operate: Operate, routed: Site, gateway: Gateway
) -> None:
    with operate(routed):
        bed.create()
        await bed.until_issued()
        bed.mark_ready("scheduler")
        session = await bed.until("RouteReady", "False", "AwaitingGateway")
        assert "casita-system/casita" in condition(session, "RouteReady")["message"]
        assert gateway.met == []


async def test_a_proven_route_is_proven_again_and_its_loss_is_told(
    bed: Bed, operate: Operate, routed: Site, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "REPEAT_SECONDS", 1.5)
    with operate(routed):
        await made(bed)
        gateway.route(bed.host(), bed.files("scheduler"))
        await bed.until("Ready", "True")
        gateway.close(bed.host())
        await bed.until("Ready", "False", "RouteUnreachable")
        gateway.route(bed.host(), bed.files("scheduler"))
        await bed.until("Ready", "True")


async def test_new_keys_are_proven_anew(
    bed: Bed, operate: Operate, routed: Site, gateway: Gateway
) -> None:
    with operate(routed):
        await made(bed)
        gateway.route(bed.host(), bed.files("scheduler"))
        await bed.until("Ready", "True")
        scheduler = bed.uid("Pod", "scheduler")
        bed.edit(runId="2")
        await eventually(lambda: bed.uid("Pod", "scheduler") != scheduler)
        await bed.until_issued()
        bed.mark_ready("scheduler")
        # The gateway still leads to the scheduler of before.
        await bed.until("Ready", "False", "HostTaken")
        gateway.route(bed.host(), bed.files("scheduler"))
        await bed.until("Ready", "True")


async def test_a_site_without_routes_is_ready_without_one(
    bed: Bed, operate: Operate, site_with: SiteWith
) -> None:
    with operate(site_with(gateway={"routeApi": "None"})):
        bed.create()
        await bed.until_issued()
        bed.mark_ready("scheduler")
        session = await bed.until("Ready", "True")
    assert condition(session, "RouteReady")["reason"] == "NotConfigured"
    assert "externalAddress" not in session["status"]["scheduler"]
    assert bed.cluster.items(*KINDS["TLSRoute"], bed.namespace) == []


async def test_a_route_api_that_the_cluster_does_not_serve_is_told_and_all_else_is_made(
    bed: Bed, operate: Operate, site_with: SiteWith
) -> None:
    with operate(site_with(gateway={"routeApi": "IngressRouteTCP"})) as operator:
        bed.create()
        session = await bed.until("RouteReady", "False", "RouteApiNotServed")
        assert condition(session, "CredentialsReady")["status"] == "True"
        await eventually(lambda: bed.pods() == {"scheduler"})
        bed.mark_ready("scheduler")
        await bed.until("SchedulerReady", "True")
        await bed.until("Ready", "False", "RouteApiNotServed")
        assert operator.process.trouble() is None
