"""Whatever keeps the hub from a session is told in words."""

from collections.abc import Iterator

import pytest
from kubernetes_asyncio.client import Configuration

from casita.hub.errors import SessionError
from casita.hub.store import SessionStore


@pytest.fixture
def nobody_there() -> Iterator[None]:
    """An API server that is away."""
    away = Configuration()
    away.host = "http://127.0.0.1:1"
    Configuration.set_default(away)
    yield
    Configuration.set_default(None)


@pytest.mark.usefixtures("nobody_there")
async def test_an_api_server_that_is_away_is_no_fault_of_the_page() -> None:
    with pytest.raises(SessionError, match="cannot read session alice: the Kubernetes API does"):
        await SessionStore("casita").stop("alice", "alice")
