"""Storage of the site: the same in all pods of a session, and as restricted pods may have it."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from casita.api.session import SchedulerResources, WorkerPool
from casita.config import InstantWorker, Mount, PodOverrides
from casita.manifests.pods import scheduler_pod, worker_pod
from tests.unit.test_manifests import TEMPLATE

CVMFS = Mount(name="cvmfs", path="/cvmfs", csi={"driver": "cvmfs.csi.cern.ch"}, automount=True)
SHARED = Mount(name="shared", path="/shared", claim="nfs", sub_path="cms", read_only=False)


def test_a_driver_brings_what_appears_later_too() -> None:
    csi = {"driver": "cvmfs.csi.cern.ch", "readOnly": True}
    assert CVMFS.volume() == {"name": "site-cvmfs", "csi": csi}
    assert CVMFS.volume_mount() == {
        "name": "site-cvmfs",
        "mountPath": "/cvmfs",
        "readOnly": True,
        "mountPropagation": "HostToContainer",
    }


def test_a_claim_may_be_written_if_the_site_says_so() -> None:
    claim = {"claimName": "nfs", "readOnly": False}
    assert SHARED.volume() == {"name": "site-shared", "persistentVolumeClaim": claim}
    assert SHARED.volume_mount() == {
        "name": "site-shared",
        "mountPath": "/shared",
        "subPath": "cms",
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"claim": "nfs", "csi": {"driver": "a"}},
        {"claim": "nfs", "sub_path": "../other"},
        {"claim": "nfs", "path": "/data/../etc"},
        {"claim": "nfs", "path": "relative"},
        {"csi": {"driver": "a", "secret": "b"}},
        {"nfs": {"server": "a"}},
    ],
)
def test_what_no_restricted_pod_may_have_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Mount.model_validate({"name": "data", "path": "/data", **wrong})


def test_every_container_of_a_session_finds_it_at_the_same_place() -> None:
    template = replace(TEMPLATE, mounts=(CVMFS, SHARED))
    instant = InstantWorker(cores=1)
    pods = [
        scheduler_pod(template, SchedulerResources(), PodOverrides(), instant),
        worker_pod(template, WorkerPool(pool="local", max=1), 0, PodOverrides()),
    ]
    containers = [c for pod in pods for c in pod["spec"]["containers"]]
    assert len(containers) == 3
    for container in containers:
        assert CVMFS.volume_mount() in container["volumeMounts"]
        assert SHARED.volume_mount() in container["volumeMounts"]
    for pod in pods:
        assert pod["spec"]["volumes"].count(CVMFS.volume()) == 1
