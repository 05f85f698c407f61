"""Reports to the operator as schedulers send them, or as others might."""

import io
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.support.bed import Bed
from tests.support.cluster import Json, repeatedly


@dataclass
class Reporter:
    """The road to an operator's endpoint, whichever operator is there."""

    session: aiohttp.ClientSession
    port: int
    bed: Bed

    async def send(
        self, body: bytes, token: str, *, name: str = "alice", scheme: str = "Bearer"
    ) -> int:
        """Send anything; return the status of the answer."""
        return (await self._post(body, token, name, scheme))[0]

    async def tell(self, name: str = "alice", **report: Any) -> Json:
        """Report as a session's own scheduler does; return what it is told."""
        body = json.dumps({"run": run_of(self.bed, name), "workers": [], **report}).encode()
        token = token_of(self.bed, name)
        # One that comes too soon is told to wait.
        status, text = await repeatedly(
            lambda: self._post(body, token, name, "Bearer"), lambda answer: answer[0] != 429
        )
        assert status == 200, text
        return dict(json.loads(text))

    async def _post(self, body: bytes, token: str, name: str, scheme: str) -> tuple[int, str]:
        path = f"/v1/namespaces/{self.bed.namespace}/sessions/{name}/report"
        headers = {"Authorization": f"{scheme} {token}"} if token else {}
        url = f"https://localhost:{self.port}{path}"
        # A stream: aiohttp warns of large bodies given at once.
        async with self.session.post(url, data=io.BytesIO(body), headers=headers) as answer:
            return answer.status, await answer.text()


@asynccontextmanager
async def reporting(bed: Bed, port: int, name: str = "alice") -> AsyncIterator[Reporter]:
    """Open the road, with the authority that a session's scheduler is given for it."""
    pem = bed.files("scheduler", name=name)["report-ca.pem"].decode()
    context = ssl.create_default_context(cadata=pem)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    connector = aiohttp.TCPConnector(ssl=context, force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Reporter(session, port, bed)


def run_of(bed: Bed, name: str = "alice") -> str:
    """Return the fingerprint of a session's present authority."""
    pod = bed.child("Pod", "scheduler", name=name)
    return str(pod["metadata"]["annotations"]["casita.dev/authority"])


def token_of(bed: Bed, name: str = "alice") -> str:
    """Return the token that a session's scheduler reports with."""
    return bed.files("scheduler", name=name)["report-token"].decode()
