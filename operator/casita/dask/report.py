"""What the scheduler tells the operator: on change, and now and then anyway.

``POST {url}`` with the session's token; the endpoint's side is `casita.operator`. The operator may
be away at any time: whatever goes wrong here is logged once per streak and tried again, and never
disturbs the scheduler.
"""

import asyncio
import json
import logging
import random
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from tornado.httpclient import AsyncHTTPClient, HTTPError, HTTPRequest

from casita.dask.answer import Answer, parse_answer
from casita.dask.dialback import Contact, one_line
from casita.dask.settings import ReportTarget

REPORT_LIMIT: Final = 1_048_576
"""Bytes of a report that the operator takes."""

MIN_INTERVAL_SECONDS: Final = 1.0
MAX_BACKOFF_SECONDS: Final = 60.0
BRISK_SECONDS: Final = 5.0
"""Between reports while workers come and go."""
BRISK_FOR_SECONDS: Final = 30.0
"""After a change of what is asked for."""
_ACCEPTED: Final = (200, 204)


@dataclass(frozen=True, slots=True)
class Content:
    """What a report says, beside the run that it is of."""

    contacts: Sequence[Contact] = ()
    demand: Mapping[str, Any] | None = None
    idle_seconds: float | None = None
    mismatches: Sequence[str] = field(default=())


class Reporter:
    """Sends the newest state, as often as it changes but not more; keeps the operator's answer."""

    def __init__(
        self, target: ReportTarget, content: Callable[[], Content], logger: logging.Logger
    ) -> None:
        """Report to `target` what `content` returns at that time."""
        self._target = target
        self._content = content
        self._logger = logger
        self._changed = asyncio.Event()
        self._demand: object = None
        self._demand_changed = 0.0
        self.answer: Answer | None = None
        """The last; `None` before the first."""
        self.trouble = ""
        """Why the last report was not accepted, if it was not."""

    @property
    def target(self) -> ReportTarget:
        """Where reports go."""
        return self._target

    def notify(self) -> None:
        """Say that `content` returns something new."""
        self._changed.set()

    async def run(self) -> None:
        """Report until cancelled."""
        client = AsyncHTTPClient(force_instance=True)
        failures = 0
        while True:
            self._changed.clear()
            self.trouble = await self._send(client)
            if self.trouble:
                failures += 1
                if failures == 1:
                    text = "report to %s: %s; trying on"
                    self._logger.warning(text, self._target.url, self.trouble)
                await asyncio.sleep(backoff_seconds(failures))
                continue
            if failures:
                self._logger.info("report to %s: accepted again", self._target.url)
                failures = 0
            await asyncio.sleep(MIN_INTERVAL_SECONDS)
            with suppress(TimeoutError):
                since = asyncio.get_running_loop().time() - self._demand_changed
                pause = pause_seconds(self._target.heartbeat_seconds, since, self.answer)
                await asyncio.wait_for(self._changed.wait(), pause * random.uniform(0.9, 1))  # noqa: S311

    async def _send(self, client: AsyncHTTPClient) -> str:
        """Send one report; return why it was not accepted, or nothing."""
        content = self._content()
        self._notice(content.demand)
        try:
            request = HTTPRequest(
                self._target.url,
                method="POST",
                headers={
                    "Authorization": f"Bearer {self._target.token_file.read_text().strip()}",
                    "Content-Type": "application/json",
                },
                body=encode_report(self._target.run, content),
                ssl_options=ssl.create_default_context(cafile=self._target.authority_file),
                connect_timeout=5,
                request_timeout=10,
                follow_redirects=False,  # the token is for one host
            )
            response = await client.fetch(request, raise_error=False)
            if response.code not in _ACCEPTED:
                return f"answered {response.code} {response.reason}"
            self.answer = parse_answer(response.body or b"")
        except (HTTPError, OSError, ValueError) as error:
            return one_line(error)
        return ""

    def _notice(self, demand: Mapping[str, Any] | None) -> None:
        wanted = {key: (demand or {}).get(key) for key in ("cores", "workers", "pools")}
        if wanted != self._demand:
            self._demand = wanted
            self._demand_changed = asyncio.get_running_loop().time()


def pause_seconds(heartbeat: float, since_change: float, answer: Answer | None) -> float:
    """Return how long to wait for a change before the next report.

    Shortly while workers come and go: after a change of what is asked for, and as long as the
    operator has not done it.
    """
    settled = answer is None or answer.settled
    if settled and since_change >= BRISK_FOR_SECONDS:
        return heartbeat
    return min(BRISK_SECONDS, heartbeat)


def backoff_seconds(failures: int) -> float:
    """Return how long to wait after this many failures in a row: doubling, jittered, to 60 s."""
    return float(min(MAX_BACKOFF_SECONDS, 2.0 ** min(failures, 10))) * random.uniform(0.5, 1)  # noqa: S311


def encode_report(run: str, content: Content, limit: int = REPORT_LIMIT) -> bytes:
    """Return a report of at most `limit` bytes.

    One that is too long first loses the texts of the errors, then the workers at the end of the
    list, where those that were reached are.
    """
    entries = sorted(content.contacts, key=lambda contact: (contact.reachable, contact.name))
    content = replace(content, contacts=entries)
    body = _encode(run, content)
    if len(body) > limit:
        entries = [replace(entry, error=entry.error[:20]) for entry in entries]
        body = _encode(run, replace(content, contacts=entries))
    while len(body) > limit and entries:
        entries = entries[: min(len(entries) - 1, len(entries) * limit // len(body))]
        body = _encode(run, replace(content, contacts=entries))
    return body


def _encode(run: str, content: Content) -> bytes:
    report = {
        "run": run,
        "workers": [asdict(contact) for contact in content.contacts],
        "demand": content.demand,
        "idleSeconds": content.idle_seconds,
        "mismatches": list(content.mismatches),
    }
    return json.dumps(report, separators=(",", ":")).encode()
