"""The door that users take, by a real browser: log in, choose, watch it come up, compute, stop."""

import asyncio
import time
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from playwright.async_api import Page

from casita.api.names import slug
from casita.hub.names import session_name, session_user
from tests.e2e.conftest import NAMESPACE, explain
from tests.support.browser import browser, picture
from tests.support.cluster import SESSION, Cluster, condition, eventually
from tests.support.hub_pages import choose, follow, log_in, stop, withdraw

FIRST_CELL = """\
from distributed import Client
client = Client()
print("answer", client.submit(lambda: 6 * 7).result(timeout=120))
import uproot
print("events", uproot.open("root://xcache//store/nanoaod/nano_dy.root:Events").num_entries)"""


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with browser() as found:
        yield found


@pytest.fixture
def user() -> str:
    """Somebody who was never here before, by a name that only a hub takes."""
    return f"zoe.{uuid4().hex[:6]}@example.org"


async def run_cell(page: Page, code: str) -> str:
    """Type code into a new notebook, run it, and return what it printed."""
    answers = asyncio.Event()

    def watch(socket: object) -> None:
        if "/channels" in socket.url:  # type: ignore[attr-defined]
            socket.on("framereceived", lambda _: answers.set())  # type: ignore[attr-defined]

    page.on("websocket", watch)
    card = page.locator('.jp-LauncherCard[data-category="Notebook"]:visible').first
    await card.wait_for(timeout=60_000)
    await picture(page, "4-lab")
    await card.click()
    await asyncio.wait_for(answers.wait(), 60)
    cell = page.locator(".jp-NotebookPanel:visible .jp-Cell .cm-content").first
    await cell.click()
    # As if pasted: typed line by line, the editor would indent by itself.
    await page.keyboard.insert_text(code)
    await page.keyboard.press("Shift+Enter")
    output = page.locator(".jp-NotebookPanel:visible .jp-OutputArea-output").filter(
        has_text="events"
    )
    await output.first.wait_for(timeout=180_000)
    await picture(page, "5-cell")
    return await output.first.inner_text()


@pytest.mark.timeout(480)
async def test_a_login_ends_in_a_plot_ready_notebook_with_workers_and_data(
    cluster: Cluster, page: Page, user: str
) -> None:
    name = session_name(user)
    label = f"casita.dev/session={slug(NAMESPACE, name)}"
    try:
        await log_in(page, user)
        await choose(page)
        began = time.monotonic()
        told = await follow(page)
        shown = time.monotonic() - began
        printed = await run_cell(page, FIRST_CELL)
        print(f"Lab after {shown:.1f} s, first cell after {time.monotonic() - began:.1f} s: {told}")
        assert "answer 42" in printed
        assert "events 40" in printed
        assert "Credentials: all certificates and tokens are valid" in told
        assert "Dask scheduler: " in told  # which may answer after the server does
        session = cluster.get(*SESSION, name, NAMESPACE)
        assert session["spec"]["user"] == session_user(user)
        assert condition(session, "Ready")["status"] == "True"

        await stop(page)
        await picture(page, "6-stopped")

        def stopped() -> bool:
            found = cluster.get(*SESSION, name, NAMESPACE)
            assert condition(found, "Ready")["reason"] == "Stopped", found["status"]
            return not cluster.items("v1", "Pod", NAMESPACE, label_selector=label)

        await eventually(stopped, 60, what="nothing of the session is left")
    except BaseException:
        await picture(page, "failed")
        print(explain(name))
        raise
    finally:
        withdraw(name)
