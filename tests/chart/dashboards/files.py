"""The files that the chart has of the dashboards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from tests.chart.dashboards.cache import CACHE
from tests.chart.dashboards.credentials import CREDENTIALS
from tests.chart.dashboards.facility import FACILITY
from tests.chart.dashboards.grafana import Dashboard
from tests.chart.dashboards.inference import INFERENCE
from tests.chart.dashboards.session import SESSION
from tests.chart.helm import CHART

FOLDER: Final = CHART / "charts/monitoring/dashboards"
DASHBOARDS: Final = (FACILITY, SESSION, CREDENTIALS, CACHE, INFERENCE)


def files() -> dict[Path, str]:
    """Return the text of each file."""
    return {FOLDER / f"{each.name}.json": text(each) for each in DASHBOARDS}


def text(dashboard: Dashboard) -> str:
    """Return a dashboard as a file."""
    return json.dumps(dashboard.render(), indent=2, ensure_ascii=False) + "\n"
