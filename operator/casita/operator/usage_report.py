"""``casita usage``: core hours by user, pool and so on, as a site's Prometheus has kept them.

Example: casita usage --prometheus http://localhost:9090 --since 7d --by user,pool
"""

import argparse
import asyncio
import csv
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TextIO

from casita.clients.prometheus import PrometheusError, Sample, Server, query
from casita.operator.usage import Account

METRIC: Final = "casita_worker_core_seconds_total"
HOURS: Final = "core_hours"
_DURATION: Final = re.compile(r"([0-9]+(ms|[smhdwy]))+")
"""Of PromQL, whose units they are."""

Row = tuple[tuple[str, ...], float]
"""Values of the labels asked for, and core hours."""


def expression(by: Sequence[str], duration: str) -> str:
    """Return the query for core hours over the time that ends when it is asked for."""
    return f"sum by ({', '.join(by)}) (increase({METRIC}[{duration}])) / 3600"


def rows(samples: Iterable[Sample], by: Sequence[str]) -> list[Row]:
    """Return what was used, most first; who used nothing is left out."""
    found = [(tuple(s.labels.get(name, "") for name in by), s.value) for s in samples]
    return sorted(((k, v) for k, v in found if v > 0), key=lambda row: (-row[1], row[0]))


def write_csv(found: Sequence[Row], by: Sequence[str], out: TextIO) -> None:
    """Write the rows for another program."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*by, HOURS])
    writer.writerows([*names, f"{hours:.4f}"] for names, hours in found)


def write_table(found: Sequence[Row], by: Sequence[str], out: TextIO) -> None:
    """Write the rows for a person, with their sum."""
    total = ("total", *("" for _ in by[1:]))
    table = [
        [*(name.upper() for name in by), "CORE HOURS"],
        *([*(name or "-" for name in names), f"{hours:.1f}"] for names, hours in found),
        [*total, f"{sum(hours for _, hours in found):.1f}"],
    ]
    *widths, last = (max(len(line[n]) for line in table) for n in range(len(by) + 1))
    for line in table:
        names = (text.ljust(width) for text, width in zip(line, widths, strict=False))
        out.write("  ".join([*names, line[-1].rjust(last)]) + "\n")


def main(arguments: Sequence[str]) -> int:
    """Run the command; return the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    until = options.until or datetime.now(UTC)
    duration = options.since
    if isinstance(duration, datetime):
        seconds = int((until - duration).total_seconds())
        if seconds <= 0:
            parser.error(f"--since {duration.isoformat()} is not before {until.isoformat()}")
        duration = f"{seconds}s"
    server = Server(options.prometheus, options.token_file, options.ca_file)
    try:
        samples = asyncio.run(query(server, expression(options.by, duration), until))
    except PrometheusError as error:
        sys.stderr.write(f"casita usage: {error}\n")
        return 1
    found = rows(samples, options.by)
    if options.csv:
        write_csv(found, options.by, sys.stdout)
    elif found:
        write_table(found, options.by, sys.stdout)
    else:
        sys.stderr.write(
            f"casita usage: nothing was used, or {options.prometheus} does not know {METRIC}: "
            "see that it scrapes the Service casita-operator-metrics\n"
        )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="casita usage",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--prometheus", metavar="URL", type=_url, required=True)
    parser.add_argument(
        "--since", type=_since, default="7d", help="how long, as 12h, 7d, 4w, or a date; default 7d"
    )
    parser.add_argument("--until", type=_moment, help="a date or time, UTC; default now")
    parser.add_argument(
        "--by",
        type=_labels,
        default=("user",),
        metavar="LABEL,...",
        help=f"among {', '.join(Account._fields)}; default user",
    )
    parser.add_argument("--csv", action="store_true", help="for another program")
    parser.add_argument("--token-file", type=Path, help="bearer token, where one is asked for")
    parser.add_argument("--ca-file", type=Path, help="authority of its certificate, PEM")
    return parser


def _url(text: str) -> str:
    if not re.match(r"https?://[^/\s]", text):
        raise argparse.ArgumentTypeError(f"an http:// or https:// address is needed, got {text!r}")
    return text


def _since(text: str) -> str | datetime:
    return text if _DURATION.fullmatch(text) else _moment(text)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"a date is needed, as 2026-11-01 or 2026-11-01T12:00, got {text!r}"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _labels(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(text.split(",")))
    for name in names:
        if name not in Account._fields:
            known = ", ".join(Account._fields)
            raise argparse.ArgumentTypeError(f"{name!r} is none of {known}")
    return names
