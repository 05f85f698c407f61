"""Servers that nobody uses end, with their sessions; those that are used do not."""

import asyncio
from datetime import UTC, datetime

from casita.config import Site
from tests.controlplane.conftest import MakeHub, Operate
from tests.support.bed import Bed
from tests.support.hub import HERE, Hub
from tests.support.kubelet import kubelet

SOON = ("--timeout=4", "--cull-every=1")


async def use(hub: Hub, user: str) -> None:
    """Tell the hub of use, as the user's server does while its kernels or its workers are busy."""
    while True:
        now = datetime.now(UTC).isoformat()
        body = {"servers": {"": {"last_activity": now}}, "last_activity": now}
        status, _ = await hub.ask("POST", f"/users/{user}/activity", body)
        assert status == 200, hub.log()
        await asyncio.sleep(0.5)


async def test_an_idle_server_ends_with_its_session_and_a_busy_one_goes_on(
    bed: Bed, operate: Operate, unrouted: Site, make_hub: MakeHub
) -> None:
    async with make_hub(cull=SOON).running() as hub, kubelet(bed, HERE):
        with operate(unrouted):
            await hub.start("bob")
            await hub.until_ready("bob")
            using = asyncio.create_task(use(hub, "bob"))
            try:
                await hub.start("alice")
                await bed.until("Ready", "False", "Stopped", seconds=40)
                assert "" not in await hub.servers("alice")
                assert not using.done(), using.result()
                assert "" in await hub.servers("bob")
                assert bed.session("bob")["spec"]["lifecycle"] == "Running"
            finally:
                using.cancel()
                await asyncio.wait([using])
