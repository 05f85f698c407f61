"""The example's network computes the same wherever it runs, and what its configuration says."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "docs/examples/models/dimuon"
Z = {"pt": [[45.6, 45.6]], "eta": [[0.0, 0.0]], "phi": [[0.0, 3.14159]], "mass": [[0.106, 0.106]]}
SOFT = {**Z, "pt": [[20.0, 4.0]], "phi": [[0.0, 0.4]]}


@pytest.fixture(scope="module")
def model() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dimuon", FOLDER / "1/model.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def pairs(count: int) -> dict[str, Any]:
    """Muons as they come, the same each time."""
    chance = np.random.default_rng(1)
    columns = {
        "pt": chance.exponential(30, (count, 2)) + 3,
        "eta": chance.uniform(-2.4, 2.4, (count, 2)),
        "phi": chance.uniform(-np.pi, np.pi, (count, 2)),
        "mass": np.full((count, 2), 0.10566),
    }
    return {name: values.astype(np.float32) for name, values in columns.items()}


def test_a_score_does_not_depend_on_what_else_is_in_a_batch(model: ModuleType) -> None:
    columns = pairs(1000)
    whole = model.score(columns)
    assert (whole.shape, whole.dtype) == ((1000, 1), np.float32)
    for size in (1, 7, 64):
        parts = [
            model.score({name: values[start : start + size] for name, values in columns.items()})
            for start in range(0, 1000, size)
        ]
        assert np.array_equal(whole, np.concatenate(parts))


def test_a_score_tells_a_z_from_a_soft_pair(model: ModuleType) -> None:
    (z,), (soft,) = model.score(Z)[:, 0:1], model.score(SOFT)[:, 0:1]
    assert 0 < soft < 0.5 < z < 1


def test_the_configuration_names_what_the_model_reads(model: ModuleType) -> None:
    text = (FOLDER / "config.pbtxt").read_text()
    names = re.findall(r'\{ name: "(\w+)"', text)
    assert tuple(names) == (*model.COLUMNS, "score")
    assert 'name: "dimuon"' in text
    (size,) = re.findall(r"max_batch_size: (\d+)", text)
    analysis = (FOLDER.parents[1] / "inference.py").read_text()
    assert f"BATCH = {size}\n" in analysis
