"""A real browser that knows the facility by its own name and trusts its certificate alone."""

import base64
import contextlib
import hashlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from axe_playwright_python.async_playwright import Axe
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.async_api import Page, async_playwright

from tests.cluster.access import gateway_on_host
from tests.cluster.locations import REPOSITORY
from tests.cluster.packages import ensure, find
from tests.cluster.steps import Steps
from tests.support.hub_certificate import HOST, leaf_pem

PACKAGES = {"chromium": "chromium"}
"""Debian's own browser; Playwright's package brings none."""

PICTURES = REPOSITORY / "build/pictures"
"""What was seen, to be looked at."""

QUIET = (
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-sandbox",  # it is root's in most places where tests run; it meets this facility alone
)


@contextlib.asynccontextmanager
async def browser() -> AsyncIterator[Page]:
    """Open a window of a browser that nobody has used before.

    The hub's host leads to where this machine reaches the gateway. Certificates are verified,
    except that the gateway's own key is taken for what it is.
    """
    ensure(PACKAGES, Steps(quiet=True))
    where = gateway_on_host(443)
    if where is None:
        raise RuntimeError("browser tests need a cluster that `make up` has made")
    flags = [
        f"--host-resolver-rules=MAP {HOST}:443 {where[0]}:{where[1]}",
        f"--ignore-certificate-errors-spki-list={key_digest(leaf_pem())}",
    ]
    with tempfile.TemporaryDirectory(prefix="casita-browser-") as profile:
        async with async_playwright() as playwright:
            context = await playwright.chromium.launch_persistent_context(
                profile,
                executable_path=find("chromium"),
                headless=True,
                args=[*QUIET, *flags],
                viewport={"width": 1400, "height": 900},
            )
            try:
                yield await context.new_page()
            finally:
                await context.close()


async def picture(page: Page, name: str) -> Path:
    """Keep a picture of what is seen."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    path = PICTURES / f"{name}.png"
    await page.screenshot(path=path, animations="disabled")
    return path


def key_digest(certificate: bytes) -> str:
    """Return the SHA-256 of a certificate's public key, base64, as browsers are told it."""
    key = x509.load_pem_x509_certificate(certificate).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(spki).digest()).decode()


async def barriers(page: Page) -> list[str]:
    """Return what keeps people out of this page, as axe-core finds it: serious things alone."""
    found = (await Axe().run(page)).response["violations"]
    return [
        f"{one['id']}: {one['help']}: {[node['html'] for node in one['nodes']]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
