"""What the pods of a session have in order to use an inference server."""

from casita.api.names import INFERENCE_LABEL
from casita.config import InferenceServer


def inference_environment(server: InferenceServer | None) -> dict[str, str]:
    """Return the variables that lead to a server; none without one."""
    return {} if server is None else {"TRITON_URL": server.url}


def inference_labels(server: InferenceServer | None) -> dict[str, str]:
    """Return the labels by which policies let a pod reach a server; none without one."""
    return {} if server is None else {INFERENCE_LABEL: server.name}
