"""What the pods of a session have in order to read from the site's data cache.

The scheduler alone mounts the token and sends it to the workers (`casita.dask.data_token`); each
process keeps its copy in a memory volume of its pod, since XRootD's client refuses the mounted one.
"""

from typing import Any, Final

from casita.config import Site
from casita.manifests.secrets import MACAROON, TOKEN_FILES

RUNTIME_DIRECTORY: Final = "/run/casita"
TOKENS_DIRECTORY: Final = "/etc/casita/tokens"

_RUNTIME: Final = "runtime"
_TOKENS: Final = "tokens"


def data_environment(site: Site, *, scheduler: bool = False) -> dict[str, str]:
    """Return the variables of a pod; none on a site without a cache."""
    if site.cache is None:
        return {}
    # Workers may run where the cache's short name means nothing: the scheduler tells them this one.
    address = {"CASITA_XCACHE": f"{site.cache.host}:{site.cache.port}"} if scheduler else {}
    return {"CASITA_RUNTIME_DIRECTORY": RUNTIME_DIRECTORY, **address}


def data_mounts(site: Site, *, scheduler: bool = False) -> list[dict[str, Any]]:
    """Return the mounts that belong to `data_volumes`."""
    if site.cache is None:
        return []
    mounts: list[dict[str, Any]] = [{"name": _RUNTIME, "mountPath": RUNTIME_DIRECTORY}]
    if scheduler:
        mounts.append({"name": _TOKENS, "mountPath": TOKENS_DIRECTORY, "readOnly": True})
    return mounts


def data_volumes(site: Site, secret: str = "") -> list[dict[str, Any]]:
    """Return the volumes of a pod.

    Args:
        site: the site.
        secret: name of the session's Secret of tokens, for the pod that mounts it. Optional there:
            a session that may read nothing has none, and one that comes later is mounted later.
    """
    if site.cache is None:
        return []
    memory = {"medium": "Memory", "sizeLimit": "1Mi"}
    volumes: list[dict[str, Any]] = [{"name": _RUNTIME, "emptyDir": memory}]
    if secret:
        files = [{"key": name, "path": name} for name in TOKEN_FILES[MACAROON]]
        source = {"secretName": secret, "defaultMode": 0o440, "optional": True, "items": files}
        volumes.append({"name": _TOKENS, "secret": source})
    return volumes
