"""Clusters to run casita and its tests on; CLUSTER=auto|kind|current|embedded says which."""

from __future__ import annotations

import argparse
import signal
import sys

from tests.cluster import access, building, choose
from tests.cluster.control_plane import ControlPlane
from tests.cluster.errors import ClusterError
from tests.cluster.lock import alone
from tests.cluster.steps import Steps


def main() -> int:
    """Run one command; 0 if it did what was asked."""
    arguments = _parser().parse_args()
    actions = {
        "up": _up,
        "down": _down,
        "status": _status,
        "images": _images,
        "kubeconfig": _kubeconfig,
        "control-plane": _control_plane,
    }
    try:
        return actions[arguments.command](arguments)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; `python -m tests.cluster down` removes what was begun", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="make a cluster run, with the images on it")
    commands.add_parser("down", help="stop it and remove all of it")
    status = commands.add_parser("status", help="say what runs; 1 if nothing healthy does")
    status.add_argument("--quiet", action="store_true", help="say it by the exit status alone")
    images = commands.add_parser("images", help="build the images")
    images.add_argument("--push", metavar="REGISTRY/FOLDER", help="and send them to a registry")
    commands.add_parser("kubeconfig", help="print the path of the cluster's kubeconfig")
    commands.add_parser("control-plane", help="run a control plane without nodes until Ctrl-C")
    return parser


def _up(_arguments: argparse.Namespace) -> int:
    steps = Steps()
    with alone(steps):
        cluster = choose.cluster(steps)
        choose.remember(cluster)
        cluster.up()
    return 0


def _down(_arguments: argparse.Namespace) -> int:
    steps = Steps()
    with alone(steps):
        choose.cluster(steps).down()
        choose.forget()
    steps.say("cluster: gone")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    cluster = choose.cluster(Steps(quiet=True)) if choose.up_already() else None
    if not arguments.quiet:
        print("\n".join(cluster.status()) if cluster else "no cluster is up")
    return 0 if cluster and cluster.healthy() else 1


def _images(arguments: argparse.Namespace) -> int:
    steps = Steps()
    with alone(steps):
        references = building.build_all(steps, push=arguments.push)
    for name, reference in references.items():
        print(f"{name:<12} {reference}")
    return 0


def _kubeconfig(_arguments: argparse.Namespace) -> int:
    print(access.kubeconfig())
    return 0


def _control_plane(_arguments: argparse.Namespace) -> int:
    with ControlPlane(audit=True, steps=Steps()) as plane:
        ends = {signal.SIGINT, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, ends)
        print(plane.kubeconfig, flush=True)
        signal.sigwait(ends)
    return 0


if __name__ == "__main__":
    sys.exit(main())
