"""The demonstration's second half: a user's own way, by login in a real browser to a first plot."""

import shutil
import time
from pathlib import Path

from casita.hub.names import session_name
from tests.cluster.access import gateway_on_host
from tests.cluster.steps import Steps
from tests.support.browser import PICTURES, browser
from tests.support.hub_certificate import HOST
from tests.support.hub_pages import choose, follow, log_in, open_first_plot, run_all, withdraw

USER = "demo"
"""Anybody may log in as anybody here; the server of this one starts with an empty home."""


async def show_a_login(output: Path, steps: Steps) -> dict[str, float]:
    """Log in, choose, wait, open the first example, and run it; keep pictures in `output`.

    Returns:
        Seconds after the choice of a profile until JupyterLab was there, and until the plot was.
    """
    withdraw(session_name(USER))
    async with browser() as page:
        with steps.step(f"a user logs in to https://{HOST} and chooses a profile"):
            await log_in(page, USER)
            await choose(page)
        began = time.monotonic()
        with steps.step("server and session come up together"):
            await follow(page)
        shown = time.monotonic() - began
        with steps.step("the first example runs on the session's workers"):
            await open_first_plot(page)
            await run_all(page)
        plotted = time.monotonic() - began
        await page.locator(".jp-NotebookPanel:visible .jp-OutputArea-output img").hover()
        await page.screenshot(path=output / "first-plot.png", animations="disabled")
    for name in ("1-login", "2-profiles", "3-progress", "4-getting-started"):
        if (PICTURES / f"{name}.png").exists():
            shutil.copy(PICTURES / f"{name}.png", output / f"{name}.png")
    return {
        "choice of a profile to JupyterLab, s": round(shown, 1),
        "choice of a profile to first plot, s": round(plotted, 1),
    }


def how_to_look() -> list[str]:
    """Return lines that say how to open the hub in one's own browser."""
    where = gateway_on_host(443)
    if where is None:
        return [f"the hub: https://{HOST}, by your own DNS and gateway"]
    host, port = where
    flag = f'--host-resolver-rules="MAP {HOST}:443 {host}:{port}"'
    return [
        f"the hub: https://{HOST}:{port}, once /etc/hosts has the line `{host} {HOST}`",
        f"     or: chromium {flag} https://{HOST}",
        "         log in under any name with any password; its certificate is of this test's own",
    ]
