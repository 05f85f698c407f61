"""Login at a real identity provider, in a real browser: who comes in, and what they have there."""

import re
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from casita.api.names import slug
from casita.hub.names import session_name
from tests.support import kubectl
from tests.support.browser import browser, picture
from tests.support.cluster import SESSION, Cluster, condition, eventually
from tests.support.hub_pages import (
    HUB,
    NAMESPACE,
    STATUS,
    choose,
    delete,
    follow,
    open_first_plot,
    run_all,
    stop,
    withdraw,
)
from tests.support.keycloak import Keycloak
from tests.support.login import ANNA, BEN, CARL, real_provider

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECOND = "second"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider() -> AsyncIterator[Keycloak]:
    async with real_provider() as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def page() -> AsyncIterator[Page]:
    async with browser() as found:
        yield found


async def sign_in(page: Page, provider: Keycloak, user: str) -> None:
    """Go from the hub to the provider and back, as a person does."""
    await page.goto(HUB)
    await page.get_by_role("button", name="Sign in").click()
    await page.fill("#username", user)
    await page.fill("#password", provider.password)
    await picture(page, f"login-{user}")
    await page.click("#kc-login")
    await page.wait_for_url(re.compile(f"^{HUB}/(hub|user)/"))


def nothing_is_left(cluster: Cluster, session: str) -> bool:
    label = f"casita.dev/session={slug(NAMESPACE, session)}"
    found = cluster.items(*SESSION, NAMESPACE)
    assert session not in [item["metadata"]["name"] for item in found]
    for kind in ("Pod", "Secret", "Service"):
        assert not cluster.items("v1", kind, NAMESPACE, label_selector=label), kind
    return True


def notebook_of(cluster: Cluster, session: str) -> str:
    label = f"casita.dev/session={slug(NAMESPACE, session)},casita.dev/component=notebook"
    (pod,) = cluster.items("v1", "Pod", NAMESPACE, label_selector=label)
    return str(pod["metadata"]["name"])


async def nobody_else_comes_in(provider: Keycloak) -> None:
    """Let somebody with a login of his own try the server of another."""
    async with browser() as other:
        await sign_in(other, provider, CARL)
        for path in ("lab", "api/kernels", "dask-dashboard/status"):
            answer = await other.goto(f"{HUB}/user/{ANNA}/{path}")
            assert answer is not None
            assert answer.status == 403, (path, answer.status)


@pytest.mark.timeout(600)
async def test_who_signs_in_has_a_server_and_a_second_one_until_they_are_deleted(
    cluster: Cluster, page: Page, provider: Keycloak
) -> None:
    first, second = session_name(ANNA), session_name(ANNA, SECOND)
    try:
        began = time.monotonic()
        await sign_in(page, provider, ANNA)
        await choose(page)
        told = await follow(page)
        shown = time.monotonic() - began
        await open_first_plot(page)
        await run_all(page)
        plotted = time.monotonic() - began
        print(f"Lab {shown:.1f} s after the first page, plot after {plotted:.1f} s: {told}")
        await nobody_else_comes_in(provider)
        # Of a profile that is for others nothing is offered.
        await page.goto(f"{HUB}/hub/spawn/{ANNA}/{SECOND}")
        await expect(page.locator("#profile-item-default")).to_have_count(1)
        await expect(page.locator("#profile-item-closed")).to_have_count(0)
        await choose(page)
        await follow(page)
        assert f"/user/{ANNA}/{SECOND}/" in page.url
        kubectl.execute(NAMESPACE, notebook_of(cluster, first), "sh", "-c", "echo mine > ~/note")
        note = kubectl.execute(NAMESPACE, notebook_of(cluster, second), "sh", "-c", "cat ~/note")
        assert note.strip() == "mine", "the home is another"
        await page.goto(STATUS)
        for name in (first, second):
            card = page.get_by_role("article", name=f"Session {name}", exact=True)
            await expect(card.locator(".head .state")).to_have_text("Ready", timeout=30_000)
        await picture(page, "status-two-servers")
        await stop(page, SECOND)
        await delete(page, SECOND)
        await eventually(lambda: nothing_is_left(cluster, second), 60)
        assert condition(cluster.get(*SESSION, first, NAMESPACE), "Ready")["status"] == "True"
        await stop(page)

        def stopped() -> bool:
            found = cluster.get(*SESSION, first, NAMESPACE)
            return bool(condition(found, "Ready")["reason"] == "Stopped")

        await eventually(stopped, 60)
    except BaseException:
        await picture(page, "failed")
        raise
    finally:
        withdraw(first)
        withdraw(second)
        kubectl.run("-n", NAMESPACE, "delete", "pvc", f"home-{ANNA}", "--ignore-not-found")
    assert nothing_is_left(cluster, first)


async def test_who_is_in_no_allowed_group_is_told_so_and_an_admin_is_one(
    page: Page, provider: Keycloak
) -> None:
    await sign_in(page, provider, "mallory")
    await expect(page.get_by_role("heading", name="not currently authorized")).to_be_visible()
    await picture(page, "login-refused")
    async with browser() as other:
        await sign_in(other, provider, BEN)
        await other.goto(f"{HUB}/hub/admin")
        await expect(other.get_by_role("link", name="Admin")).to_be_visible()


async def test_who_is_locked_out_at_the_provider_is_so_at_the_hub(
    page: Page, provider: Keycloak
) -> None:
    await sign_in(page, provider, ANNA)
    await page.goto(f"{HUB}/hub/home")
    await expect(page.get_by_text(ANNA, exact=True)).to_be_visible()
    await provider.disable(ANNA)
    deadline = time.monotonic() + 60
    while "/hub/login" not in page.url and "/realms/" not in page.url:
        assert time.monotonic() < deadline, f"still at {page.url}"
        await page.goto(f"{HUB}/hub/home")
        await page.wait_for_timeout(1000)
