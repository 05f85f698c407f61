"""What all suites share."""

import pytest
from hypothesis import settings

from tests.golden import Golden

UPDATE_GOLDENS = "--update-goldens"

# No deadline per example: on a busy machine it says something of the machine, not of the code.
settings.register_profile("casita", deadline=None, print_blob=True)
settings.load_profile("casita")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        UPDATE_GOLDENS, action="store_true", help="write the files under tests/data anew"
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compares values with the files under ``tests/data``."""
    return Golden(update=bool(request.config.getoption(UPDATE_GOLDENS)))
