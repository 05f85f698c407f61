"""Making a session's certificates: the authority once, leaves as often as they end."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from casita.api.session import SessionSpec
from casita.config import Site
from casita.credentials.errors import CredentialError
from casita.credentials.report import report_token
from casita.credentials.seal import seal, unseal
from casita.credentials.verify import load_authority, load_certificate, verify_leaf
from casita.credentials.x509 import (
    BACKDATE,
    Authority,
    Leaf,
    Role,
    authority_fingerprint,
    issue_leaf,
    new_authority,
)
from casita.manifests.common import Manifest, Owner
from casita.manifests.secrets import (
    CLIENT,
    SCHEDULER,
    SEALED_KEY,
    WORKER,
    addresses,
    authority_secret,
    client_files,
    leaf_facts,
    leaf_hash,
    leaf_names,
    leaf_pair,
    leaf_secret,
    scheduler_files,
    secret_files,
)
from casita.sessions.observed import deviates
from casita.sessions.plan import run_of


@dataclass(frozen=True)
class Issued:
    """A credential that was made, for the audit log: who, what, until when; never material."""

    user: str
    namespace: str
    session: str
    kind: str
    serial: str
    not_after: datetime

    @classmethod
    def to(
        cls, owner: Owner, spec: SessionSpec, kind: str, serial: str, not_after: datetime
    ) -> "Issued":
        """Return what is told of a credential of this session."""
        return cls(spec.user, owner.namespace, owner.name, kind, serial, not_after)


@dataclass(frozen=True)
class Keys:
    """What the operator holds itself.

    Attributes:
        root: the site's root key, of which report tokens and seals are derived.
    """

    root: bytes = field(repr=False)
    report_authority_pem: bytes


def make_authority(
    owner: Owner, spec: SessionSpec, site: Site, keys: Keys, now: datetime
) -> tuple[Authority, Manifest]:
    """Make the session's authority, and the Secret that keeps it."""
    life = spec.max_lifetime_seconds + site.credentials.authority_margin_seconds
    name = f"casita session {owner.slug}"
    authority = new_authority(name, now - BACKDATE, timedelta(seconds=life) + BACKDATE)
    return authority, keep_authority(owner, authority, run_of(spec.run_id), keys)


def keep_authority(owner: Owner, authority: Authority, run: str, keys: Keys) -> Manifest:
    """Return the Secret that keeps an authority, its key sealed."""
    sealed = seal(keys.root, owner.uid, authority.key_pem)
    return authority_secret(owner, authority, sealed, run)


def make_leaf(
    role: str, owner: Owner, site: Site, authority: Authority, keys: Keys, now: datetime
) -> tuple[Leaf, Manifest]:
    """Make the leaf of one role, and the Secret that holds it.

    Raises:
        CredentialError: the authority cannot sign any more.
    """
    names = leaf_names(owner, site, role)
    life = timedelta(seconds=site.credentials.leaf_seconds)
    leaf = issue_leaf(
        authority, Role(role), names, now, life, common_name=f"{role} of {owner.slug}"
    )
    beside = _files_beside(role, owner, site, keys, authority.fingerprint)
    return leaf, leaf_secret(owner, role, authority, leaf, beside, leaf_hash(owner, site, role))


def make_batch_leaf(
    owner: Owner, site: Site, authority: Authority, life: timedelta, now: datetime
) -> tuple[Leaf, dict[str, bytes]]:
    """Make the leaf that the jobs of one submission share, and the files that they get.

    It cannot be renewed where it is, so it lives as long as a job may: `life`, but no longer than
    the authority.

    Raises:
        CredentialError: the authority cannot sign any more.
    """
    names = leaf_names(owner, site, WORKER)
    leaf = issue_leaf(
        authority, Role.WORKER, names, now, life, common_name=f"batch worker of {owner.slug}"
    )
    files = {
        "ca.pem": authority.certificate_pem,
        "tls.crt": leaf.certificate_pem,
        "tls.key": leaf.key_pem,
    }
    return leaf, files


def _files_beside(
    role: str, owner: Owner, site: Site, keys: Keys, fingerprint: str
) -> dict[str, bytes]:
    if role == SCHEDULER:
        token = report_token(keys.root, owner.uid, fingerprint)
        return scheduler_files(token, keys.report_authority_pem)
    return client_files(owner, addresses(owner, site)) if role == CLIENT else {}


def read_authority(secret: Manifest, owner: Owner, keys: Keys, now: datetime) -> Authority:
    """Read the authority back from its Secret.

    Raises:
        CredentialError: it is damaged or over; the message says how.
    """
    files = secret_files(secret)
    key = unseal(keys.root, owner.uid, files.get(SEALED_KEY, b""))
    return load_authority(files.get("tls.crt", b""), key, now)


def damage(
    role: str,
    secret: Manifest,
    owner: Owner,
    site: Site,
    keys: Keys,
    authority_pem: bytes,
    now: datetime,
) -> str | None:
    """Say what is wrong with a leaf's Secret, or `None` if it is whole, valid and as it was made.

    `authority_pem` is the certificate of the session's present authority.
    """
    files = secret_files(secret)
    certificate, key = leaf_pair(role, files)
    names = leaf_names(owner, site, role)
    try:
        leaf = verify_leaf(certificate, key, authority_pem, now, role=Role(role), names=names)
    except CredentialError as error:
        return str(error)
    if deviates(leaf_facts(leaf), secret["metadata"].get("annotations")):
        return "its annotations are not of its certificate"
    fingerprint = authority_fingerprint(load_certificate(authority_pem))
    planned = _files_beside(role, owner, site, keys, fingerprint)
    wrong = [n for n, text in {**planned, "ca.pem": authority_pem}.items() if files.get(n) != text]
    return f"{', '.join(sorted(wrong))} is not as it was made" if wrong else None
