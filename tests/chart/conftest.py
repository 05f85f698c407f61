"""What the chart's tests share."""

import pytest

from tests.chart import scenarios
from tests.chart.helm import Rendered


@pytest.fixture(params=scenarios.NAMES)
def scenario(request: pytest.FixtureRequest) -> str:
    """Each scenario's name in turn."""
    name: str = request.param
    return name


@pytest.fixture
def chart(scenario: str) -> Rendered:
    """Each scenario, rendered."""
    return scenarios.rendered(scenario)
