"""A small identity provider on the loopback, for logins without passwords.

oidc-provider-mock speaks OpenID Connect; who somebody is a test says. It takes no part in the
login but for one form, which `log_in` fills in as a browser's user would.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from yarl import URL

from tests.cluster import ports
from tests.support.cluster import repeatedly


@dataclass(frozen=True)
class Page:
    """Where a browser ended, and what it saw there."""

    status: int
    url: URL
    text: str


@dataclass
class Browser:
    """What keeps somebody's cookies."""

    http: aiohttp.ClientSession = field(repr=False)

    async def get(self, url: str) -> Page:
        """Open a page."""
        async with self.http.get(url) as response:
            return Page(response.status, response.url, await response.text())

    async def log_in(self, hub: str, subject: str) -> Page:
        """Log in at a hub as `subject`, by the provider's form; return where that ends."""
        form = await self.get(f"{hub}/oauth_login")
        assert form.status == 200, form
        async with self.http.post(form.url, data={"sub": subject}) as response:
            return Page(response.status, response.url, await response.text())


@contextlib.asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """A browser that nobody has used before; cookies of an address are kept, too."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as http:
        yield Browser(http)


@dataclass(frozen=True)
class Provider:
    """The provider while it runs."""

    url: str

    async def answers(self) -> bool:
        """Say whether it can be spoken to yet."""
        with contextlib.suppress(aiohttp.ClientConnectionError):
            async with aiohttp.ClientSession() as http, http.get(self.url) as response:
                return response.ok
        return False

    async def say(self, subject: str, **claims: Any) -> None:
        """Say from now on who `subject` is."""
        async with aiohttp.ClientSession() as http:
            await http.put(f"{self.url}/users/{subject}", json=claims)

    async def revoke(self, subject: str) -> None:
        """Take back all tokens that were given out for `subject`."""
        async with aiohttp.ClientSession() as http:
            await http.post(f"{self.url}/users/{subject}/revoke-tokens")

    def traits(self, hub: str, **more: Any) -> dict[str, Any]:
        """Return the configuration of a hub, by class, that logs in here."""
        return {
            "JupyterHub": {"authenticator_class": "casita.hub.login.OidcAuthenticator"},
            "OidcAuthenticator": {
                "client_id": "hub",
                "client_secret": "of the tests",
                "oauth_callback_url": f"{hub}/oauth_callback",
                "authorize_url": f"{self.url}/oauth2/authorize",
                "token_url": f"{self.url}/oauth2/token",
                "userdata_url": f"{self.url}/userinfo",
                "scope": ["openid", "profile", "email"],
                "username_claim": "preferred_username",
                "manage_groups": True,
                "auth_state_groups_key": "oauth_user.groups",
                "enable_auth_state": True,
                "basic_auth": True,  # the only way in which it takes refresh tokens
                **more,
            },
        }


@contextlib.asynccontextmanager
async def provider(token_seconds: int = 3600) -> AsyncIterator[Provider]:
    """Run a provider whose access tokens live so long."""
    (port,) = ports.free(1)
    options = ("--port", str(port), "--token-max-age", str(token_seconds))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", *options),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    found = Provider(f"http://127.0.0.1:{port}")
    try:
        await repeatedly(found.answers, bool, 30)
        yield found
    finally:
        process.terminate()
        await process.wait()
