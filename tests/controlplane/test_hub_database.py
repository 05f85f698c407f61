"""A hub on a database server: its users' servers and sessions do not need it."""

from casita.config import Site
from tests.controlplane.conftest import MakeHub, Operate
from tests.support.bed import Bed
from tests.support.cluster import repeatedly
from tests.support.database import database
from tests.support.hub import HERE
from tests.support.kubelet import kubelet


async def test_a_hub_comes_back_with_its_database_and_nobodys_session_has_noticed(
    bed: Bed, operate: Operate, unrouted: Site, make_hub: MakeHub
) -> None:
    hub = make_hub()
    with database() as server:
        hub.configure({"JupyterHub": {"db_url": server.url}})
        async with hub.running(), kubelet(bed, HERE):
            with operate(unrouted):
                await hub.start("alice")
                await hub.until_ready("alice")
                keys = bed.serials()
                server.kill()
                status, _ = await hub.ask("GET", "/users/alice")
                assert status >= 400, "it answers without knowing"
                server.start()
                await repeatedly(
                    lambda: hub.ask("GET", "/users/alice"), lambda said: said[0] == 200, 30
                )
                assert "" in await hub.servers("alice")
                assert bed.serials() == keys
                await hub.start("bob")
                await hub.until_ready("bob")
                assert await hub.stop("alice") in (202, 204)
                await bed.until("Ready", "False", "Stopped")
