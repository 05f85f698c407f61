"""What stands for kubelets, where there is a control plane and no node."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.support.bed import Bed, pod_status


@contextlib.asynccontextmanager
async def kubelet(bed: Bed, address: str = "") -> AsyncIterator[None]:
    """Say of every pod that appears in a namespace that it runs and answers, at `address`."""

    def look() -> None:
        for pod in bed.cluster.items("v1", "Pod", bed.namespace):
            if pod["status"].get("phase") == "Running":
                continue
            status = pod_status(ready=True)
            status["containerStatuses"][0]["name"] = pod["spec"]["containers"][0]["name"]
            if address:
                status |= {"podIP": address, "podIPs": [{"ip": address}]}
            where = (pod["metadata"]["name"], bed.namespace, {"status": status})
            bed.cluster.patch("v1", "Pod", *where, subresource="status")

    async def work() -> None:
        while True:
            await asyncio.to_thread(look)
            await asyncio.sleep(0.1)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            await task
