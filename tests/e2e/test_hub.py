"""The door that users take, by a real browser: log in, choose, watch it come up, compute, stop."""

import time
from urllib.parse import quote
from uuid import uuid4

import pytest
from playwright.async_api import Page, expect

from casita.api.names import slug
from casita.hub.names import session_name, session_user
from tests.e2e.conftest import NAMESPACE, explain
from tests.support.browser import picture
from tests.support.cluster import SESSION, Cluster, condition, eventually
from tests.support.hub_pages import (
    HUB,
    choose,
    follow,
    log_in,
    open_first_plot,
    run_all,
    stop,
    withdraw,
)


@pytest.fixture
def user() -> str:
    """Somebody who was never here before, by a name that only a hub takes."""
    return f"zoe.{uuid4().hex[:6]}@example.org"


async def see_the_dashboard(page: Page, user: str) -> None:
    """See the session's own dashboard in JupyterLab, which nobody told where it is."""
    await page.locator('.lm-TabBar-tab[data-id="dask-dashboard-launcher"]').click()
    plots = page.locator("#dask-dashboard-launcher button", has_text="Task Stream")
    await expect(plots.first).to_be_enabled(timeout=60_000)
    await picture(page, "6-dask-panel")
    frames: list[object] = []
    page.on(
        "websocket",
        lambda found: found.on("framereceived", lambda frame: frames.append(frame)),
    )
    await page.goto(f"{HUB}/user/{quote(user, safe='@')}/dask-dashboard/status")
    await expect(page.locator(".bk-Figure").first).to_be_visible(timeout=60_000)
    while not frames:
        await page.wait_for_timeout(100)
    await picture(page, "7-dashboard")


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
        await open_first_plot(page)
        opened = time.monotonic() - began
        await run_all(page)
        plotted = time.monotonic() - began
        await page.locator(".jp-NotebookPanel:visible .jp-OutputArea-output img").hover()
        await picture(page, "5-first-plot")
        print(
            f"after the choice: JupyterLab {shown:.1f} s, the example's kernel {opened:.1f} s, "
            f"its plot {plotted:.1f} s; {told}"
        )
        assert "Credentials: all certificates and tokens are valid" in told
        assert "Dask scheduler: " in told  # which may answer after the server does
        session = cluster.get(*SESSION, name, NAMESPACE)
        assert session["spec"]["user"] == session_user(user)
        assert condition(session, "Ready")["status"] == "True"

        await see_the_dashboard(page, user)
        await stop(page)
        await picture(page, "8-stopped")

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
