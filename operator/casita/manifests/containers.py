"""Containers of a session's pods: the scheduler, a worker, and the worker beside the scheduler."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from casita.api.names import (
    DASHBOARD_PORT,
    HEALTH_PORT,
    SCHEDULER,
    SCHEDULER_PORT,
    WORKER,
    WORKER_PORT,
)
from casita.api.session import SchedulerResources
from casita.config import InferenceServer, Mount, PodOverrides, Site
from casita.manifests.common import Manifest, Owner
from casita.manifests.data import data_environment, data_mounts
from casita.manifests.inference import inference_environment

TLS_DIRECTORY: Final = "/etc/casita/tls"
SCRATCH: Final = "/tmp"  # noqa: S108 - a volume of the pod's own, mounted there
INSTANT: Final = "instant"
"""Of a session's instant worker: its container, its volumes, and the end of its name in Dask."""

INSTANT_DRAIN_SECONDS: Final = 1
"""It is told to end only together with its scheduler: nobody is left to hand anything over to."""

DEATH_SECONDS: Final = 120
"""A worker that finds no scheduler for so long ends."""


@dataclass(frozen=True, slots=True)
class Template:
    """What scheduler and workers of one session share."""

    owner: Owner
    site: Site
    image: str
    fingerprint: str
    """Of the session's authority: pods of another one are stale."""
    mounts: tuple[Mount, ...] = ()
    """The profile's."""
    inference: InferenceServer | None = None
    """The server that the profile lets sessions use."""


@dataclass(frozen=True, slots=True)
class WorkerSize:
    """What one worker has."""

    cores: int
    memory_mi_b: int


def scheduler_container(
    template: Template, size: SchedulerResources, overrides: PodOverrides
) -> Manifest:
    """Return the container of the scheduler."""
    owner, site = template.owner, template.site
    args = [
        "dask",
        "scheduler",
        *("--protocol", "tls", "--port", str(SCHEDULER_PORT)),
        # The stock dashboard stays inside the pod: the preload serves it with mutual TLS instead.
        *("--dashboard-address", "127.0.0.1:0"),
        *("--preload", "casita.dask.scheduler"),
    ]
    environment = {
        **_tls_environment("SCHEDULER"),
        "CASITA_SESSION_NAMESPACE": owner.namespace,
        "CASITA_SESSION_NAME": owner.name,
        "CASITA_RUN": template.fingerprint,
        "CASITA_REPORT_URL": site.reporting.url,
        "CASITA_TARGET_SECONDS": str(site.workers.target_seconds),
        "CASITA_SCALE_DOWN_SECONDS": str(site.workers.scale_down_seconds),
        **data_environment(site, scheduler=True),
        **inference_environment(template.inference),
    }
    return {
        "name": SCHEDULER,
        "image": template.image,
        "args": args,
        "env": _environment(environment, overrides),
        "ports": [
            {"name": "dask", "containerPort": SCHEDULER_PORT},
            {"name": "dashboard", "containerPort": DASHBOARD_PORT},
            {"name": "health", "containerPort": HEALTH_PORT},
        ],
        "resources": _resources(site, size.cores, size.memory_mi_b),
        **_probes(liveness=True),
        **_CONTAINER,
        "volumeMounts": [*_mounts(template), *data_mounts(site, scheduler=True)],
    }


def worker_container(
    template: Template, name: str, size: WorkerSize, overrides: PodOverrides
) -> Manifest:
    """Return the container of a worker that has a pod of its own; `name` is that in Dask."""
    site = template.site
    death = ("--death-timeout", str(DEATH_SECONDS))
    return {
        "name": WORKER,
        "image": template.image,
        "args": _worker_args(template.owner.service_host, name, size, *death),
        "env": _environment(_worker_environment(template, site.workers.drain_seconds), overrides),
        "ports": [
            {"name": "dask", "containerPort": WORKER_PORT},
            {"name": "health", "containerPort": HEALTH_PORT},
        ],
        "resources": _resources(site, size.cores, size.memory_mi_b),
        **_probes(liveness=False),
        **_CONTAINER,
        "volumeMounts": [*_mounts(template), *data_mounts(site)],
    }


