"""Secrets of a session, split so that each pod mounts only its own."""

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

import yaml
from cryptography.hazmat.primitives.serialization import Encoding

from casita.api.names import (
    AUTHORITY_ANNOTATION,
    CERTIFICATE_ANNOTATION,
    DASHBOARD_PORT,
    HASH_ANNOTATION,
    ISSUED_AT_ANNOTATION,
    MANAGER,
    NOT_AFTER_ANNOTATION,
    RUN_ANNOTATION,
    SCHEDULER_PORT,
    SERIAL_ANNOTATION,
    TOKENS_ANNOTATION,
)
from casita.config import Site
from casita.credentials.token import Token
from casita.credentials.x509 import BACKDATE, Authority, Leaf
from casita.manifests.common import Manifest, Owner, child, planned_hash
from casita.manifests.dask_config import client_config
from casita.manifests.resources import SECRET
from casita.manifests.route import external_host

AUTHORITY = "authority"
SCHEDULER = "scheduler"
WORKER = "worker"
CLIENT = "client"
TOKENS = "tokens"
LEAVES = (SCHEDULER, WORKER, CLIENT)

SEALED_KEY = "tls.key.sealed"
"""File of the authority's Secret."""

FILES = {
    AUTHORITY: ("tls.crt", SEALED_KEY),
    SCHEDULER: ("ca.pem", "tls.crt", "tls.key", "report-token", "report-ca.pem"),
    WORKER: ("ca.pem", "tls.crt", "tls.key"),
    CLIENT: ("ca.pem", "usercert.pem", "dask.yaml", "session.json"),
}
"""Files of each Secret, by role; those of tokens depend on the site (`TOKEN_FILES`)."""

IDTOKEN = "idtoken"
MACAROON = "macaroon"
MLFLOW = "mlflow"
SERVICEX = "servicex"
TOKEN_FILES = {
    IDTOKEN: ("condor_token",),
    MACAROON: ("xcache_token", "xcache-ca.pem"),
    MLFLOW: ("mlflow_token",),
    SERVICEX: ("servicex.yaml",),
}
"""Files of the Secret of tokens, by the token that they belong to."""

_DUMPER: Final = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""libyaml's, where PyYAML was built with it: the same text for a fifth of the time."""

LEAF_FORMAT = 1
"""To be raised by a release that puts something else into the Secrets of leaves."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where clients find the scheduler."""

    internal: str
    external: str | None
    dashboard: str


def addresses(owner: Owner, site: Site) -> Addresses:
    """Return a session's addresses; no external one where no route is configured."""
    host = external_host(owner, site)
    return Addresses(
        internal=f"tls://{owner.service_host}:{SCHEDULER_PORT}",
        external=f"tls://{host}:{site.gateway.port}" if host else None,
        dashboard=f"https://{owner.service_host}:{DASHBOARD_PORT}",
    )


def leaf_names(owner: Owner, site: Site, role: str) -> tuple[str, ...]:
    """Return the DNS names in the leaf of this role; nobody dials a client."""
    if role == SCHEDULER:
        host = external_host(owner, site)
        return (owner.service_host, *([host] if host else []))
    return (f"{owner.slug}-worker",) if role == WORKER else ()


def leaf_hash(owner: Owner, site: Site, role: str) -> str:
    """Return the hash of what the Secret of this role says beside its keys.

    Another one than the Secret has noted means that the site has changed: the leaf is made again.
    """
    said: dict[str, Any] = {"format": LEAF_FORMAT, "names": leaf_names(owner, site, role)}
    if role == CLIENT:
        said["addresses"] = asdict(addresses(owner, site))
    return planned_hash(said)


def secret_name(owner: Owner, role: str) -> str:
    """Return the name of the session's Secret with this role."""
    return f"{owner.slug}-{role}"


def timestamp(moment: datetime) -> str:
    """Return the RFC 3339 form that Kubernetes uses, whole seconds in UTC."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def authority_secret(owner: Owner, authority: Authority, sealed_key: bytes, run: str) -> Manifest:
    """The session's authority: mounted nowhere, and its key sealed (`casita.credentials.seal`).

    Its certificate, which is public, is also an annotation, so that a route can be proven from
    metadata alone.
    """
    der = authority.certificate.public_bytes(Encoding.DER)
    facts = {
        SERIAL_ANNOTATION: authority.serial,
        ISSUED_AT_ANNOTATION: timestamp(authority.not_before + BACKDATE),
        NOT_AFTER_ANNOTATION: timestamp(authority.not_after),
        CERTIFICATE_ANNOTATION: base64.b64encode(der).decode(),
        RUN_ANNOTATION: run,
    }
    files = {"tls.crt": authority.certificate_pem, SEALED_KEY: sealed_key}
    return _secret(owner, AUTHORITY, authority.fingerprint, files, facts)


def scheduler_files(report_token: str, report_authority_pem: bytes) -> dict[str, bytes]:
    """What the scheduler mounts beside its leaf: what it needs to report to the operator."""
    return {"report-token": report_token.encode(), "report-ca.pem": report_authority_pem}


def client_files(owner: Owner, where: Addresses) -> dict[str, bytes]:
    """What the user's notebook mounts, at ``/etc/cmsaf-secrets``, beside its leaf."""
    session = {
        "namespace": owner.namespace,
        "name": owner.name,
        "slug": owner.slug,
        "address": where.internal,
        "externalAddress": where.external,
        "dashboardAddress": where.dashboard,
    }
    return {
        "dask.yaml": yaml.dump(client_config(where.internal), Dumper=_DUMPER).encode(),
        "session.json": json.dumps(session, indent=1).encode(),
    }


