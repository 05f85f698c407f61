"""What a notebook's pod has so that ``Client()`` and ``root://xcache//...`` just work. Pure.

The client's Secret and the tokens are mounted at `SECRETS`, under the names that users of
coffea-casa know; a sidecar keeps copies of the tokens that XRootD's and HTCondor's clients accept
(`casita.access.deliver`).
"""

from typing import Any, Final

from casita.access.login import CONNECTION
from casita.api.names import COMPONENT_LABEL, NOTEBOOK, SESSION_LABEL

Json = dict[str, Any]

SECRETS: Final = "/etc/cmsaf-secrets"
RUNTIME: Final = "/run/casita"
"""A memory volume: private copies of the tokens."""
CONDOR_TOKENS: Final = f"{RUNTIME}/condor"
SERVICEX: Final = f"{RUNTIME}/servicex.yaml"
"""Configuration of ServiceX' client, the session's token in it."""
DELIVERED: Final = f"{RUNTIME}/.delivered"

_UNPRIVILEGED: Final = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def notebook_labels(slug: str) -> dict[str, str]:
    """Return the labels by which a session's pods and policies know its notebook."""
    return {SESSION_LABEL: slug, COMPONENT_LABEL: NOTEBOOK}


def notebook_environment() -> dict[str, str]:
    """Return the variables that lead Dask, XRootD and HTCondor to the session's files."""
    return {
        "DASK_CONFIG": f"{SECRETS}/dask.yaml",
        "XDG_RUNTIME_DIR": RUNTIME,
        "X509_CERT_FILE": f"{SECRETS}/xcache-ca.pem",
        "_condor_SEC_TOKEN_DIRECTORY": CONDOR_TOKENS,
        **CONNECTION,
    }


def hub_environment() -> dict[str, str]:
    """Return the variables of a notebook that is a hub's server.

    The link that Dask's clients show is the one that the user's browser can open: the scheduler's
    own asks for a certificate.
    """
    link = "{JUPYTERHUB_SERVICE_PREFIX}dask-dashboard/status"
    return {**notebook_environment(), "DASK_DISTRIBUTED__DASHBOARD__LINK": link}


def notebook_volumes(slug: str, client_secret: str = "") -> list[Json]:
    """Return the volumes; those of the tokens may come later, or not at all.

    Args:
        slug: the session's.
        client_secret: name of the client's Secret, if it is not the session's own.
    """
    sources = [
        {"secret": {"name": client_secret or f"{slug}-client"}},
        {"secret": {"name": f"{slug}-tokens", "optional": True}},
    ]
    return [
        {"name": "casita-secrets", "projected": {"sources": sources, "defaultMode": 0o440}},
        {"name": "casita-runtime", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
    ]


def notebook_mounts() -> list[Json]:
    """Return the mounts that belong to `notebook_volumes`."""
    return [
        {"name": "casita-secrets", "mountPath": SECRETS, "readOnly": True},
        {"name": "casita-runtime", "mountPath": RUNTIME},
    ]


def deliverer(image: str, pull_policy: str = "IfNotPresent") -> Json:
    """Return the sidecar that keeps private copies of the tokens, for as long as the pod lives."""
    return {
        "name": "casita-tokens",
        "image": image,
        "imagePullPolicy": pull_policy,
        "restartPolicy": "Always",
        "args": [
            *("python", "-m", "casita.access.deliver", "--follow", "--optional"),
            *("--from", SECRETS, "--to", RUNTIME, "--ready", DELIVERED),
            *("--file", "xcache_token=bt_u{uid}"),
            *("--file", f"condor_token={CONDOR_TOKENS.removeprefix(RUNTIME + '/')}/token"),
            *("--file", f"servicex.yaml={SERVICEX.removeprefix(RUNTIME + '/')}"),
        ],
        "startupProbe": {
            "exec": {"command": ["test", "-e", DELIVERED]},
            "periodSeconds": 1,
            "failureThreshold": 60,
        },
        "resources": {"requests": {"cpu": "5m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}},
        "securityContext": _UNPRIVILEGED,
        "volumeMounts": notebook_mounts(),
    }
