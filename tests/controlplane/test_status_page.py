"""The status page with a real hub, the operator and a real API server: what people see and do.

The page itself is looked at in a real browser, in ``tests/e2e/test_status.py``.
"""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from casita.config import Site
from casita.hub.names import session_name, session_user
from casita.hub.sessions import Wanted, new_session
from tests.controlplane.conftest import MakeHub, Operate
from tests.support.bed import Bed
from tests.support.cluster import SESSION, Json, eventually
from tests.support.hub import HERE, Hub
from tests.support.kubelet import kubelet
from tests.support.provider import Page, browser

STATUS = "/services/status/"
SCRIPT = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}
"""What a browser says of requests that a page's script makes."""

States = list[dict[str, Any]]


@dataclass
class Visitor:
    """Somebody with the page open."""

    hub: Hub
    http: aiohttp.ClientSession
    token: str = ""

    async def open(self, path: str) -> Page:
        """Open a page as a browser does, by way of a proxy that is not there."""
        while True:
            async with self.http.get(self.hub.at(path), allow_redirects=False) as answer:
                page = Page(answer.status, answer.url, await answer.text())
                if "Location" not in answer.headers:
                    return page
                path = str(URL(answer.headers["Location"], encoded=True).raw_path_qs)

    async def log_in(self, user: str) -> None:
        """Log in at the hub's form, and come to the status page."""
        form = await self.open(STATUS)
        (xsrf,) = re.findall(r'name="_xsrf" value="([^"]+)"', form.text)[:1]
        said = {"username": user, "password": "any", "_xsrf": xsrf}
        async with self.http.post(form.url, data=said, allow_redirects=False) as answer:
            assert answer.status == 302, self.hub.log()
        page = await self.open(STATUS)
        assert (page.status, f">{user}<" in page.text) == (200, True), page
        (self.token,) = re.findall(r'data-token="([^"]+)"', page.text)

    @contextlib.asynccontextmanager
    async def events(self, everybody: str = "") -> AsyncIterator[States]:
        """Follow the page's events; what they tell comes into the list, the newest last."""
        told: States = []
        query = {"_xsrf": self.token, "all": everybody}
        where = self.hub.at(f"{STATUS}events")
        async with self.http.get(where, params=query, headers=SCRIPT) as answer:
            assert answer.status == 200, self.hub.log()
            assert answer.content_type == "text/event-stream"

            async def read() -> None:
                async for line in answer.content:
                    if line.startswith(b"data:"):
                        told.append(json.loads(line[5:]))

            task = asyncio.create_task(read())
            try:
                yield told
            finally:
                task.cancel()
                await asyncio.wait([task])

    async def press(self, action: str, name: str, token: str | None = None) -> tuple[int, str]:
        """Press a button; return status and words."""
        where = self.hub.at(f"{STATUS}sessions/{name}/{action}")
        headers = {**SCRIPT, "X-XSRFToken": self.token if token is None else token}
        async with self.http.post(where, headers=headers) as answer:
            words = (await answer.json())["message"] if answer.status != 204 else ""
            return answer.status, words


@contextlib.asynccontextmanager
async def visitor(hub: Hub, user: str) -> AsyncIterator[Visitor]:
    async with browser() as person:
        found = Visitor(hub, person.http)
        await found.log_in(user)
        yield found


async def until_shown(told: States, name: str, **wanted: Any) -> Json:
    """Wait until a session is shown so; return it."""

    def look() -> Json:
        found = {one["name"]: one for one in told[-1]["sessions"]}[name]
        assert wanted.items() <= found.items(), found
        return dict(found)

    return await eventually(look, what=f"{name}: {wanted}")


def names(told: States) -> set[str]:
    """Return all sessions that were ever shown."""
    return {one["name"] for state in told for one in state["sessions"]}


def of_hub(bed: Bed, user: str, server: str = "", hub: str = "casita") -> Json:
    """Create a session as a hub would, without a server."""
    who = (session_name(user, server), session_user(user))
    wanted = Wanted(bed.namespace, *who, "default", "run", hub, user, server)
    return bed.cluster.create(new_session(wanted))


