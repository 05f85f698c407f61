"""What breaks around users' servers, and what of it users notice."""

import asyncio
import time
from collections.abc import Iterator
from urllib.parse import quote
from uuid import uuid4

import pytest
from playwright.async_api import Error, Page, expect

from casita.api.names import slug
from casita.hub.names import session_name
from tests.e2e.conftest import NAMESPACE, explain
from tests.support import kubectl
from tests.support.browser import picture
from tests.support.cluster import SESSION, Cluster, Json
from tests.support.hub_pages import HUB, choose, follow, log_in, withdraw

HUB_NAMESPACE = "casita-hub"

WORK = """
import time
from distributed import Client
client = Client()
futures = client.map(lambda n: (time.sleep(5), n)[1], range(8), pure=False)
print("begun", flush=True)
print("sum", sum(client.gather(futures)))
"""
"""Forty seconds of work, more than hub and proxy need to come back."""


@pytest.fixture
def user() -> Iterator[str]:
    name = f"xaver-{uuid4().hex[:6]}"
    yield name
    withdraw(session_name(name))


def notebook_of(cluster: Cluster, user: str) -> Json:
    """Return the one pod of a user's server."""
    label = f"casita.dev/session={slug(NAMESPACE, session_name(user))}"
    found = cluster.items(
        "v1", "Pod", NAMESPACE, label_selector=f"{label},casita.dev/component=notebook"
    )
    assert len(found) == 1, [pod["metadata"]["name"] for pod in found]
    return found[0]


async def opens(page: Page, url: str) -> float:
    """Open a page again and again until JupyterLab is there; return how long that took."""
    began = time.monotonic()
    while time.monotonic() - began < 120:
        try:
            await page.goto(url, timeout=10_000)
            await expect(page.locator("#jp-main-dock-panel")).to_be_visible(timeout=5_000)
        except (AssertionError, Error):
            await page.wait_for_timeout(500)
        else:
            return time.monotonic() - began
    raise AssertionError(f"{url} does not open within 120 s")


@pytest.mark.timeout(400)
@pytest.mark.parametrize("killed", [("jupyterhub-proxy",), ("jupyterhub-proxy", "jupyterhub")])
async def test_servers_and_their_work_go_on_while_what_leads_to_them_is_away(
    cluster: Cluster, page: Page, user: str, killed: tuple[str, ...]
) -> None:
    try:
        await log_in(page, user)
        await choose(page)
        await follow(page)
        lab = f"{HUB}/user/{quote(user)}/lab"
        pod = notebook_of(cluster, user)
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        work = asyncio.create_task(
            asyncio.to_thread(kubectl.execute, NAMESPACE, name, "python", "-c", WORK, timeout=200)
        )
        for part in killed:
            label = f"app.kubernetes.io/name={part}"
            kubectl.run("-n", HUB_NAMESPACE, "delete", "pod", "-l", label)
        seconds = await opens(page, lab)
        print(f"users' servers are reached again {seconds:.1f} s after the end of {killed}")
        assert "sum 28" in await work
        assert notebook_of(cluster, user)["metadata"]["uid"] == uid
    except BaseException:
        await picture(page, "failed")
        print(explain(session_name(user)))
        raise


@pytest.mark.timeout(300)
async def test_two_tabs_that_start_a_server_at_once_have_one(
    cluster: Cluster, page: Page, user: str
) -> None:
    await log_in(page, user)
    other = await page.context.new_page()
    await other.goto(f"{HUB}/hub/spawn")
    buttons = [tab.get_by_role("button", name="Start") for tab in (page, other)]
    await asyncio.gather(*(button.click() for button in buttons))
    # JupyterHub refuses one of the two with a word, or leads both to the same server.
    refused = [tab.get_by_text("is pending spawn") for tab in (page, other)]
    for tab, refusal in zip((page, other), refused, strict=True):
        await expect(refusal.or_(tab.locator("#jp-main-dock-panel")).first).to_be_visible(
            timeout=60_000
        )
    assert [await refusal.count() for refusal in refused].count(0) >= 1
    for tab in (page, other):
        await opens(tab, HUB)
    notebook_of(cluster, user)
    found = [item["metadata"]["name"] for item in cluster.items(*SESSION, NAMESPACE)]
    assert [name for name in found if name.startswith(user)] == [session_name(user)]
