"""A network that scores muon pairs: for Triton's Python backend, and for NumPy at home.

It is small and its weights are made up: what it shows is the way there and back, and that both ends
compute the same. Each event is treated by itself, so a score does not depend on what else is in a
batch.
"""

from typing import Any

import numpy as np

COLUMNS = ("pt", "eta", "phi", "mass")
"""Of the two leading muons, as NanoAOD has them: pt and mass in GeV."""
Z_MASS = np.float32(91.1876)  # GeV
WEIGHTS = np.array(
    [
        [2.0, -0.25, 0.5, -0.125],
        [-1.5, 0.75, 0.25, 0.5],
        [0.125, 0.25, -1.0, 0.375],
        [-0.5, -0.625, 0.75, 1.0],
    ],
    dtype=np.float32,
)
BIASES = np.array([0.5, -0.25, 0.125, 0.0], dtype=np.float32)
OUTPUT = np.array([1.5, -2.0, 0.5, -0.75], dtype=np.float32)


def features(columns: dict[str, np.ndarray]) -> tuple[np.ndarray, ...]:
    """Return four numbers of each event: mass near the Z, balance, distance in eta, hardness."""
    pt, eta, phi, mass = (np.asarray(columns[name], dtype=np.float32) for name in COLUMNS)
    px, py, pz = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
    energy = np.sqrt(px * px + py * py + pz * pz + mass * mass)
    e, x, y, z = (each[:, 0] + each[:, 1] for each in (energy, px, py, pz))
    together = np.sqrt(np.maximum(e * e - x * x - y * y - z * z, np.float32(0)))
    return (
        np.float32(1) - np.minimum(np.abs(together - Z_MASS) / np.float32(30), np.float32(2)),
        (pt[:, 0] - pt[:, 1]) / (pt[:, 0] + pt[:, 1]),
        np.abs(eta[:, 0] - eta[:, 1]),
        np.log1p(pt[:, 0] + pt[:, 1]) / np.float32(5),
    )


def score(columns: dict[str, np.ndarray]) -> np.ndarray:
    """Return the score of each event, FP32 from 0 to 1; a row of a column is one event's muons."""
    inputs = features(columns)
    total = np.zeros(len(inputs[0]), dtype=np.float32)
    for weights, bias, output in zip(WEIGHTS, BIASES, OUTPUT, strict=True):
        hidden = np.full_like(total, bias)
        for weight, value in zip(weights, inputs, strict=True):
            hidden = hidden + weight * value
        total = total + output * np.tanh(hidden)
    return (np.float32(1) / (np.float32(1) + np.exp(-total)))[:, np.newaxis]


class TritonPythonModel:
    """What the Python backend calls."""

    def execute(self, requests: list[Any]) -> list[Any]:
        """Score all requests that the server put together."""
        import triton_python_backend_utils as pb_utils

        responses = []
        for request in requests:
            columns = {
                name: pb_utils.get_input_tensor_by_name(request, name).as_numpy()
                for name in COLUMNS
            }
            result = pb_utils.Tensor("score", score(columns))
            responses.append(pb_utils.InferenceResponse(output_tensors=[result]))
        return responses
