"""``python3 -m casita.xcache``: run an XRootD server, or ask one whether it answers."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from casita.xcache.probe import ProbeError, ask
from casita.xcache.serve import Settings, serve

XROOTD = "/usr/bin/xrootd"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s", force=True
    )
    options = _parser().parse_args(argv)
    return int(options.command(options))


def _serve(options: argparse.Namespace) -> int:
    if options.folder is not None:
        options.folder.mkdir(exist_ok=True)
    settings = Settings(
        command=(XROOTD, "-c", str(options.config)),
        key=options.key,
        key_copy=options.key_copy,
        watched=tuple(options.watch),
    )
    return serve(settings)


def _probe(options: argparse.Namespace) -> int:
    try:
        ask(options.host, options.port, timeout=options.seconds, tls=options.tls)
    except ProbeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="casita.xcache", description=__doc__)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("serve", help="run a server; start it anew when its files change")
    run.set_defaults(command=_serve)
    run.add_argument("--config", type=Path, required=True)
    run.add_argument("--folder", type=Path, help="made for the files, inside the volume")
    run.add_argument("--key", type=Path, help="macaroon key, in any form of base64")
    run.add_argument("--key-copy", type=Path, help="where the server's configuration says it is")
    run.add_argument("--watch", type=Path, action="append", default=[], help="start anew by this")
    probe = commands.add_parser("probe", help="fail unless a server answers")
    probe.set_defaults(command=_probe)
    probe.add_argument("--host", default="127.0.0.1")
    probe.add_argument("--port", type=int, default=1094)
    probe.add_argument("--seconds", type=float, default=4.0)
    probe.add_argument("--tls", action="store_true", help="with a TLS handshake")
    return parser


if __name__ == "__main__":
    sys.exit(main())
