"""Which models of an inference server are ready: ``python -m casita.monitoring.triton``.

Runs beside Triton, whose own metrics are silent about a model that could not be loaded. At each
scrape it asks the server's index of models and shows what that says; nothing else of the server
can be reached through it.
"""

import argparse
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import ClientError, ClientSession, ClientTimeout, web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

logger: Final = logging.getLogger("casita.monitoring")

TIMEOUT: Final = 5.0
LONGEST_REASON: Final = 200
"""Characters; the server's log has the whole."""
NO_VERSION: Final = "no version of it could be read; see the server's log"
"""Triton gives no reason for a model whose configuration is no configuration."""
SESSION: Final = web.AppKey("session", ClientSession)


@dataclass(frozen=True)
class Model:
    """A version of a model, as the index has it.

    Attributes:
        reason: why it is not ready; empty if it is.
    """

    name: str
    version: str
    reason: str


class NoIndexError(Exception):
    """The server does not answer, or not as Triton does; the message says how."""


def read_index(answer: Any) -> list[Model]:
    """Read the answer to ``POST /v2/repository/index`` (Triton's model repository extension).

    Raises:
        NoIndexError: it is none.
    """
    if not isinstance(answer, list) or not all(isinstance(each, dict) for each in answer):
        raise NoIndexError("the index of models is not a list of objects")
    return [_model(each) for each in answer]


def _model(entry: dict[str, Any]) -> Model:
    state = str(entry.get("state", ""))
    reason = str(entry.get("reason", "")) or state.lower() or NO_VERSION
    line = " ".join(reason.split())[:LONGEST_REASON]
    ready = state == "READY"
    return Model(str(entry.get("name", "")), str(entry.get("version", "")), "" if ready else line)


async def ask(session: ClientSession, server: str) -> list[Model]:
    """Return the models of a server.

    Raises:
        NoIndexError: it does not answer, or not as Triton does.
    """
    try:
        async with session.post(f"{server}/v2/repository/index") as response:
            response.raise_for_status()
            return read_index(await response.json(content_type=None))
    except (ClientError, TimeoutError, ValueError) as error:
        raise NoIndexError(str(error) or f"no answer within {TIMEOUT:.0f} s") from None


class Models(Collector):
    """What the index said.

    Args:
        models: those of the server; `None` if it did not answer.
    """

    def __init__(self, models: Sequence[Model] | None) -> None:
        self._models = models

    def collect(self) -> Iterator[Metric]:
        """Yield whether the server answers, which models are ready, and why others are not."""
        up = self._models is not None
        yield GaugeMetricFamily("casita_triton_up", "Whether the server answers.", value=int(up))
        ready = GaugeMetricFamily(
            "casita_triton_model_ready",
            "Whether a version of a model can be used.",
            labels=["model", "version"],
        )
        trouble = GaugeMetricFamily(
            "casita_triton_model_trouble",
            "Why a version of a model cannot be used; 1 for each that cannot.",
            labels=["model", "version", "reason"],
        )
        for model in self._models or ():
            ready.add_metric([model.name, model.version], int(not model.reason))
            if model.reason:
                trouble.add_metric([model.name, model.version, model.reason], 1)
        yield ready
        yield trouble


def application(server: str) -> web.Application:
    """Return the web application: metrics, and whether it lives.

    Args:
        server: Triton's HTTP endpoint, without a slash at its end.
    """
    told = ""

    async def show(request: web.Request) -> web.Response:
        nonlocal told
        try:
            models: list[Model] | None = await ask(request.app[SESSION], server)
            trouble = ""
        except NoIndexError as error:
            models, trouble = None, str(error)
        if trouble != told:
            logger.warning("%s: %s", server, trouble or "it answers")
            told = trouble
        registry = CollectorRegistry()
        registry.register(Models(models))
        body = generate_latest(registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def healthy(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    app = web.Application()
    app.cleanup_ctx.append(_session)
    app.router.add_get("/metrics", show)
    app.router.add_get("/healthz", healthy)
    return app


async def _session(app: web.Application) -> AsyncIterator[None]:
    async with ClientSession(timeout=ClientTimeout(total=TIMEOUT)) as app[SESSION]:
        yield


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s", force=True
    )
    parser = argparse.ArgumentParser(prog="casita.monitoring.triton", description=__doc__)
    parser.add_argument("--server", required=True, help="Triton's HTTP endpoint, a URL")
    parser.add_argument("--port", type=int, default=9100)
    options = parser.parse_args(argv)
    web.run_app(
        application(options.server.rstrip("/")), port=options.port, access_log=None, print=None
    )


if __name__ == "__main__":
    main()
