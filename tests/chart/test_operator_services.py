"""Who connects to the chart's own services: the operator, which looks after them, and sessions."""

import pytest

from tests.chart import scenarios
from tests.chart.network import Pod, connects

CHART = scenarios.rendered("everything-on")
POLICIES = CHART.of_kind("NetworkPolicy")
INSTANCE = {"app.kubernetes.io/instance": "casita"}
OPERATOR = Pod("casita-system", {"app.kubernetes.io/name": "casita-operator", **INSTANCE})
TRITON = Pod(
    "inference",
    {
        "app.kubernetes.io/name": "triton",
        "app.kubernetes.io/component": "taggers",
        **INSTANCE,
    },
)
MLFLOW = Pod("tracking", {"app.kubernetes.io/name": "mlflow", **INSTANCE})
SERVICEX = Pod("columns", {"app.kubernetes.io/name": "servicex", **INSTANCE})


@pytest.mark.parametrize(("service", "port"), [(TRITON, 8000), (MLFLOW, 5000), (SERVICEX, 5000)])
def test_it_asks_each_service_at_the_port_that_answers(service: Pod, port: int) -> None:
    assert connects(POLICIES, OPERATOR, service, port)


def test_sessions_reach_the_tracking_server() -> None:
    notebook = Pod("casita", {"casita.dev/session": "a", "casita.dev/component": "notebook"})
    assert connects(POLICIES, notebook, MLFLOW, 5000)
    assert not connects(POLICIES, notebook, MLFLOW, 8000)


@pytest.mark.parametrize(
    ("service", "port"), [(TRITON, 8001), (TRITON, 8002), (MLFLOW, 8000), (SERVICEX, 5432)]
)
def test_it_has_no_business_at_others(service: Pod, port: int) -> None:
    assert not connects(POLICIES, OPERATOR, service, port)