def instant_container(
    template: Template, pod: str, name: str, size: WorkerSize, overrides: PodOverrides
) -> Manifest:
    """Return the container of the worker in the scheduler's pod.

    It dials the pod's own name, which the kubelet writes into ``/etc/hosts``: no answer of DNS is
    waited for, and the address that it tells its peers is the pod's, not the loopback's. It waits
    for its scheduler as long as it takes, and ends when the scheduler does: then both are started
    anew. No probe asks it, since the scheduler is ready without it.

    Args:
        template: of the session.
        pod: name of the pod.
        name: of the worker, in Dask.
        size: of the worker.
        overrides: those of the profile's workers; of them the environment alone means a container.
    """
    site = template.site
    environment = {
        **_worker_environment(template, INSTANT_DRAIN_SECONDS),
        "CASITA_HEALTH_PORT": "0",  # none: in this pod it is the scheduler's
    }
    return {
        "name": INSTANT,
        "image": template.image,
        "args": _worker_args(pod, name, size),
        "env": _environment(environment, overrides),
        "ports": [{"name": "worker", "containerPort": WORKER_PORT}],
        "resources": _resources(site, size.cores, size.memory_mi_b),
        **_CONTAINER,
        "volumeMounts": [
            *instant_own([*_MOUNTS, *data_mounts(site)]),
            *_site_mounts(template),
        ],
    }


def instant_own(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return volumes, or mounts, under names that are the instant worker's alone in its pod."""
    return [{**entry, "name": f"{INSTANT}-{entry['name']}"} for entry in entries]


def _worker_args(host: str, name: str, size: WorkerSize, *more: str) -> list[str]:
    return [
        "dask",
        "worker",
        f"tls://{host}:{SCHEDULER_PORT}",
        *("--name", name),
        *("--nthreads", str(size.cores)),
        *("--memory-limit", str(size.memory_mi_b * 2**20)),
        *("--worker-port", str(WORKER_PORT)),
        *("--local-directory", SCRATCH),
        *more,
        "--no-nanny",
        "--no-dashboard",
        *("--preload", "casita.dask.worker"),
    ]


def _worker_environment(template: Template, drain_seconds: int) -> dict[str, str]:
    return {
        **_tls_environment("WORKER"),
        "CASITA_DRAIN_SECONDS": str(drain_seconds),
        **data_environment(template.site),
        **inference_environment(template.inference),
        **{f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS")},
    }


_FILES: Final = {
    "CA_FILE": f"{TLS_DIRECTORY}/ca.pem",
    "CERT": f"{TLS_DIRECTORY}/tls.crt",
    "KEY": f"{TLS_DIRECTORY}/tls.key",
}

_CONTAINER: Final[dict[str, Any]] = {
    "imagePullPolicy": "IfNotPresent",
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    },
}

_MOUNTS: Final[tuple[dict[str, Any], ...]] = (
    {"name": "tls", "mountPath": TLS_DIRECTORY, "readOnly": True},
    {"name": "scratch", "mountPath": SCRATCH},
)


def _tls_environment(role: str) -> dict[str, str]:
    """Dask's own configuration, by environment; it refuses anything that is not TLS."""
    return {
        "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True",
        "DASK_DISTRIBUTED__COMM__TLS__CA_FILE": _FILES["CA_FILE"],
        f"DASK_DISTRIBUTED__COMM__TLS__{role}__CERT": _FILES["CERT"],
        f"DASK_DISTRIBUTED__COMM__TLS__{role}__KEY": _FILES["KEY"],
    }


def _mounts(template: Template) -> list[dict[str, Any]]:
    return [*_MOUNTS, *_site_mounts(template)]


def _site_mounts(template: Template) -> list[dict[str, Any]]:
    return [mount.volume_mount() for mount in template.mounts]


def _environment(variables: Mapping[str, str], overrides: PodOverrides) -> list[dict[str, Any]]:
    ours = [{"name": name, "value": value} for name, value in variables.items()]
    return [*ours, *(entry for entry in overrides.env if entry.get("name") not in variables)]


def _resources(site: Site, cores: int, memory_mi_b: int) -> dict[str, dict[str, str]]:
    request = cores * 10 * site.workers.cpu_request_percent
    return {
        "requests": {"cpu": f"{request}m", "memory": f"{memory_mi_b}Mi"},
        "limits": {"cpu": str(cores), "memory": f"{memory_mi_b}Mi"},
    }


def _probes(*, liveness: bool) -> dict[str, Any]:
    """A start seen within a second, then little traffic.

    A worker has no liveness probe: its health needs the scheduler, whose absence is no reason to
    kill it; it ends itself after its death timeout.
    """
    check = {"httpGet": {"path": "/healthz", "port": HEALTH_PORT}, "timeoutSeconds": 5}
    probes = {
        "startupProbe": {**check, "periodSeconds": 1, "failureThreshold": 180},
        "readinessProbe": {**check, "periodSeconds": 5, "failureThreshold": 3},
    }
    if liveness:
        probes["livenessProbe"] = {**check, "periodSeconds": 20, "failureThreshold": 6}
    return probes
