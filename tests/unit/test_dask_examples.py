"""The examples in the docs are what they say."""

from pathlib import Path

import pytest
import yaml

from casita.api.names import API_VERSION, KIND
from casita.api.session import ScalingMode, SessionSpec

EXAMPLES = Path(__file__).parents[2] / "docs/examples"


def test_the_example_session_is_valid() -> None:
    session = yaml.safe_load((EXAMPLES / "session.yaml").read_text())
    spec = SessionSpec.model_validate(session["spec"])
    assert (session["apiVersion"], session["kind"]) == (API_VERSION, KIND)
    assert (spec.user, spec.replicas, spec.scaling.mode) == ("alice", 2, ScalingMode.MANUAL)
    assert spec.workers is not None
    assert sum(pool.max for pool in spec.workers) >= spec.replicas


@pytest.mark.parametrize("name", ["dimuon.py", "inference.py"])
def test_an_example_analysis_is_python_for_every_version_that_is_supported(name: str) -> None:
    path = EXAMPLES / name
    compile(path.read_text(), path, "exec")
