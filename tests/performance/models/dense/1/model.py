"""Three dense layers, about a million weights, for Triton's Python backend."""

from itertools import pairwise
from typing import Any

import numpy as np

COLUMNS = ("pt", "eta", "phi", "mass")
WIDTH = 1024


class TritonPythonModel:
    """What the Python backend calls."""

    def initialize(self, _: dict[str, str]) -> None:
        """Make the weights."""
        random = np.random.default_rng(0)
        sizes = (8, WIDTH, WIDTH, 1)
        self.layers = [
            random.normal(0, size[0] ** -0.5, size).astype(np.float32) for size in pairwise(sizes)
        ]

    def execute(self, requests: list[Any]) -> list[Any]:
        """Compute all requests that the server put together."""
        import triton_python_backend_utils as pb_utils  # type: ignore[import-not-found]

        responses = []
        for request in requests:
            found = [pb_utils.get_input_tensor_by_name(request, name) for name in COLUMNS]
            values = np.concatenate([column.as_numpy() for column in found], axis=1)
            for weights in self.layers:
                values = np.tanh(values @ weights)
            result = pb_utils.Tensor("score", values)
            responses.append(pb_utils.InferenceResponse(output_tensors=[result]))
        return responses
