"""The scenarios: values files under ``values/``, each a site that somebody may have."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.chart.helm import Rendered, render

FOLDER = Path(__file__).parent / "values"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


def values(name: str) -> dict[str, Any]:
    """The values of a scenario."""
    found: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    return found


@cache
def rendered(name: str) -> Rendered:
    """A scenario, rendered once for all tests."""
    return render(values(name))
