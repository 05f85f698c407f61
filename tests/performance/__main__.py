"""The bench: ``python -m tests.performance [--sessions 1000] [--pairs 3] [--idle 30]``.

Seconds are printed and never judged; the exit status tells whether the counts keep to the budget.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.performance.burst import run_burst, run_floor
from tests.performance.minting import minting_milliseconds
from tests.performance.peers import compare
from tests.performance.processes import ROOT
from tests.performance.report import Report
from tests.performance.restart import run_restart
from tests.performance.site import bench

RESTARTS = 3


def measure(options: argparse.Namespace, folder: Path) -> Report:
    """Measure everything; each run of a pair has a control plane that nobody used before."""
    report = Report(options.sessions)
    say("minting")
    report.minting_milliseconds = minting_milliseconds()
    for number in range(1, options.pairs + 1):
        report.note_load()
        say(f"pair {number} of {options.pairs}: the bare writes")
        with bench(folder / f"floor-{number}") as site:
            floor = run_floor(site, options.sessions)
        say(f"{floor.seconds:.1f} s; now the operator")
        report.note_load()
        with bench(folder / f"operator-{number}") as site:
            burst = run_burst(site, options.sessions)
            report.pairs.append((floor, burst))
            say(f"{burst.seconds:.1f} s, {burst.cpu_seconds * 1000 / options.sessions:.1f} ms each")
            report.write(options.output)  # what was measured stays, whatever happens next
            if number < options.pairs:
                continue
            for left in reversed(range(RESTARTS)):
                report.note_load()
                say("restart" if left else f"restart, then {options.idle:g} s idle")
                restart, idle = run_restart(site, options.sessions, 0 if left else options.idle)
                report.restarts.append(restart)
                report.idle = idle
    return report


def say(text: str) -> None:
    """Tell what is going on, on standard error."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.performance", description=__doc__)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--pairs", type=int, default=3, help="alternating with the bare writes")
    parser.add_argument("--idle", type=float, default=30.0, help="seconds to look at an idle one")
    parser.add_argument(
        "--peers", type=int, default=20, help="clusters for the comparison with others; 0 is none"
    )
    parser.add_argument("--output", type=Path, default=ROOT / "build/bench", help="for reports")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="casita-bench-") as folder:
        try:
            report = measure(options, Path(folder))
            report.write(options.output)
            beside = (
                compare(options.peers, options.idle, options.output, Path(folder))
                if options.peers
                else ""
            )
        except ClusterError as error:
            sys.stderr.write(f"{error}\n")
            return 1
    sys.stdout.write("\n".join(filter(None, (report.text(), beside))))
    for figure in report.broken:
        sys.stderr.write(f"over its budget: {figure.what}: {figure.value:g} > {figure.budget:g}\n")
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main())
