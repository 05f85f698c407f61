"""Muon pairs in CMS events, scored by a network on the session's inference server.

The workers read NanoAOD, take the two leading muons of each event and let the server score
them. The same model is computed once more in this process, by NumPy, and each event's score is
compared. In the session's notebook::

    python inference.py --data root://xcache//store/nanoaod --output .

The server has the model ``dimuon``, which lies beside this file in ``models``. Its weights are made
up: with a network of your own, what stays is `through_server`.
"""

import argparse
import importlib.util
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
from coffea import processor
from coffea.nanoevents import NanoAODSchema
from distributed import Client

SAMPLES = {"data": "nano_dimuon.root", "dy": "nano_dy.root", "tt": "nano_tt_v12.root"}
MODEL = "dimuon"
COLUMNS = ("pt", "eta", "phi", "mass")
CHUNK = 20
"""Events of one task; real analyses take 100,000, but then these files would be one task each."""
BATCH = 4096
"""Events of one request: ``max_batch_size`` of the model."""
LARGEST_DIFFERENCE = 1e-5
"""Between two machines, whose processors round the last bit otherwise."""

Columns = dict[str, np.ndarray]
Scorer = Callable[[Columns], np.ndarray]


class Schema(NanoAODSchema):
    """NanoAOD; these samples hold only part of the columns that theirs refer to."""

    warn_missing_crossrefs = False


def through_server(columns: Columns) -> np.ndarray:
    """Return the scores that the session's inference server has for these muons."""
    import tritonclient.grpc as grpc

    from casita.access.inference import client

    scores = []
    with client() as server:
        for start in range(0, len(columns["pt"]), BATCH):
            inputs = []
            for name, values in columns.items():
                part = values[start : start + BATCH]
                inputs.append(grpc.InferInput(name, part.shape, "FP32"))
                inputs[-1].set_data_from_numpy(part)
            scores.append(server.infer(MODEL, inputs).as_numpy("score"))
    return np.concatenate(scores)


def local_scorer(path: Path) -> Scorer:
    """Return the model's own function, for NumPy."""
    spec = importlib.util.spec_from_file_location(MODEL, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.score


class Scored(processor.ProcessorABC):
    """Scores the two leading muons of every event that has two."""

    def __init__(self, scorer: Scorer) -> None:
        """Score by this."""
        self.scorer = scorer

    def process(self, events: ak.Array) -> dict[str, Any]:
        """Return events' numbers and scores, of one chunk."""
        dataset = events.metadata["dataset"]
        events = events[ak.num(events.Muon) >= 2]
        leading = events.Muon[ak.argsort(events.Muon.pt, ascending=False)][:, :2]
        columns = {
            name: np.ascontiguousarray(ak.to_numpy(leading[name]), dtype=np.float32)
            for name in COLUMNS
        }
        scores = self.scorer(columns)[:, 0] if len(events) else np.empty(0, np.float32)
        return {
            dataset: {
                "event": processor.column_accumulator(ak.to_numpy(events.event)),
                "score": processor.column_accumulator(scores),
            }
        }

    def postprocess(self, accumulator: dict[str, Any]) -> None:
        """Nothing is left to do once all chunks are added."""


def analyse(executor: Any, scorer: Scorer, data: str, chunk: int) -> dict[str, Columns]:
    """Return events' numbers and scores of each dataset, ordered by number."""
    run = processor.Runner(executor=executor, schema=Schema, chunksize=chunk)
    fileset = {name: {"files": {f"{data}/{file}": "Events"}} for name, file in SAMPLES.items()}
    found = run(fileset, processor_instance=Scored(scorer))
    # Chunks end in any order.
    order = {name: np.argsort(columns["event"].value) for name, columns in found.items()}
    return {
        name: {key: column.value[order[name]] for key, column in columns.items()}
        for name, columns in found.items()
    }


def difference(ours: dict[str, Columns], theirs: dict[str, Columns]) -> float:
    """Return the largest difference of any event's score.

    Raises:
        SystemExit: there are other events in the two.
    """
    if any(not np.array_equal(ours[name]["event"], theirs[name]["event"]) for name in SAMPLES):
        raise SystemExit("the workers and this process scored other events")
    return max(
        float(np.max(np.abs(ours[name]["score"] - theirs[name]["score"]), initial=0))
        for name in SAMPLES
    )


def main() -> None:
    """Score on the server and here, compare, and report."""
    parser = argparse.ArgumentParser(description="Muon pairs, scored by an inference server")
    parser.add_argument(
        "--data", default="root://xcache//store/nanoaod", help="folder of files, a URL or a path"
    )
    parser.add_argument("--output", type=Path, default=Path(), help="folder for what is made")
    parser.add_argument("--workers", type=int, default=1, help="workers to wait for")
    parser.add_argument("--chunk", type=int, default=CHUNK, help="events of one task")
    parser.add_argument(
        "--model",
        type=Path,
        default=Path(__file__).parent / "models" / MODEL / "1" / "model.py",
        help="the model's file, to compute it here",
    )
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    local = local_scorer(options.model)
    with Client() as client:
        client.wait_for_workers(options.workers, timeout=300)
        began = time.perf_counter()
        executor = processor.DaskExecutor(client=client, status=False, retries=1)
        ours = analyse(executor, through_server, options.data, options.chunk)
        seconds = time.perf_counter() - began
    theirs = analyse(processor.IterativeExecutor(status=False), local, options.data, options.chunk)
    largest = difference(ours, theirs)
    if largest > LARGEST_DIFFERENCE:
        raise SystemExit(f"the server's scores differ from this process's, by up to {largest}")
    facts = {
        "model": MODEL,
        "events": {name: len(ours[name]["event"]) for name in SAMPLES},
        "mean_score": {name: round(float(np.mean(ours[name]["score"])), 4) for name in SAMPLES},
        "largest_difference": largest,
        "seconds": round(seconds, 3),
    }
    (options.output / "inference.json").write_text(json.dumps(facts, indent=2) + "\n")
    print(json.dumps(facts, indent=2))


if __name__ == "__main__":
    main()
