"""``python -m casita.hub.metrics``, started by the hub as one of its services.

Shows the hub's own metrics at a port that only Prometheus reaches. The hub itself answers
``/hub/metrics`` at the port of its pages, where everybody can ask, so there it wants a token.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
from typing import Final

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.web import Application, RequestHandler

logger = logging.getLogger("casita.hub.metrics")

PATH: Final = "/metrics"
SECONDS: Final = 10.0
"""How long the hub may take to answer: Prometheus' own default."""


class Metrics(RequestHandler):  # type: ignore[misc]
    """Answers as the hub does."""

    def initialize(self, url: str, token: str) -> None:
        """Ask at `url` by `token`."""
        self._url = url
        self._token = token

    async def get(self) -> None:
        """Ask the hub at each request; say 502 if it does not answer."""
        headers = {"Authorization": f"token {self._token}"}
        request = HTTPRequest(self._url, headers=headers, request_timeout=SECONDS)
        try:
            answer = await AsyncHTTPClient().fetch(request)
        except (HTTPClientError, OSError) as error:
            self.set_status(502)
            self.finish(f"the hub does not show its metrics: {error}\n")
        else:
            self.set_header("Content-Type", answer.headers["Content-Type"])
            self.finish(answer.body)


def application(api_url: str, token: str) -> Application:
    """Return the web application.

    Args:
        api_url: of the hub; ends in ``/hub/api``.
        token: of the service, with the scope ``read:metrics``.
    """
    url = api_url.removesuffix("/api") + PATH
    return Application([(PATH, Metrics, {"url": url, "token": token})])


async def serve(port: int, address: str) -> None:
    """Listen for ever."""
    service = application(os.environ["JUPYTERHUB_API_URL"], os.environ["JUPYTERHUB_API_TOKEN"])
    service.listen(port, address)
    logger.info("listening at %s:%d", address, port)
    await asyncio.Event().wait()


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(prog="python -m casita.hub.metrics", description=__doc__)
    parser.add_argument("--port", type=int, default=8083)
    parser.add_argument("--address", default="0.0.0.0", help="to listen at")  # noqa: S104
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="[%(levelname)s %(name)s] %(message)s")
    # In this way a hub ends its services, also one that was started with the signal ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(arguments.port, arguments.address))


if __name__ == "__main__":
    main()
