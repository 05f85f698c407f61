"""Whether kopf hears the API server: told of its connections, since kopf tells nothing itself."""

import time
from types import SimpleNamespace
from typing import Final

import aiohttp

REFUSED: Final = 400
"""The first status of those by which nothing is heard."""


class Hearing:
    """Since when kopf has been asking without an answer.

    A watch that is open may be quiet for as long as nothing happens, but not silent: kopf asks
    anew when no bookmark has come for a minute or so (``watching.inactivity_timeout``). So it is
    deaf when what it asks is not answered.
    """

    def __init__(self) -> None:
        self.asking_since: float | None = None
        """By `time.monotonic`; `None` while the last question was answered."""

    def trace(self) -> aiohttp.TraceConfig:
        """Return what notes the requests of an HTTP session."""

        async def asked(*_: object) -> None:
            if self.asking_since is None:
                self.asking_since = time.monotonic()

        async def answered(
            _: aiohttp.ClientSession, __: SimpleNamespace, end: aiohttp.TraceRequestEndParams
        ) -> None:
            if end.response.status < REFUSED:
                self.asking_since = None

        trace = aiohttp.TraceConfig()
        trace.on_request_start.append(asked)
        trace.on_request_end.append(answered)
        return trace
