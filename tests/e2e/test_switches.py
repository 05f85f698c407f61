"""Parts are switched on and off, alone and together, and what they hold outlives it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml

from tests import facility
from tests.cluster.steps import Steps
from tests.e2e.conftest import NAMESPACE, MakeSession, RunIn, ready
from tests.facility import upgrade
from tests.support import kubectl
from tests.support.cluster import Cluster

Values = dict[str, Any]

SITE = ("batch", "cache", "hub", "triton", "mlflow", "servicex")
"""What sessions use, and may be a site's own."""
OFF: Values = {
    "global": {
        "gateway": {"routeApi": "None"},
        **{part: {"enabled": False} for part in SITE},
    },
    **{
        part: {"enabled": False}
        for part in (
            *("operator", "traefik", "htcondor", "xcache", "jupyterhub"),
            *("triton", "mlflow", "servicex", "monitoring"),
        )
    },
}
"""Nothing at all."""

ON = {"enabled": True}
ALONE: dict[str, Values] = {
    "operator": {"operator": ON},
    "traefik": {"global": {"gateway": {"routeApi": "TLSRoute"}}, "traefik": ON},
    "htcondor": {"global": {"batch": ON}, "htcondor": ON},
    "xcache": {"operator": ON, "global": {"cache": ON}, "xcache": ON},
    "triton": {
        "global": {"triton": {**ON, "throughGateway": False}},
        "triton": ON,
    },
    "mlflow": {"operator": ON, "global": {"mlflow": ON}, "mlflow": ON},
    "servicex": {"operator": ON, "global": {"servicex": ON}, "servicex": ON},
    "monitoring": {"monitoring": ON},
}
"""Each part with no more than what it needs."""

NOTE = """
import mlflow
with mlflow.start_run(run_name="kept") as run:
    print(run.info.experiment_id)
"""
FIND = """
import mlflow
print([run.info.run_name for run in mlflow.MlflowClient().search_runs(["{experiment}"])][:1])
"""
COUNT = "from distributed import Client\nprint(Client().submit(lambda: 6 * 7).result())"

GOING = ("casita-gateway", "casita-pool")
"""Namespaces that hold nothing of anybody's and go with their parts."""


@contextmanager
def nothing_installed() -> Iterator[None]:
    """Switch off all there is, and on again as it was."""
    upgrade(OFF)
    try:
        yield
    finally:
        names = [f"namespace/{name}" for name in GOING]
        kubectl.run("wait", "--for=delete", *names, "--timeout=180s")
        facility.install(Steps(quiet=True))


@contextmanager
def namespaces_of(cluster: Cluster, objects: list[Values]) -> Iterator[None]:
    """Have the namespaces that are rendered, without which nothing in them can be tried."""
    there = {each["metadata"]["name"] for each in cluster.items("v1", "Namespace")}
    wanted = {each["metadata"]["name"]: each for each in objects if each["kind"] == "Namespace"}
    made = wanted.keys() - there
    for name in made:
        cluster.create(wanted[name])
    try:
        yield
    finally:
        for name in made:
            cluster.delete("v1", "Namespace", name)


def pod_uids(cluster: Cluster, label: str) -> set[str]:
    found = cluster.items("v1", "Pod", NAMESPACE, label_selector=label)
    return {pod["metadata"]["uid"] for pod in found}


def merged(values: Values, more: Values) -> Values:
    """Return values with others over them, as Helm puts one file over another."""
    found = dict(values)
    for name, value in more.items():
        below = found.get(name)
        both = isinstance(value, dict) and isinstance(below, dict)
        found[name] = merged(below or {}, value) if both else value
    return found


@pytest.mark.parametrize("part", ALONE)
async def test_a_part_alone_is_taken_by_the_api_server(cluster: Cluster, part: str) -> None:
    """All that it renders, by the server's own validation and admission."""
    rendered = yaml.safe_load_all(facility.template(merged(OFF, ALONE[part])))
    objects = [each for each in rendered if each]
    assert objects
    with namespaces_of(cluster, objects):
        kubectl.run(
            *("apply", "--server-side", "--dry-run=server", "--force-conflicts", "-f", "-"),
            stdin=yaml.safe_dump_all(objects),
        )


async def test_what_is_switched_off_and_on_again_has_its_data_and_sessions_work_on(
    cluster: Cluster, make_session: MakeSession, notebook: Callable[..., RunIn]
) -> None:
    name = make_session(replicas=1)
    label = f"casita.dev/session={await ready(cluster, name, workers=1)}"
    run = notebook(name)
    experiment = run(NOTE).strip()
    pods = pod_uids(cluster, label)
    with nothing_installed():
        assert not cluster.items("apps/v1", "Deployment", facility.NAMESPACE)
        assert pod_uids(cluster, label) == pods
    await ready(cluster, name, workers=1)
    assert pod_uids(cluster, label) == pods
    assert run(COUNT).strip() == "42"
    assert run(FIND.format(experiment=experiment)).strip() == "['kept']"
