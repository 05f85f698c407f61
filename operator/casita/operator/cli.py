"""The command line of the operator's image: ``casita run``, ``prepare``, ``stop-sessions`` ..."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from casita.access import deliver
from casita.clients.errors import ApiError
from casita.config import ConfigurationError, RouteApi, load_site
from casita.credentials.errors import CredentialError
from casita.operator import usage_report
from casita.operator.connection import NoConnectionError, find_connection
from casita.operator.logs import set_up_logs
from casita.operator.prepare import CacheTls, NotPreparedError, SiteSecrets, prepare
from casita.operator.process import Ports, Process
from casita.operator.stop import NotStoppedError, stop_sessions

logger = logging.getLogger(__name__)

_EXPECTED = (
    ApiError,
    ConfigurationError,
    CredentialError,
    NoConnectionError,
    NotPreparedError,
    NotStoppedError,
    OSError,
)

_APART: Final[Mapping[str, Callable[[Sequence[str]], int]]] = {
    "deliver": deliver.main,
    "usage": usage_report.main,
}
"""They have options of their own, and need nothing of an operator."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] in _APART:
        return _APART[given[0]](given[1:])
    options = _parser().parse_args(given)
    set_up_logs(os.environ.get("CASITA_LOG_LEVEL", "info"))
    try:
        asyncio.run(options.command(options))
    except _EXPECTED as error:
        logger.critical("%s", error)
        return 1
    return 0


async def _run(options: argparse.Namespace) -> None:
    site = load_site(options.config)
    process = Process(site, find_connection(), Ports(options.report_port, options.status_port))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await process.run(stop)


async def _prepare(options: argparse.Namespace) -> None:
    cache_tls = None
    if options.cache_tls_secret:
        cache_tls = CacheTls(
            options.cache_tls_secret, options.cache_tls_authority, tuple(options.cache_tls_name)
        )
    wanted = SiteSecrets(
        authority=options.authority_secret,
        root_key=options.root_key_secret,
        idtoken_key=options.idtoken_key_secret,
        macaroon_key=options.macaroon_key_secret,
        cache_tls=cache_tls,
    )
    await prepare(find_connection(), options.namespace, options.route_api, wanted)


async def _stop_sessions(options: argparse.Namespace) -> None:
    await stop_sessions(find_connection(), options.namespace, options.seconds)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="casita", description=__doc__)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="run the operator")
    run.set_defaults(command=_run)
    run.add_argument("--config", type=Path, default=Path("/etc/casita/site.yaml"))
    run.add_argument("--report-port", type=int, default=Ports.report)
    run.add_argument("--status-port", type=int, default=Ports.status)
    ready = commands.add_parser("prepare", help="check the cluster, make the site's secrets once")
    ready.set_defaults(command=_prepare)
    ready.add_argument("--namespace", required=True)
    ready.add_argument("--route-api", type=RouteApi, choices=list(RouteApi), required=True)
    for each in ("authority", "root-key", "idtoken-key", "macaroon-key"):
        ready.add_argument(f"--{each}-secret", metavar="NAME", help="Secret to make")
    ready.add_argument("--cache-tls-secret", metavar="NAME", help="Secret to make")
    ready.add_argument("--cache-tls-authority", metavar="NAME", help="Secret that signs it")
    ready.add_argument("--cache-tls-name", metavar="HOST", action="append", default=[])
    stop = commands.add_parser("stop-sessions", help="stop sessions that may have batch jobs")
    stop.set_defaults(command=_stop_sessions)
    stop.add_argument("--namespace", metavar="NAME", action="append", required=True)
    stop.add_argument("--seconds", type=float, default=240.0, help="how long to wait")
    commands.add_parser(
        "deliver", add_help=False, help="copy mounted Secrets to where programs take them"
    )
    commands.add_parser("usage", add_help=False, help="tell who used how many core hours")
    return parser


if __name__ == "__main__":
    sys.exit(main())
