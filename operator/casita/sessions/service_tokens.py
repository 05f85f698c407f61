"""A session's tokens for the chart's own services, tracking and columns. Pure.

Both are signed by keys that are derived of the site's root key; a service of somebody else's gets
none, since it would not know the key.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import yaml

from casita.api.session import SessionSpec
from casita.config import Site
from casita.credentials import mlflow, servicex
from casita.credentials.errors import CredentialError
from casita.credentials.token import Token
from casita.manifests.common import Owner
from casita.manifests.secrets import MLFLOW, SERVICEX
from casita.sessions.token_keys import Material

MLFLOW_FILE: Final = "mlflow_token"
SERVICEX_FILE: Final = "servicex.yaml"

ENDPOINT: Final = "casita"
"""What ServiceX' client calls the site's own."""

CACHE_FOLDER: Final = "/tmp/servicex-cache"  # noqa: S108 - of the notebook's pod alone
"""Where ServiceX' client keeps what it has fetched."""


def service_names(site: Site) -> tuple[str, ...]:
    """Return the names of the tokens that every session of the site gets for its services."""
    tracking = (MLFLOW,) if site.tracking and site.tracking.own else ()
    return tracking + ((SERVICEX,) if site.columns and site.columns.own else ())


def service_said(site: Site, material: Material) -> dict[str, Any]:
    """Return what the tokens depend on, for the hash of their Secret."""
    said: dict[str, Any] = {}
    common = {"issuer": site.domain, "seconds": site.credentials.service_seconds}
    if site.tracking and material.mlflow:
        said[MLFLOW] = {**common, "key": material.mlflow.fingerprint}
    if site.columns and material.servicex:
        said[SERVICEX] = {
            **common,
            "key": material.servicex.fingerprint,
            "endpoint": site.columns.url,
        }
    return said


def make_service_tokens(
    owner: Owner,
    spec: SessionSpec,
    site: Site,
    material: Material,
    now: datetime,
    random: Callable[[int], bytes],
) -> tuple[dict[str, Token], dict[str, bytes]]:
    """Make the tokens, by name, and the files that they lie in.

    Raises:
        CredentialError: the user's name is not one that tokens are made for.
    """
    life = timedelta(seconds=site.credentials.service_seconds)
    tokens: dict[str, Token] = {}
    files: dict[str, bytes] = {}
    if site.tracking and material.mlflow:
        number = random(16).hex()
        token = mlflow.mint(material.mlflow, site.domain, spec.user, life, now, number)
        tokens[MLFLOW] = token
        files[MLFLOW_FILE] = f"{token.text}\n".encode()
    if site.columns and material.servicex:
        one, other = (UUID(bytes=random(16), version=4) for _ in range(2))
        token = servicex.mint(material.servicex, holder(owner, spec, site), life, now, one, other)
        tokens[SERVICEX] = token
        files[SERVICEX_FILE] = servicex_file(site.columns.url, token.text)
    return tokens, files


def read_service_tokens(
    files: Mapping[str, bytes], owner: Owner, spec: SessionSpec, site: Site, material: Material
) -> dict[str, Token]:
    """Read the tokens back from the files of their Secret.

    Raises:
        CredentialError: one is damaged or is not this session's; the message says how.
    """
    found: dict[str, Token] = {}
    if site.tracking and material.mlflow:
        text = files.get(MLFLOW_FILE, b"").decode("ascii", "replace").strip()
        found[MLFLOW] = mlflow.verify(material.mlflow, text, site.domain, spec.user)
    if site.columns and material.servicex:
        content = files.get(SERVICEX_FILE, b"")
        match = re.search(rb"token: (\S+)", content)
        text = match[1].decode("ascii", "replace") if match else ""
        found[SERVICEX] = servicex.verify(material.servicex, text, holder(owner, spec, site))
        if content != servicex_file(site.columns.url, text):
            raise CredentialError(f"{SERVICEX_FILE} is not as it was made")
    return found


def holder(owner: Owner, spec: SessionSpec, site: Site) -> servicex.Holder:
    """Return whom ServiceX is to know by a session's token."""
    return servicex.Holder(site.domain, spec.user, f"{owner.namespace}/{owner.name}/{owner.uid}")


def servicex_file(url: str, token: str) -> bytes:
    """Return the configuration that ServiceX' client reads (``servicex/configuration.py``)."""
    said = {
        "api_endpoints": [{"name": ENDPOINT, "endpoint": url, "token": token}],
        "default_endpoint": ENDPOINT,
        "cache_path": CACHE_FOLDER,
    }
    return yaml.safe_dump(said, sort_keys=False, width=10**6).encode()