def forge(bed: Bed, name: str, *, user: str, victim: str) -> None:
    """Create a session of `user` that says it is of the default server of `victim`."""
    bed.cluster.create(
        new_session(Wanted(bed.namespace, name, user, "default", "run", "casita", victim))
    )


def lifecycle(bed: Bed, name: str) -> str:
    return str(bed.session(name)["spec"].get("lifecycle", "Running"))


async def until_stopped(bed: Bed, name: str) -> None:
    await eventually(lambda: lifecycle(bed, name) == "Stopped", what=f"{name} is stopped")


def withdraw_notebook(bed: Bed, user: str) -> None:
    label = f"casita.dev/component=notebook,casita.dev/session={bed.child_name(name=user)}"
    (pod,) = bed.cluster.items("v1", "Pod", bed.namespace, label_selector=label)
    bed.cluster.delete("v1", "Pod", pod["metadata"]["name"], bed.namespace)


def with_admin(hub: Hub) -> Hub:
    hub.configure({"Authenticator": {"admin_users": ["boss"]}})
    return hub


async def test_people_follow_their_own_sessions_and_admins_all(
    bed: Bed, operate: Operate, unrouted: Site, make_hub: MakeHub
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        hub = await enter(with_admin(make_hub(status=())).running())
        await enter(kubelet(bed, HERE))
        alice, bob, boss = [await enter(visitor(hub, who)) for who in ("alice", "bob", "boss")]
        hers, his = await enter(alice.events()), await enter(bob.events())
        forbidden, everything = await enter(bob.events("1")), await enter(boss.events("1"))
        await eventually(lambda: hers[-1]["trouble"] == "" and his[-1]["trouble"] == "")
        assert hers[-1]["sessions"] == []
        with operate(unrouted):
            await hub.start("alice")
            ready = {"url": "/user/alice/", "ready": True}
            shown = await until_shown(hers, "alice", state="ready", server=ready)
            assert [one["state"] for one in shown["conditions"] if one["title"] == "Credentials"]
            await hub.stop("alice")
            await until_shown(hers, "alice", state="stopped", running=False)
            bed.create("bobs", user="bob")
            for theirs in (his, forbidden, everything):
                await until_shown(theirs, "bobs", state="ready", server=None)
        await until_shown(everything, "alice", state="stopped")
        assert names(hers) == {"alice"}
        assert names(his) == names(forbidden) == {"bobs"}
        assert everything[-1]["totals"]["users"] == 2
        assert {state["totals"] for state in (*his, *forbidden, *hers)} == {None}
        await until_shown(hers, "alice", state="stopped", server=None)
        await one_sees_how_the_site_is_by_others_sessions(bed, hers)
        async with browser() as stranger:
            for query in ("", "?all=1"):
                page = await stranger.get(hub.at(f"{STATUS}events{query}"))
                assert (page.status, page.text) == (403, "")


async def one_sees_how_the_site_is_by_others_sessions(bed: Bed, hers: States) -> None:
    """The operator has ended: nothing of alice's changes any more."""
    refused = {"type": "RouteReady", "status": "False", "reason": "RouteUnreachable"}
    told = {"lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1}
    before = bed.status("bobs")["conditions"]
    after = [c if c["type"] != "RouteReady" else {**refused, **told} for c in before]
    status = {"status": {"conditions": after}}
    bed.cluster.patch(*SESSION, "bobs", bed.namespace, status, subresource="status")
    trouble = {"title": "Gateway", "state": "trouble"}
    await eventually(lambda: trouble.items() <= hers[-1]["site"][0].items())


async def test_a_session_whose_server_is_gone_is_stopped_and_no_other(
    bed: Bed, operate: Operate, unrouted: Site, make_hub: MakeHub
) -> None:
    hub = make_hub(status=("--orphan-seconds=1",))
    hub.configure({"JupyterHub": {"api_page_max_limit": 1}})  # one user in each of its answers
    async with kubelet(bed, HERE):
        async with hub.running():
            with operate(unrouted):
                for user in ("alice", "bob"):
                    await hub.start(user)
                    await hub.until_ready(user)
        withdraw_notebook(bed, "alice")  # while the hub is down
        of_hub(bed, "dan", hub="another")
        bed.create("by-hand")
        forge(bed, "forged", user="alice", victim="bob")
        async with hub.running():
            await hub.start("carol")  # and waits: no operator answers
            await eventually(lambda: bed.session("carol"))
            # The hub's database knows nothing of eve; her grace ends later than carol's would.
            of_hub(bed, "eve")
            await until_stopped(bed, "eve")
            assert lifecycle(bed, "alice") == "Stopped"
            assert "carol" not in await hub.servers("carol")
            for name in ("bob", "carol", "dan", "by-hand", "forged"):
                assert lifecycle(bed, name) == "Running", name
            assert await hub.servers("bob")


async def test_buttons_act_on_servers_and_sessions_of_ones_own(
    bed: Bed, operate: Operate, unrouted: Site, make_hub: MakeHub
) -> None:
    hub = make_hub(status=())
    async with hub.running(), kubelet(bed, HERE), visitor(hub, "alice") as me:
        with operate(unrouted):
            await hub.start("alice", profile="small")
            await hub.until_ready("alice")
            assert await me.press("stop", "alice", token="another") == (
                403,
                "reload this page to log in again",
            )
            assert await me.press("stop", "alice") == (204, "")
            await bed.until("Ready", "False", "Stopped")
            assert await me.press("start", "alice") == (204, "")
            await hub.until_ready("alice")
            first = bed.session()["spec"]  # with the choices of the last start
            assert (first["profile"], first["lifecycle"]) == ("small", "Running")
            status, words = await me.press("start", "alice")
            assert (status, "already running" in words) == (409, True)
            assert await me.press("restart", "alice") == (204, "")
            await hub.until_ready("alice")
            second = bed.session()["spec"]
            assert second["runId"] != first["runId"]
            assert (second["profile"], second["lifecycle"]) == ("small", "Running")
        async with visitor(hub, "bob") as other:
            for action in ("stop", "start", "restart"):
                refused = await other.press(action, "alice")
                assert refused == (409, "you have no session alice")
        assert bed.session()["spec"] == second


async def test_a_session_made_by_hand_is_acted_on_itself_whosever_server_it_says_it_is_of(
    bed: Bed, operate: Operate, unrouted: Site, make_hub: MakeHub
) -> None:
    async with make_hub(status=()).running() as hub, kubelet(bed, HERE):
        with operate(unrouted):
            await hub.start("bob")
            await hub.until_ready("bob")
        before = bed.session("bob")["spec"], (await hub.servers("bob"))[""]["started"]
        bed.create("by.hand", runId="run")
        forge(bed, "forged", user="alice", victim="bob")
        of_hub(bed, "alice", "gone")  # of a server that is no more
        async with visitor(hub, "alice") as alice, alice.events() as told:
            for name in ("by.hand", "forged", "alice--gone"):
                await until_shown(told, name, server=None)
            assert "bob" not in names(told)
            await all_buttons(bed, alice, "by.hand")
            await all_buttons(bed, alice, "forged")
            assert await alice.press("stop", "alice--gone") == (204, "")
            assert lifecycle(bed, "alice--gone") == "Stopped"
        assert (bed.session("bob")["spec"], (await hub.servers("bob"))[""]["started"]) == before


async def all_buttons(bed: Bed, who: Visitor, name: str) -> None:
    """Press each button of a session that has no server, and see that it alone heeds."""
    runs = {bed.session(name)["spec"]["runId"]}
    for action, wanted in (("stop", "Stopped"), ("start", "Running"), ("restart", "Running")):
        assert await who.press(action, name) == (204, "")
        found = bed.session(name)["spec"]
        assert found["lifecycle"] == wanted
        assert (found["runId"] in runs) == (action == "stop")
        runs.add(found["runId"])
