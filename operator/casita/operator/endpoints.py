"""What the operator answers: schedulers' reports by HTTPS; health and metrics beside."""

import ssl
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import ValidationError

from casita.config import Reporting
from casita.credentials.report import verify_report_token
from casita.credentials.verify import load_authority
from casita.credentials.x509 import Authority, Role, issue_leaf
from casita.operator.metrics import Metrics
from casita.sessions.cache import SessionKey
from casita.sessions.reports import Report, Reports

MAX_REPORT_BYTES: Final = 2**20
"""A report of 10,000 workers fits; more is refused before it is read."""

ENDPOINT_LIFE: Final = timedelta(days=30)
"""Of the endpoint's own leaf, which is kept in memory and made anew at half its life."""


class ReportEndpoint:
    """Takes reports of sessions that prove themselves by their token.

    `run_of` returns a session's uid and the fingerprint of its present authority: a scheduler of an
    earlier run is a stranger. `answer_of` returns what the scheduler is told of its own session.
    """

    def __init__(
        self,
        reports: Reports,
        root_key: bytes,
        run_of: Callable[[SessionKey], tuple[str, str] | None],
        answer_of: Callable[[SessionKey], Mapping[str, Any]],
        metrics: Metrics,
        monotonic: Callable[[], float],
    ) -> None:
        self._reports = reports
        self._root_key = root_key
        self._run_of = run_of
        self._answer_of = answer_of
        self._metrics = metrics
        self._monotonic = monotonic

    def application(self) -> web.Application:
        """Return the web application with its one route."""
        application = web.Application(client_max_size=MAX_REPORT_BYTES)
        application.router.add_post(
            "/v1/namespaces/{namespace}/sessions/{name}/report", self._handle
        )
        return application

    async def _handle(self, request: web.Request) -> web.Response:
        response = await self._answer(request)
        self._metrics.reports.labels(code=str(response.status)).inc()
        return response

    async def _answer(self, request: web.Request) -> web.Response:
        """Answer alike for an unknown session and a wrong token: names are not told."""
        key = request.match_info["namespace"], request.match_info["name"]
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        present = self._run_of(key)
        if scheme != "Bearer" or present is None:
            return web.Response(status=401, text="a report needs its session's token\n")
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return web.Response(status=413, text=f"at most {MAX_REPORT_BYTES} bytes\n")
        try:
            report = Report.model_validate_json(body)
        except ValidationError as error:
            return web.Response(status=400, text=f"not a report: {error.error_count()} errors\n")
        uid, run = present
        if report.run != run or not verify_report_token(self._root_key, uid, run, token):
            return web.Response(status=401, text="a report needs its session's token\n")
        if not self._reports.take(key, report, self._monotonic()):
            return web.Response(status=429, headers={"Retry-After": "1"})
        return web.json_response(self._answer_of(key))


def status_application(
    metrics: Metrics,
    trouble: Callable[[], str | None],
    starting: Callable[[], str | None],
    site_trouble: Callable[[], str | None],
) -> web.Application:
    """Return the application for kubelet, Prometheus and `helm test`: it tells of no session.

    Args:
        metrics: what to expose.
        trouble: says what is wrong with the process, or `None`.
        starting: says what the process waits for before it begins its work, or `None`.
        site_trouble: says which keys or parts of the site do not do what sessions need, or `None`.
    """

    def tell(problem: str | None) -> web.Response:
        return web.Response(status=500 if problem else 200, text=f"{problem or 'ok'}\n")

    async def health(_: web.Request) -> web.Response:
        return tell(trouble())

    async def readiness(_: web.Request) -> web.Response:
        return tell(trouble() or starting())

    async def site(_: web.Request) -> web.Response:
        return tell(site_trouble())

    async def expose(_: web.Request) -> web.Response:
        body = generate_latest(metrics.registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    application = web.Application()
    application.router.add_get("/healthz", health)
    application.router.add_get("/readyz", readiness)
    application.router.add_get("/sitez", site)
    application.router.add_get("/metrics", expose)
    return application


def system_authority(reporting: Reporting, now: datetime) -> Authority:
    """Read the system authority, whose leaf the endpoint shows.

    Raises:
        OSError: its files cannot be read.
        CredentialError: they are damaged or over.
    """
    folder = reporting.authority_directory
    return load_authority((folder / "tls.crt").read_bytes(), (folder / "tls.key").read_bytes(), now)


def load_endpoint_leaf(
    context: ssl.SSLContext, authority: Authority, reporting: Reporting, now: datetime
) -> None:
    """Put a fresh leaf into the endpoint's context; connections that are open keep theirs."""
    host = urlsplit(reporting.url).hostname or ""
    leaf = issue_leaf(authority, Role.ENDPOINT, [host], now, ENDPOINT_LIFE)
    with tempfile.TemporaryDirectory() as folder:
        pem = Path(folder, "endpoint.pem")  # the ssl module reads files only
        pem.touch(0o600)
        pem.write_bytes(leaf.certificate_pem + leaf.key_pem)
        context.load_cert_chain(pem)


async def listen(
    application: web.Application, port: int, context: ssl.SSLContext | None = None
) -> Callable[[], Awaitable[None]]:
    """Serve on all addresses; return the function that ends it."""
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port, ssl_context=context).start()
    return runner.cleanup
