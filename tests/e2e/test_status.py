"""The status page in a real browser: what a user sees of a session, and does to it."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from playwright.async_api import Page, expect

from casita.hub.names import session_name
from tests.e2e.conftest import NAMESPACE, MakeSession, explain, ready
from tests.support.browser import barriers, browser, picture
from tests.support.cluster import SESSION, Cluster, condition, eventually
from tests.support.hub_pages import STATUS, choose, follow, log_in, withdraw

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1400, "height": 900}
LIVE_MS = 30_000


@pytest.fixture
def user() -> Iterator[str]:
    name = f"yan.{uuid4().hex[:6]}@example.org"
    yield name
    withdraw(session_name(name))


async def arrive(page: Page, user: str) -> None:
    """Log in and come to the status page, without a server."""
    await log_in(page, user)
    await page.wait_for_url("**/hub/spawn*")
    await page.goto(STATUS)


@pytest.mark.timeout(400)
async def test_a_user_follows_a_session_and_stops_and_starts_it(
    cluster: Cluster, page: Page, user: str
) -> None:
    name = session_name(user)
    try:
        await log_in(page, user)
        await choose(page)
        await follow(page)
        await page.goto(STATUS)
        card = page.get_by_role("article", name=f"Session {name}")
        await expect(card.locator(".head .state")).to_have_text("Ready", timeout=LIVE_MS)
        await expect(card).to_contain_text("all certificates and tokens are valid")
        await expect(card).to_contain_text("Token for data")
        await expect(card.get_by_role("row", name="local")).to_be_visible()
        await look_everywhere(page)
        await card.get_by_role("button", name=f"Restart {name}").click()
        first = cluster.get(*SESSION, name, NAMESPACE)["spec"]["runId"]

        def started_anew() -> bool:
            session = cluster.get(*SESSION, name, NAMESPACE)
            assert session["spec"]["runId"] != first
            return bool(condition(session, "Ready")["status"] == "True")

        await eventually(started_anew, 120, what="another run of the session")
        stop = card.get_by_role("button", name=f"Stop {name}")
        await expect(stop).to_be_enabled(timeout=LIVE_MS)
        await stop.click()
        await expect(card.locator(".head .state")).to_have_text("Stopped", timeout=60_000)
        await expect(card.get_by_role("button", name=f"Start {name}")).to_be_visible()
        await picture(page, "status-stopped")
    except BaseException:
        await picture(page, "failed")
        print(explain(name))
        raise


async def look_everywhere(page: Page) -> None:
    """See the page in both lights and on a phone, and that nobody is kept out of it."""
    await page.get_by_text("How to use it").first.click()
    for light in ("light", "dark"):
        assert await page.locator("html").get_attribute("data-bs-theme") == light
        for size, width in (("desk", DESK), ("phone", PHONE)):
            await page.set_viewport_size(width)  # type: ignore[arg-type]
            await picture(page, f"status-{light}-{size}")
            assert await barriers(page) == [], (light, size)
            scrolls = "document.documentElement.scrollWidth > window.innerWidth"
            assert not await page.evaluate(scrolls), "wider than the screen"
        await page.set_viewport_size(DESK)  # type: ignore[arg-type]
        await page.locator("#dark-theme-toggle").click()


async def test_a_session_made_by_hand_is_seen_by_its_user_alone_and_by_admins(
    cluster: Cluster, page: Page, make_session: MakeSession
) -> None:
    name = make_session()  # alice's
    await ready(cluster, name)
    await arrive(page, "alice")
    await expect(page.get_by_role("article", name=f"Session {name}")).to_be_visible()
    async with browser() as other:
        await arrive(other, f"bob-{uuid4().hex[:6]}")
        await expect(other.locator("#none")).to_be_visible()
        token = await other.locator("body").get_attribute("data-token")
        press = """async ([where, token]) => {
            const headers = token ? {"X-XSRFToken": token} : {};
            const answer = await fetch(where, {method: "POST", headers});
            return [answer.status, await answer.text()];
        }"""
        where = f"{STATUS}sessions/{name}/stop"
        status, words = await other.evaluate(press, [where, token])
        assert (status, "you have no session" in words) == (409, True)
        status, _ = await other.evaluate(press, [where, ""])
        assert status == 403, "a page of another site could press the buttons"
        await other.goto(f"{STATUS}?all=1")
        await expect(other.locator("#none")).to_be_visible()
    async with browser() as admin:
        await arrive(admin, "admin")
        await admin.get_by_label("Sessions of all users").check()
        card = admin.get_by_role("article", name=f"Session {name}")
        await expect(card).to_be_visible()
        await expect(admin.locator("#totals")).to_contain_text("sessions of")
        await admin.get_by_role("searchbox").fill("nobody at all")
        await expect(card).to_be_hidden()
        await admin.get_by_role("searchbox").fill("alice")
        await expect(card).to_be_visible()
        assert await barriers(admin) == []
        await picture(admin, "status-admin")
    assert cluster.get(*SESSION, name, NAMESPACE)["spec"].get("lifecycle") != "Stopped"


async def test_without_a_login_nothing_is_told(cluster: Cluster, page: Page) -> None:  # noqa: ARG001 - up
    await page.goto(STATUS)
    await page.wait_for_url("**/hub/login*")
    ask = """async (where) => {
        const answer = await fetch(where, {redirect: "manual"});
        return answer.type === "opaqueredirect" ? 302 : answer.status;
    }"""
    for path, refusal in (("", 302), ("events", 403), ("events?all=1", 403)):
        assert await page.evaluate(ask, f"{STATUS}{path}") == refusal, path