def leaf_secret(
    owner: Owner,
    role: str,
    authority: Authority,
    leaf: Leaf,
    beside: Mapping[str, bytes],
    planned: str,
) -> Manifest:
    """What the holder of a leaf mounts: the leaf, the authority's certificate, what lies beside.

    Args:
        owner: the session.
        role: who holds the leaf.
        authority: who signed it.
        leaf: the leaf.
        beside: further files.
        planned: the Secret's `leaf_hash`.
    """
    facts = {**leaf_facts(leaf), HASH_ANNOTATION: planned}
    files = {"ca.pem": authority.certificate_pem, **_pair_files(role, leaf), **beside}
    return _secret(owner, role, authority.fingerprint, files, facts)


def leaf_facts(leaf: Leaf) -> dict[str, str]:
    """Return the annotations that tell a leaf's number and times."""
    return {
        SERIAL_ANNOTATION: leaf.serial,
        ISSUED_AT_ANNOTATION: timestamp(leaf.not_before + BACKDATE),
        NOT_AFTER_ANNOTATION: timestamp(leaf.not_after),
    }


def tokens_secret(
    owner: Owner,
    fingerprint: str,
    tokens: Mapping[str, Token],
    files: Mapping[str, bytes],
    planned: str,
) -> Manifest:
    """What a session shows to the batch system, the data cache and the site's services.

    Args:
        owner: the session.
        fingerprint: that of the session's present authority: tokens end with a run as leaves do.
        tokens: what was issued, by name.
        files: the Secret's content.
        planned: the hash of what it says beside its material.
    """
    facts = {TOKENS_ANNOTATION: token_facts(tokens), HASH_ANNOTATION: planned}
    return _secret(owner, TOKENS, fingerprint, dict(files), facts)


def cache_tls_files(authority: Authority, leaf: Leaf) -> dict[str, bytes]:
    """What the chart's own cache shows to clients, and whom clients shall trust."""
    return {
        "tls.crt": leaf.certificate_pem,
        "tls.key": leaf.key_pem,
        "ca.pem": authority.certificate_pem,
    }


def token_facts(tokens: Mapping[str, Token]) -> str:
    """Return the annotation that tells numbers and times of tokens."""
    said = {
        name: {
            "id": token.id,
            "issuedAt": timestamp(token.issued_at),
            "notAfter": timestamp(token.not_after),
        }
        for name, token in tokens.items()
    }
    return json.dumps(said, sort_keys=True, separators=(",", ":"))


def leaf_pair(role: str, files: Mapping[str, bytes]) -> tuple[bytes, bytes]:
    """Return certificate and key among the files of a leaf's Secret; empty if they are missing."""
    if role == CLIENT:
        both = files.get("usercert.pem", b"")
        return both, both
    return files.get("tls.crt", b""), files.get("tls.key", b"")


def _pair_files(role: str, leaf: Leaf) -> dict[str, bytes]:
    if role == CLIENT:
        return {"usercert.pem": leaf.certificate_pem + leaf.key_pem}
    return {"tls.crt": leaf.certificate_pem, "tls.key": leaf.key_pem}


def site_secret(namespace: str, name: str, files: Mapping[str, bytes]) -> Manifest:
    """Return a Secret of the site's own, which belongs to no session."""
    return {
        "apiVersion": SECRET.api_version,
        "kind": SECRET.kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": MANAGER},
        },
        "type": "Opaque",
        "data": _encoded(files),
    }


def secret_files(secret: Manifest) -> dict[str, bytes]:
    """Return the files that a Secret holds, decoded; what is not base64 reads as empty."""
    files = {}
    for name, text in (secret.get("data") or {}).items():
        try:
            files[name] = base64.b64decode(text, validate=True)
        except ValueError:
            files[name] = b""
    return files


def _secret(
    owner: Owner, role: str, fingerprint: str, files: dict[str, bytes], facts: dict[str, str]
) -> Manifest:
    return child(
        SECRET,
        owner,
        secret_name(owner, role),
        role,
        {"type": "Opaque", "data": _encoded(files)},
        annotations={AUTHORITY_ANNOTATION: fingerprint, **facts},
    )


def _encoded(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(content).decode() for name, content in files.items()}
