"""Login by an identity provider: who comes in, under which name, and for how long."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.controlplane.conftest import MakeHub
from tests.support.cluster import repeatedly
from tests.support.hub import Hub
from tests.support.provider import Browser, Page, Provider, browser, provider


@pytest.fixture
async def idp() -> AsyncIterator[Provider]:
    async with provider() as found:
        yield found


def by(idp: Provider, make_hub: MakeHub, **traits: Any) -> Hub:
    """Return a hub that lets in whom this provider says is in the group `cms`."""
    hub = make_hub()
    allowed = {"allowed_groups": ["cms"], "admin_groups": ["admins"], "allow_all": False}
    hub.configure(idp.traits(hub.url, **{**allowed, **traits}))
    return hub


async def groups_of(hub: Hub, user: str) -> list[str]:
    _, found = await hub.ask("GET", f"/users/{user}")
    return list(found["groups"])


def came_in(page: Page) -> bool:
    return page.status == 200 and not re.search(r"error|login", str(page.url))


async def test_claims_become_name_groups_and_admin(idp: Provider, make_hub: MakeHub) -> None:
    await idp.say("1", preferred_username="alice", groups=["cms"])
    await idp.say("2", preferred_username="bob", groups=["cms", "admins"])
    async with by(idp, make_hub).running() as hub:
        for subject, name, admin in (("1", "alice", False), ("2", "bob", True)):
            async with browser() as person:
                assert came_in(page := await person.log_in(hub.url, subject)), page
            _, found = await hub.ask("GET", f"/users/{name}")
            assert found["admin"] is admin
        assert sorted(await groups_of(hub, "bob")) == ["admins", "cms"]


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"preferred_username": "mallory"}, "not currently authorized"),
        ({"preferred_username": "mallory", "groups": ["atlas"]}, "not currently authorized"),
        # As a list, the text would be the groups c, m and s.
        ({"preferred_username": "mallory", "groups": {"cms": True}}, "names your groups in a way"),
        ({"groups": ["cms"]}, "does not tell your name"),
        ({"preferred_username": "../hub/admin", "groups": ["cms"]}, "can be nobody"),
        ({"preferred_username": "<script>alert(1)</script>", "groups": ["cms"]}, "can be nobody"),
    ],
)
async def test_who_is_nobody_here_is_told_so(
    idp: Provider, make_hub: MakeHub, claims: dict[str, Any], words: str
) -> None:
    await idp.say("1", **claims)
    async with by(idp, make_hub).running() as hub, browser() as person:
        page = await person.log_in(hub.url, "1")
        assert page.status == 403, hub.log()
        assert words in page.text
        assert "<script>alert" not in page.text
        assert (await hub.ask("GET", "/users"))[1] == []


async def test_groups_may_be_in_a_claim_whose_name_has_a_dot(
    idp: Provider, make_hub: MakeHub
) -> None:
    await idp.say("1", **{"preferred_username": "alice", "wlcg.groups": ["/cms"]})
    where = {"auth_state_groups_key": "oauth_user.wlcg.groups", "allowed_groups": ["/cms"]}
    async with by(idp, make_hub, **where).running() as hub, browser() as person:
        assert came_in(page := await person.log_in(hub.url, "1")), page
        assert await groups_of(hub, "alice") == ["/cms"]


async def test_two_homes_behind_one_provider_never_share_a_user(
    idp: Provider, make_hub: MakeHub
) -> None:
    for subject, home in (("1", "https://idp.site.org"), ("2", "https://idp.elsewhere.org")):
        await idp.say(subject, preferred_username="alice", groups=["cms"], idp=home)
    hub = by(idp, make_hub, home_claim="idp", home="https://idp.site.org")
    async with hub.running():
        for subject in ("1", "2"):
            async with browser() as person:
                assert came_in(page := await person.log_in(hub.url, subject)), page
        _, users = await hub.ask("GET", "/users")
        mine, foreign = sorted(user["name"] for user in users)
        assert mine == "alice"
        assert foreign.startswith("alice~idp.elsewhere.org-")


async def is_in(hub: Hub, person: Browser) -> bool:
    return came_in(await person.get(f"{hub.url}/home"))


async def test_who_left_the_allowed_groups_is_out_at_the_next_refresh(
    idp: Provider, make_hub: MakeHub
) -> None:
    await idp.say("1", preferred_username="alice", groups=["cms", "staff"])
    async with by(idp, make_hub, auth_refresh_age=1).running() as hub, browser() as person:
        await person.log_in(hub.url, "1")
        await idp.say("1", preferred_username="alice", groups=["cms"])

        async def has_left() -> bool:
            assert await is_in(hub, person), hub.log()
            return "staff" not in await groups_of(hub, "alice")

        await repeatedly(has_left, bool)
        await idp.say("1", preferred_username="alice", groups=["atlas"])
        await repeatedly(lambda: is_in(hub, person), lambda inside: not inside)
        assert "alice is allowed no more" in hub.log()


async def test_a_login_outlives_its_access_token_but_not_its_withdrawal(
    make_hub: MakeHub,
) -> None:
    async with provider(token_seconds=1) as idp:
        await idp.say("1", preferred_username="alice", groups=["cms"])
        async with by(idp, make_hub, auth_refresh_age=1).running() as hub, browser() as person:
            await person.log_in(hub.url, "1")

            async def renewed() -> bool:
                assert await is_in(hub, person), hub.log()
                return "Refreshing oauth access token for alice" in hub.log()

            await repeatedly(renewed, bool)
            await idp.revoke("1")
            await repeatedly(lambda: is_in(hub, person), lambda inside: not inside)


async def test_nobody_is_led_elsewhere_after_login(idp: Provider, make_hub: MakeHub) -> None:
    await idp.say("1", preferred_username="alice", groups=["cms"])
    async with by(idp, make_hub).running() as hub, browser() as person:
        for there in ("https://evil.example", "//evil.example", "/\\evil.example"):
            form = await person.get(f"{hub.url}/oauth_login?next={there}")
            async with person.http.post(form.url, data={"sub": "1"}) as answer:
                assert answer.url.host == "127.0.0.1", answer.url
