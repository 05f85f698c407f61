"""Names that users, pods and other programs rely on: labels, annotations, slugs, hosts, ports."""

import base64
import hashlib
import re
from functools import lru_cache
from typing import Final

GROUP: Final = "casita.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "AnalysisSession"
PLURAL: Final = "analysissessions"
MANAGER: Final = "casita"
"""Field manager of every server-side apply, and the value of ``managed-by``."""

# Labels: on every child, so that one label-selected watch per kind sees them all.
SESSION_LABEL: Final = f"{GROUP}/session"
"""The session's slug (a label value holds 63 characters, a session's name 253)."""
COMPONENT_LABEL: Final = f"{GROUP}/component"
"""``scheduler``, ``worker``, ``notebook`` on pods; the Secret's role on Secrets."""
POOL_LABEL: Final = f"{GROUP}/pool"
INFERENCE_LABEL: Final = f"{GROUP}/inference"
"""On pods of a session whose profile may use an inference server: the server's name. Policies let
these pods reach it, so nothing that a user says becomes this label."""

# Annotations: what the operator must know of a child from its metadata alone.
HASH_ANNOTATION: Final = f"{GROUP}/planned-hash"
AUTHORITY_ANNOTATION: Final = f"{GROUP}/authority"
"""Short fingerprint of the session authority that a Secret or Pod belongs to."""
CERTIFICATE_ANNOTATION: Final = f"{GROUP}/certificate"
"""The authority's certificate (public), base64 of DER, on the authority's Secret."""
RUN_ANNOTATION: Final = f"{GROUP}/run"
SERIAL_ANNOTATION: Final = f"{GROUP}/serial"
ISSUED_AT_ANNOTATION: Final = f"{GROUP}/issued-at"
NOT_AFTER_ANNOTATION: Final = f"{GROUP}/not-after"
TOKENS_ANNOTATION: Final = f"{GROUP}/tokens"
"""JSON on the Secret of tokens: id, ``issuedAt`` and ``notAfter`` of each, by name."""

BATCH_FINALIZER: Final = f"{GROUP}/batch-jobs"
"""On a session that may have jobs in the batch system: it is gone when they are."""

SCHEDULER: Final = "scheduler"
WORKER: Final = "worker"
NOTEBOOK: Final = "notebook"

SCHEDULER_PORT: Final = 8786
DASHBOARD_PORT: Final = 8787
HEALTH_PORT: Final = 8788
WORKER_PORT: Final = 8789
"""One fixed port in each worker pod, so that a NetworkPolicy can name it."""

USER_PATTERN: Final = r"^[a-z][a-z0-9_-]{0,31}$"
"""The local part of an identity: what POSIX, HTCondor and a macaroon's name all accept as it is."""

RESERVED_USERS: Final = (
    "admin",
    "administrator",
    "anonymous",
    "bin",
    "casita-columns",
    "casita-probe",
    "condor",
    "condor_pool",
    "daemon",
    "kubernetes-admin",
    "nobody",
    "root",
    "system",
    "unauthenticated",
    "unmapped",
    "xrootd",
)
"""Names with rights of their own in HTCondor, XRootD, Kubernetes or POSIX; nothing is minted."""

PROBE_USER: Final = "casita-probe"
"""As whom the operator looks whether the pool and the cache answer; nobody's session."""

COLUMNS_USER: Final = "casita-columns"
"""As whom ServiceX's transformers read through the cache, whoever asked; nobody's session."""

POOL_PATTERN: Final = r"^[a-z]([a-z0-9-]{0,14}[a-z0-9])?$"
MAX_POOL_WORKERS: Final = 10_000

_PREFIX_LENGTH: Final = 28
_HASH_LENGTH: Final = 10


@lru_cache(maxsize=256)  # one pass over a session asks a hundred times; 32 sessions at once
def slug(namespace: str, name: str) -> str:
    """Return the DNS label that stands for a session in names of objects and in its host.

    A readable prefix of the session's name and, always, ten characters (50 bits) of a hash over
    namespace and name, so that it is valid for every name and different for every session. At most
    39 characters: the longest child name, ``<slug>-<pool 16>-<index 5>``, still is a DNS label.
    """
    prefix = re.sub(r"[^a-z0-9]+", "-", name.lower())[:_PREFIX_LENGTH].strip("-")
    if not prefix[:1].isalpha():
        prefix = f"s-{prefix}"[:_PREFIX_LENGTH].strip("-")
    digest = hashlib.sha256(f"{namespace}/{name}".encode()).digest()
    return f"{prefix}-{base64.b32encode(digest).decode().lower()[:_HASH_LENGTH]}"


def session_host(namespace: str, name: str, domain: str) -> str:
    """Return the host that reaches a session's scheduler from outside: one label under the zone."""
    return f"{slug(namespace, name)}.dask.{domain}"


def service_host(namespace: str, name: str) -> str:
    """Return the host that reaches a session's scheduler from inside the cluster."""
    return f"{slug(namespace, name)}.{namespace}.svc"
