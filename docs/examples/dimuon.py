"""Muon pairs in real CMS events, on the workers of a session, and the same once more at home.

Reads three NanoAOD files through the site's data cache, selects muons, fills the mass of every pair
of opposite charge, checks that the session's workers and this process count the same in every bin,
draws the spectrum and tells where the time went. In the session's notebook::

    python dimuon.py --data root://xcache//store/nanoaod --output .

The files are samples that come with coffea, 280 events in all: enough to see the Z, by far too few
to measure anything. With your own files the same code runs as it is.
"""

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import awkward as ak
import hist
import matplotlib as mpl
import numpy as np
from coffea import processor
from coffea.nanoevents import NanoAODSchema
from distributed import Client, get_task_stream
from hist.intervals import poisson_interval
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

SAMPLES = {
    "data": "nano_dimuon.root",
    "dy": "nano_dy.root",
    "tt": "nano_tt_v12.root",
}
TITLES = {
    "data": "Data, run 315267 (2018)",
    "dy": r"Simulation, Drell-Yan $\to\ell\ell$",
    "tt": r"Simulation, $t\bar{t}$",
}
COLOURS = {"data": "#111111", "dy": "#3f90da", "tt": "#ffa90e"}
RESONANCES = {
    r"$\rho,\omega$": 0.78,
    r"$\phi$": 1.02,
    r"$J/\psi$": 3.10,
    r"$\psi^\prime$": 3.69,
    r"$\Upsilon$": 9.46,
    "Z": 91.19,
}  # GeV
MASS = r"$m_{\mu\mu}$ [GeV]"
STYLE = {
    "font.size": 13,
    "axes.linewidth": 1.2,
    "legend.frameon": False,
    **{
        f"{axis}tick.{key}": value
        for axis in "xy"
        for key, value in {
            "direction": "in",
            "minor.visible": True,
            "major.size": 7,
            "minor.size": 4,
        }.items()
    },
    "xtick.top": True,
    "ytick.right": True,
}
GREY = "#666666"
CHUNK = 20
"""Events of one task; real analyses take 100,000, but then these files would be one task each."""


class Schema(NanoAODSchema):
    """NanoAOD; these samples hold only part of the columns that theirs refer to."""

    warn_missing_crossrefs = False


class Dimuon(processor.ProcessorABC):
    """Counts muon pairs of opposite charge by their mass."""

    def process(self, events: ak.Array) -> dict[str, Any]:
        """Return the histograms of one chunk of events."""
        dataset = events.metadata["dataset"]
        muons = events.Muon
        good = muons[
            (muons.pt > 3)  # GeV
            & (abs(muons.eta) < 2.4)
            & muons.looseId
            & (abs(muons.dxy) < 0.5)  # cm
            & (abs(muons.dz) < 1.0)  # cm
        ]
        pairs = ak.combinations(good, 2, fields=["first", "second"])
        pairs = pairs[pairs["first"].charge != pairs["second"].charge]
        mass = ak.flatten((pairs["first"] + pairs["second"]).mass)

        category = hist.axis.StrCategory([], name="dataset", growth=True)
        bins = hist.axis.Regular(
            24, 0.3, 300, name="mass", label=MASS, transform=hist.axis.transform.log
        )
        window = hist.axis.Regular(20, 70, 110, name="mass", label=MASS)
        steps = hist.axis.StrCategory(["events", "two muons", "pairs"], name="step")
        spectrum = hist.Hist(category, bins, storage="int64")
        peak = hist.Hist(category, window, storage="int64")
        cutflow = hist.Hist(category, steps, storage="int64")
        spectrum.fill(dataset=dataset, mass=mass)
        peak.fill(dataset=dataset, mass=mass)
        for step, count in (
            ("events", len(events)),
            ("two muons", int(ak.sum(ak.num(good) >= 2))),
            ("pairs", len(mass)),
        ):
            cutflow.fill(dataset=dataset, step=[step] * count)
        return {"spectrum": spectrum, "peak": peak, "cutflow": cutflow}

    def postprocess(self, accumulator: dict[str, Any]) -> None:
        """Nothing is left to do once all chunks are added."""


@dataclass
class Stopwatch:
    """Wall time of each stage, in seconds."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time a block."""
        begin = time.perf_counter()
        yield
        self.seconds[stage] = time.perf_counter() - begin


def fileset(data: str) -> dict[str, dict[str, Any]]:
    """Return coffea's description of the files."""
    return {
        name: {"files": {f"{data}/{file}": "Events"}, "metadata": {"title": TITLES[name]}}
        for name, file in SAMPLES.items()
    }


