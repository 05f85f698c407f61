"""Scheduler and worker pods: bare Pods under the restricted Pod Security level."""

from typing import Any, Final

from casita.api.names import AUTHORITY_ANNOTATION, POOL_LABEL, SCHEDULER, WORKER
from casita.api.session import SchedulerResources, WorkerPool
from casita.config import InstantWorker, PodOverrides, Site
from casita.manifests.common import Manifest, Owner, child
from casita.manifests.containers import (
    INSTANT,
    Template,
    WorkerSize,
    instant_container,
    instant_own,
    scheduler_container,
    worker_container,
)
from casita.manifests.data import data_volumes
from casita.manifests.inference import inference_labels
from casita.manifests.resources import POD
from casita.manifests.secrets import TOKENS, secret_name

__all__ = [
    "Template",
    "instant_name",
    "scheduler_name",
    "scheduler_pod",
    "worker_name",
    "worker_pod",
]

SCHEDULER_GRACE_SECONDS: Final = 5
"""A scheduler has nothing to save: its clients and workers see the connection end at once."""

SCHEDULER_SCRATCH_MI_B: Final = 1024
"""Of the scheduler, and of the instant worker."""


def scheduler_name(owner: Owner) -> str:
    """Return the name of the session's scheduler pod."""
    return f"{owner.slug}-scheduler"


def worker_name(owner: Owner, pool: str, index: int) -> str:
    """Return the name of a worker, the same in Kubernetes and in Dask."""
    return f"{owner.slug}-{pool}-{index}"


def instant_name(owner: Owner) -> str:
    """Return the name in Dask of the worker in the scheduler's pod."""
    return f"{owner.slug}-{INSTANT}"


def scheduler_pod(
    template: Template,
    size: SchedulerResources,
    overrides: PodOverrides,
    instant: InstantWorker | None = None,
    worker_overrides: PodOverrides | None = None,
) -> Manifest:
    """Return the scheduler's pod. It is restarted in place if it dies, and made again if lost.

    Args:
        template: of the session.
        size: of the scheduler.
        overrides: those of the profile's schedulers.
        instant: the worker beside the scheduler; none without cores.
        worker_overrides: those of the profile's workers, whose environment the instant worker has.
    """
    owner, site = template.owner, template.site
    containers = [scheduler_container(template, size, overrides)]
    volumes = [
        *_volumes(secret_name(owner, SCHEDULER), SCHEDULER_SCRATCH_MI_B),
        *data_volumes(site, secret_name(owner, TOKENS)),
        *(mount.volume() for mount in template.mounts),
    ]
    if instant is not None and instant.cores:
        containers.append(
            instant_container(
                template,
                scheduler_name(owner),
                instant_name(owner),
                WorkerSize(instant.cores, instant.memory_mi_b),
                worker_overrides or PodOverrides(),
            )
        )
        # Mounted in its container alone: a worker has no business with the scheduler's key.
        volumes += instant_own(
            [*_volumes(secret_name(owner, WORKER), SCHEDULER_SCRATCH_MI_B), *data_volumes(site)]
        )
    spec = {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": SCHEDULER_GRACE_SECONDS,
        "containers": containers,
        "volumes": volumes,
        **_pod(site, overrides),
    }
    return child(
        POD,
        owner,
        scheduler_name(owner),
        SCHEDULER,
        {"spec": spec},
        extra_labels=inference_labels(template.inference),
        annotations={AUTHORITY_ANNOTATION: template.fingerprint},
    )


def worker_pod(
    template: Template, pool: WorkerPool, index: int, overrides: PodOverrides
) -> Manifest:
    """Return one worker of a pool. It drains when told to end, and is never restarted in place."""
    owner, site = template.owner, template.site
    name = worker_name(owner, pool.pool, index)
    size = WorkerSize(pool.cores, pool.memory_mi_b)
    spec = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": site.workers.drain_seconds + 10,
        "containers": [worker_container(template, name, size, overrides)],
        "volumes": [
            *_volumes(secret_name(owner, WORKER), pool.disk_mi_b),
            *data_volumes(site),
            *(mount.volume() for mount in template.mounts),
        ],
        **_pod(site, overrides),
    }
    return child(
        POD,
        owner,
        name,
        WORKER,
        {"spec": spec},
        extra_labels={POOL_LABEL: pool.pool, **inference_labels(template.inference)},
        annotations={AUTHORITY_ANNOTATION: template.fingerprint},
    )


def _volumes(secret: str, scratch_mi_b: int) -> list[dict[str, Any]]:
    return [
        {"name": "tls", "secret": {"secretName": secret, "defaultMode": 0o440}},
        {"name": "scratch", "emptyDir": {"sizeLimit": f"{scratch_mi_b}Mi"}},
    ]


def _pod(site: Site, overrides: PodOverrides) -> dict[str, Any]:
    pod: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "runAsGroup": 1000,
            "fsGroup": 1000,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "nodeSelector": overrides.node_selector,
        "tolerations": list(overrides.tolerations),
        "priorityClassName": overrides.priority_class_name,
        "runtimeClassName": overrides.runtime_class_name,
        "imagePullSecrets": [{"name": name} for name in site.image_pull_secrets],
    }
    return {key: value for key, value in pod.items() if value not in (None, {}, [])}
