"""The hub's pages as a user goes through them in a browser."""

import contextlib
import re
from typing import Final

from playwright.async_api import Error, Locator, Page, expect

from casita.api.names import slug
from tests.support import kubectl
from tests.support.browser import picture
from tests.support.hub_certificate import HOST

HUB: Final = f"https://{HOST}"
NAMESPACE: Final = "casita"
"""Of servers and sessions."""
STATUS: Final = f"{HUB}/services/status/"


async def log_in(page: Page, user: str) -> None:
    await page.goto(HUB)
    await page.fill("#username_input", user)
    await page.fill("#password_input", "any")
    await picture(page, "1-login")
    await page.click("#login_submit")


async def choose(page: Page) -> None:
    await page.wait_for_url(re.compile(r"/hub/spawn(/|\?|$)"))
    await picture(page, "2-profiles")
    await page.get_by_role("button", name="Start").click()


async def follow(page: Page) -> str:
    """Return all that is told while the server comes up, until JupyterLab is there."""
    await page.wait_for_url("**/hub/spawn-pending/**")
    # The page is left as soon as the server is up, whatever is being looked at.
    with contextlib.suppress(Error):
        await page.locator("#progress-details summary").click(timeout=5_000)
    told, pictures = "", 0
    while "/lab" not in page.url:
        texts: list[str] = []
        with contextlib.suppress(Error):
            texts = await page.locator("#progress-log").all_inner_texts()
        if texts and texts[0] != told:
            told = texts[0]
            if "Dask scheduler" in told and not pictures:
                pictures += 1
                await picture(page, "3-progress")
        assert "Spawn failed" not in told, told
        await page.wait_for_timeout(50)
    return told


async def open_first_plot(page: Page) -> None:
    """Open the first of the examples from the page that a first login ends with."""
    link = page.locator(".jp-RenderedMarkdown:visible a", has_text="A first plot")
    await link.wait_for(timeout=60_000)
    await picture(page, "4-getting-started")
    async with page.expect_websocket(lambda socket: "/channels" in socket.url) as channel:
        await link.click()
    # A cell that is run before the kernel speaks is swallowed.
    await (await channel.value).wait_for_event("framereceived")


async def run_all(page: Page) -> None:
    """Run all cells of the notebook that is open, and wait until its picture is there."""
    await page.get_by_role("menuitem", name="Run", exact=True).click()
    await page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    notebook = page.locator(".jp-NotebookPanel:visible")
    plot = notebook.locator(".jp-OutputArea-output img")
    failed = notebook.locator(".jp-OutputArea-output", has_text="Traceback (most recent call last)")
    await expect(plot.or_(failed).first).to_be_attached(timeout=180_000)
    assert not await failed.count(), await failed.first.inner_text()


async def stop(page: Page, server: str = "") -> None:
    """Stop a server at the hub's home page; without a name, the default one."""
    # The buttons are bare until the page's scripts, loaded one after the other, know them.
    await page.goto(f"{HUB}/hub/home", wait_until="networkidle")
    button = page.locator(f"#stop-{server}" if server else "#stop")
    await _press(page, button)
    await expect(button).to_be_hidden(timeout=60_000)


async def delete(page: Page, server: str) -> None:
    """Delete a named server that has been stopped just now."""
    button = page.locator(f"#delete-{server}")
    await expect(button).to_be_visible(timeout=60_000)
    page.once("dialog", lambda dialog: dialog.accept())
    await _press(page, button)
    await expect(button).to_be_hidden(timeout=60_000)


async def _press(page: Page, button: Locator) -> None:
    async with page.expect_response(lambda said: said.request.method == "DELETE") as answer:
        await button.click()
    assert (await answer.value).ok, await (await answer.value).text()


def withdraw(session: str) -> None:
    """Remove a session and its server, whatever became of them."""
    label = f"casita.dev/session={slug(NAMESPACE, session)}"
    # The session first: of one that runs, the pods come again.
    for kind, selected in (("asess", (session, "--ignore-not-found")), ("pod", ("-l", label))):
        kubectl.run("-n", NAMESPACE, "delete", kind, *selected)
