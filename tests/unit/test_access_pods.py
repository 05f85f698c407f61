"""What a session's pods have to read data with, on a site that has a cache."""

from typing import Any

import pytest

from casita.api.session import SchedulerResources, WorkerPool
from casita.config import PodOverrides, Site
from casita.dask.settings import TOKENS_DIRECTORY as READ_BY_THE_SCHEDULER
from casita.dask.settings import scheduler_settings, worker_settings
from casita.manifests.common import Owner
from casita.manifests.data import RUNTIME_DIRECTORY, TOKENS_DIRECTORY
from casita.manifests.pods import Template, scheduler_pod, worker_pod

OWNER = Owner("casita", "alice", "uid-of-alice")
CACHE = {"host": "cache.example.org", "port": 1095}


def pods(cache: dict[str, Any] | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the specs of scheduler and worker."""
    profiles = [{"name": "default", "image": "example.org/notebook:1"}]
    site = Site.model_validate({"domain": "af.test", "profiles": profiles, "cache": cache})
    template = Template(OWNER, site, "example.org/notebook:1", "0123456789abcdef")
    pool = WorkerPool(pool="local", max=1)
    return (
        scheduler_pod(template, SchedulerResources(), PodOverrides())["spec"],
        worker_pod(template, pool, 0, PodOverrides())["spec"],
    )


def environment(spec: dict[str, Any]) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in spec["containers"][0]["env"]}


def mounts(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the volumes of a pod's container, by where they are mounted."""
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    (container,) = spec["containers"]
    return {
        mount["mountPath"]: volumes.pop(mount["name"]) for mount in container["volumeMounts"]
    } | ({"unmounted": volumes} if volumes else {})


def test_the_scheduler_mounts_the_token_for_data_and_no_other() -> None:
    scheduler, _ = pods(CACHE)
    secret = mounts(scheduler)[TOKENS_DIRECTORY]["secret"]
    assert secret["secretName"].endswith("-tokens")
    assert secret["optional"], "a session that may read nothing has no such Secret"
    assert [item["key"] for item in secret["items"]] == ["xcache_token", "xcache-ca.pem"]
    settings = scheduler_settings({**environment(scheduler), "CASITA_REPORT_URL": ""})
    assert settings.cache == "cache.example.org:1095"
    assert str(settings.tokens_directory) == READ_BY_THE_SCHEDULER == TOKENS_DIRECTORY


def test_workers_mount_no_token() -> None:
    _, worker = pods(CACHE)
    secrets = [volume["secret"]["secretName"] for volume in worker["volumes"] if "secret" in volume]
    assert len(secrets) == 1
    assert secrets[0].endswith("-worker")


@pytest.mark.parametrize("number", [0, 1])
def test_what_is_kept_is_kept_in_memory(number: int) -> None:
    spec = pods(CACHE)[number]
    assert mounts(spec)[RUNTIME_DIRECTORY]["emptyDir"]["medium"] == "Memory"
    assert "unmounted" not in mounts(spec)
    read = worker_settings(environment(spec)).runtime_directory
    assert str(read) == RUNTIME_DIRECTORY
    assert not {"BEARER_TOKEN", "BEARER_TOKEN_FILE"} & environment(spec).keys()


@pytest.mark.parametrize("number", [0, 1])
def test_a_site_without_a_cache_has_nothing_of_it(number: int) -> None:
    spec = pods(None)[number]
    assert mounts(spec).keys() == {"/etc/casita/tls", "/tmp"}
    assert not {"CASITA_XCACHE", "CASITA_RUNTIME_DIRECTORY"} & environment(spec).keys()
