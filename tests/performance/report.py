"""The figures beside their budgets, as tables and as data."""

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from tests.performance.audit import STATUS
from tests.performance.burst import Burst, Floor
from tests.performance.restart import Idle, Restart


@dataclass(frozen=True)
class Figure:
    """One figure and what it may be at most.

    Attributes:
        counted: it is a count, the same on every machine: over its budget, the bench fails.
    """

    what: str
    value: float
    budget: float
    unit: str = ""
    counted: bool = False

    @property
    def within(self) -> bool:
        """Whether it keeps to its budget."""
        return self.value <= self.budget

    def row(self) -> str:
        """Return a row of a table."""
        verdict = "ok" if self.within else "OVER"
        unit = f" {self.unit}" if self.unit else ""
        return f"| {self.what} | {self.value:.4g}{unit} | {self.budget:g}{unit} | {verdict} |"


@dataclass
class Report:
    """Everything that was measured in one run."""

    sessions: int
    pairs: list[tuple[Floor, Burst]] = field(default_factory=list)
    restarts: list[Restart] = field(default_factory=list)
    idle: Idle | None = None
    minting_milliseconds: float | None = None
    load: list[float] = field(default_factory=list)
    """The machine's load before each measurement; above about 1, others were at work."""

    def note_load(self) -> None:
        """Keep the machine's load of the last minute."""
        self.load.append(os.getloadavg()[0])

    def figures(self) -> list[Figure]:
        """Return what has a budget."""
        found = [*self._burst(), *self._restart()]
        if self.idle is not None:
            asked = sum(self.idle.requests.values())
            what = f"requests in {self.idle.seconds:g} s idle, open watches apart"
            found.append(Figure(what, asked, 0, counted=True))
        if self.minting_milliseconds is not None:
            what = "CPU of a session's four certificates and two tokens"
            found.append(Figure(what, self.minting_milliseconds, 50, "ms"))
        return found

    def _burst(self) -> list[Figure]:
        bursts = [burst for _, burst in self.pairs]
        if not bursts:
            return []
        ratio = median(burst.seconds / floor.seconds for floor, burst in self.pairs)
        cpu = median(b.cpu_seconds * 1000 / b.sessions for b in bursts)
        objects = max(b.objects_per_session for b in bursts)
        statuses = max(b.per_session(STATUS) for b in bursts)
        events = max(b.per_session("events") for b in bursts)
        passes = max(b.passes / b.sessions for b in bursts)
        return [
            Figure("burst: time by the floor's, median of pairs", ratio, 1.25),
            Figure("burst: operator CPU per session, median", cpu, 8, "ms"),
            Figure("burst: peak resident size", max(b.peak_megabytes for b in bursts), 120, "MB"),
            Figure("burst: writes of objects per session", objects, 9, counted=True),
            Figure("burst: status patches per session", statuses, 3, counted=True),
            Figure("burst: events per session", events, 2, counted=True),
            Figure("burst: passes per session", passes, 1.1, counted=True),
        ]

    def _restart(self) -> list[Figure]:
        if not self.restarts:
            return []
        seconds = median(r.seconds for r in self.restarts)
        size = max(r.peak_megabytes for r in self.restarts)
        writes = max(r.writes for r in self.restarts)
        return [
            Figure("restart: start to last no-op, median", seconds, 3, "s"),
            Figure("restart: peak resident size", size, 120, "MB"),
            Figure("restart: writes", writes, 0, counted=True),
        ]

    @property
    def broken(self) -> list[Figure]:
        """The counts that are over their budget."""
        return [figure for figure in self.figures() if figure.counted and not figure.within]

    def text(self) -> str:
        """Return the report as Markdown that reads well as it is."""
        load = ", ".join(f"{value:.1f}" for value in self.load)
        machine = f"{os.cpu_count()} cores, Python {platform.python_version()}"
        lines = [
            f"# {self.sessions} sessions, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            "",
            f"{machine}; load before each measurement: {load}",
            "",
            "| figure | measured | budget | |",
            "|---|---|---|---|",
            *(figure.row() for figure in self.figures()),
            "",
            *self._pair_table(),
            *self._restart_table(),
            *self._idle_lines(),
        ]
        return "\n".join(lines) + "\n"

    def _pair_table(self) -> list[str]:
        if not self.pairs:
            return []
        each = 1000 / self.sessions
        rows = [
            f"| {number} | {floor.seconds:.1f} | {burst.seconds:.1f} "
            f"| {burst.seconds / floor.seconds:.2f} | {burst.cpu_seconds * each:.1f} "
            f"| {floor.client_cpu_seconds * each:.1f} "
            f"| {burst.cpu_seconds / floor.client_cpu_seconds:.1f} "
            f"| {burst.idle_megabytes:.0f} | {burst.peak_megabytes:.0f} "
            f"| {burst.passes / self.sessions:.1f} | {burst.failed} |"
            for number, (floor, burst) in enumerate(self.pairs, 1)
        ]
        asked = self.pairs[-1][1].requests
        head = "pair | floor s | operator s | ratio | CPU ms/session | the bare client's"
        return [
            f"| {head} | the one by the other | MB before | MB peak | passes/session | refused |",
            "|---|---|---|---|---|---|---|---|---|---|---|",
            *rows,
            "",
            "Requests of the last burst: " + ", ".join(f"{n} {what}" for what, n in asked.items()),
            "",
        ]

    def _restart_table(self) -> list[str]:
        rows = [
            f"| {r.seconds:.2f} | {r.cpu_seconds:.2f} | {r.peak_megabytes:.0f} | {r.passes} "
            f"| {r.writes} | {sum(r.requests.values()) - r.writes} |"
            for r in self.restarts
        ]
        head = [
            "| restart s | CPU s | MB peak | passes | writes | reads |",
            "|---|---|---|---|---|---|",
        ]
        return [*head, *rows, ""] if rows else []

    def _idle_lines(self) -> list[str]:
        if self.idle is None:
            return []
        idle = self.idle
        cost = f"Idle for {idle.seconds:g} s: {idle.cpu_seconds:.2f} s of CPU"
        asked = f"{idle.watches} watches opened anew, other requests: {idle.requests or 'none'}"
        return [f"{cost}, {asked}"]

    def write(self, folder: Path) -> None:
        """Write ``report.md`` and ``report.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.md").write_text(self.text())
        data: dict[str, Any] = asdict(self)
        data["figures"] = [{**asdict(f), "within": f.within} for f in self.figures()]
        (folder / "report.json").write_text(json.dumps(data, indent=1) + "\n")