def analyse(executor: Any, data: str, chunk: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run the analysis by a coffea executor; return its histograms and coffea's metrics."""
    run = processor.Runner(
        executor=executor,
        schema=Schema,
        chunksize=chunk,
        savemetrics=True,
        metadata_cache={},  # so that both runs do all of the work
    )
    return run(fileset(data), processor_instance=Dimuon())


def on_workers(
    client: Client, data: str, chunk: int, watch: Stopwatch
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run the analysis on the session's workers and tell the wall time's parts apart.

    ``submit``: until the first task began; ``compute``: until the last one ended; ``transfer``:
    until the histograms were here.
    """
    executor = processor.DaskExecutor(client=client, status=False, retries=0)
    begin = time.time()
    with get_task_stream(client) as tasks:
        result, metrics = analyse(executor, data, chunk)
        end = time.time()
    spans = [span for task in tasks.data for span in task["startstops"]]
    # Clocks of pods may differ by a little: no part is less than nothing.
    first = min(max(min(span["start"] for span in spans), begin), end)
    last = min(max(max(span["stop"] for span in spans), first), end)
    watch.seconds |= {"submit": first - begin, "compute": last - first, "transfer": end - last}
    busy = sum(span["stop"] - span["start"] for span in spans if span["action"] == "compute")
    sizes = [histogram.view(flow=True).nbytes for histogram in result.values()]
    more = {"tasks": len(tasks.data), "worker_seconds": busy, "result_bytes": sum(sizes)}
    return result, metrics | more


def differences(ours: dict[str, hist.Hist], theirs: dict[str, hist.Hist]) -> list[str]:
    """Return the names of histograms that differ in any bin, under- and overflow included."""
    return [
        f"{name} of {dataset}"
        for name, histogram in ours.items()
        # By name: chunks end in any order, so categories may stand in another one.
        for dataset in SAMPLES
        if not np.array_equal(
            histogram[dataset, ...].view(flow=True), theirs[name][dataset, ...].view(flow=True)
        )
    ]


def events(result: dict[str, hist.Hist], dataset: str) -> int:
    """Return how many events of a dataset were read."""
    return int(result["cutflow"][dataset, "events"])


def pairs(result: dict[str, hist.Hist], dataset: str) -> int:
    """Return how many pairs of a dataset were selected."""
    return int(result["cutflow"][dataset, "pairs"])


def draw(result: dict[str, hist.Hist], note: str, path: Path) -> None:
    """Draw the spectrum, and the Z from near by, into a PNG."""
    labels = {
        name: f"{title}: {pairs(result, name)} pairs in {events(result, name)} events"
        for name, title in TITLES.items()
    }
    with mpl.rc_context(STYLE):
        figure, (wide, near) = plt.subplots(
            1, 2, figsize=(13, 6.2), width_ratios=(2, 1), layout="constrained"
        )
        draw_masses(wide, result["spectrum"], labels)
        wide.set(xscale="log", yscale="log", xlim=(0.3, 300), ylim=(0.5, 80))
        wide.set(xlabel=MASS, ylabel="Pairs / bin (8 bins per decade)")
        for axis in (wide.xaxis, wide.yaxis):
            axis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
        mark_resonances(wide)
        wide.legend(
            loc="upper left", bbox_to_anchor=(0, 0.93), frameon=True, edgecolor="none", framealpha=1
        )
        draw_masses(near, result["peak"], labels)
        near.set(xlim=(70, 110), ylim=(0, None), xlabel=MASS, ylabel="Pairs / 2 GeV")
        near.axvline(RESONANCES["Z"], color=GREY, linestyle=":", zorder=0)
        wide.set_title("Opposite-sign muon pairs in CMS NanoAOD", loc="left", weight="bold")
        near.set_title("Around the Z", loc="left", weight="bold")
        figure.supxlabel(note, fontsize="small", color=GREY)
        figure.savefig(path, dpi=150)
        plt.close(figure)


def draw_masses(axes: Axes, histogram: hist.Hist, labels: dict[str, str]) -> None:
    """Draw data as points with their Poisson intervals, and simulation as areas."""
    edges, centres = histogram.axes["mass"].edges, histogram.axes["mass"].centers
    counts = histogram["data", :].values()
    seen = counts > 0
    low, high = poisson_interval(counts[seen], counts[seen])
    axes.errorbar(
        centres[seen],
        counts[seen],
        yerr=(counts[seen] - low, high - counts[seen]),
        fmt="o",
        color=COLOURS["data"],
        label=labels["data"],
        zorder=3,
    )
    for dataset in ("dy", "tt"):
        counts = histogram[dataset, :].values()
        shown = np.where(counts > 0, counts, np.nan)
        style = {"color": COLOURS[dataset], "baseline": 1e-9}
        axes.stairs(shown, edges, fill=True, alpha=0.3, **style)
        axes.stairs(shown, edges, linewidth=1.8, label=labels[dataset], **style)


def mark_resonances(axes: Axes) -> None:
    """Mark what is known to decay into two muons."""
    for index, (name, mass) in enumerate(RESONANCES.items()):
        axes.axvline(mass, color=GREY, linestyle=":", linewidth=1, zorder=0)
        axes.annotate(
            name,
            (mass, 0.985),
            xycoords=("data", "axes fraction"),
            xytext=(-3 if index % 2 == 0 else 3, 0),
            textcoords="offset points",
            horizontalalignment="right" if index % 2 == 0 else "left",
            verticalalignment="top",
            color=GREY,
        )


def report(
    result: dict[str, hist.Hist], metrics: dict[str, Any], seconds: dict[str, float], workers: int
) -> dict[str, Any]:
    """Return the facts of the run, for a file."""
    return {
        "events": {dataset: events(result, dataset) for dataset in SAMPLES},
        "pairs": {dataset: pairs(result, dataset) for dataset in SAMPLES},
        "workers": workers,
        "chunks": metrics["chunks"],
        "tasks": metrics["tasks"],
        "bytes": {"read": metrics["bytesread"], "result": metrics["result_bytes"]},
        "seconds": {stage: round(value, 3) for stage, value in seconds.items()},
        "worker_seconds": round(metrics["worker_seconds"], 3),
        "identical": True,
    }


def as_markdown(facts: dict[str, Any]) -> str:
    """Return the facts for people."""
    stages = {
        "connect": "reach the scheduler, wait for the workers",
        "submit": "until the first task began",
        "compute": "until the last task ended",
        "transfer": "until the histograms were here",
        "local": "the same analysis in this process",
    }
    table = "\n".join(
        f"| {stage} | {facts['seconds'][stage]:.2f} | {what} |" for stage, what in stages.items()
    )
    return f"""# Muon pairs on a session's workers

{sum(facts["events"].values())} events in {facts["chunks"]} chunks, {facts["tasks"]} tasks on
{facts["workers"]} workers; {facts["bytes"]["read"]:,} bytes read, {facts["bytes"]["result"]:,}
bytes of histograms. Every bin holds what the same code counted in this process.

The sample files are tiny: most of the time goes into what each task pays once (imports, opening a
file, the schema of its 1,500 columns), not into events.

| stage | wall time [s] | what |
|---|---:|---|
{table}

The workers computed for {facts["worker_seconds"]:.2f} s in sum.
"""


def main() -> None:
    """Run the analysis on the workers and here, compare, draw and report."""
    parser = argparse.ArgumentParser(description="Muon pairs in CMS events, on a session's workers")
    parser.add_argument(
        "--data", default="root://xcache//store/nanoaod", help="folder of files, a URL or a path"
    )
    parser.add_argument("--output", type=Path, default=Path(), help="folder for what is made")
    parser.add_argument("--workers", type=int, default=1, help="workers to wait for")
    parser.add_argument("--chunk", type=int, default=CHUNK, help="events of one task")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    watch = Stopwatch()
    with watch("connect"):
        client = Client()
        client.wait_for_workers(options.workers, timeout=300)
    with client:
        workers = len(client.scheduler_info(n_workers=-1)["workers"])
        result, metrics = on_workers(client, options.data, options.chunk, watch)
    with watch("local"):
        expected, _ = analyse(
            processor.IterativeExecutor(status=False), options.data, options.chunk
        )
    if differing := differences(result, expected):
        raise SystemExit(f"the workers counted otherwise than this process: {', '.join(differing)}")
    facts = report(result, metrics, watch.seconds, workers)
    note = f"{metrics['tasks']} tasks on {workers} workers; every bin as computed locally"
    draw(result, note, options.output / "dimuon.png")
    (options.output / "report.json").write_text(json.dumps(facts, indent=2) + "\n")
    (options.output / "report.md").write_text(as_markdown(facts))
    print(as_markdown(facts))


if __name__ == "__main__":
    main()
