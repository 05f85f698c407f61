"""A session's tokens: which it gets, how they are made, and what is wrong with them.

Pure: keys, time and randomness are passed in. The IDTOKEN names the session's own user at the pool;
the macaroon reads below one directory of the cache; the site's own services have tokens of their
own (`casita.sessions.service_tokens`). All lie in one Secret beside the certificate that the cache
is known by, and are renewed together.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from casita.api.names import TOKENS_ANNOTATION
from casita.api.paths import as_prefix
from casita.api.session import SessionSpec
from casita.config import Batch, Site
from casita.credentials import idtoken, macaroon
from casita.credentials.errors import CredentialError
from casita.credentials.token import SigningKey, Token
from casita.manifests.common import Manifest, Owner, planned_hash
from casita.manifests.secrets import (
    IDTOKEN,
    MACAROON,
    secret_files,
    token_facts,
    tokens_secret,
)
from casita.sessions.observed import parse_time
from casita.sessions.service_tokens import (
    make_service_tokens,
    read_service_tokens,
    service_names,
    service_said,
)
from casita.sessions.token_keys import Material

TOKENS_FORMAT: Final = 1
"""To be raised by a release that puts something else into the Secret."""


def data_prefix(spec: SessionSpec, site: Site) -> str | None:
    """Return the directory that the session may read, with a slash at its end, or `None`.

    It is what the session asks for, or all that its profile grants; `casita.sessions.refusal` has
    refused what goes beyond.
    """
    profile = site.profile(spec.profile)
    grant = site.data_grant(profile) if profile else None
    if grant is None:
        return None
    return as_prefix(spec.data_access.path_prefix) if spec.data_access else grant


def token_names(spec: SessionSpec, site: Site) -> tuple[str, ...]:
    """Return the names of the tokens that the session gets; it has no Secret of them if none."""
    batch = (IDTOKEN,) if site.batch else ()
    data = (MACAROON,) if data_prefix(spec, site) else ()
    return batch + data + service_names(site)


def tokens_hash(spec: SessionSpec, site: Site, material: Material) -> str:
    """Return the hash of what the Secret says beside its material, and of what it is made with.

    Another one than the Secret has noted means that spec, site or a key has changed: the tokens are
    made again.
    """
    said: dict[str, Any] = {"format": TOKENS_FORMAT, "user": spec.user}
    said.update(service_said(site, material))
    if site.batch and material.idtoken:
        said[IDTOKEN] = {
            "trustDomain": site.batch.trust_domain,
            "uidDomain": site.batch.uid_domain,
            "keyId": site.batch.key_id,
            "key": material.idtoken.fingerprint,
            "seconds": site.credentials.idtoken_seconds,
        }
    prefix = data_prefix(spec, site)
    if prefix and site.cache and material.macaroon:
        said[MACAROON] = {
            "location": site.cache.site_name,
            "path": prefix,
            "key": material.macaroon.fingerprint,
            "seconds": site.macaroon_seconds,
            "authority": hashlib.sha256(material.cache_authority or b"").hexdigest(),
        }
    return planned_hash(said)


def pool_of(batch: Batch) -> idtoken.Pool:
    """Return what tokens must say to be believed by the site's pool."""
    return idtoken.Pool(batch.trust_domain, batch.uid_domain, batch.key_id)


def make_tokens(
    owner: Owner,
    spec: SessionSpec,
    site: Site,
    material: Material,
    fingerprint: str,
    now: datetime,
    random: Callable[[int], bytes],
) -> tuple[dict[str, Token], Manifest]:
    """Make the session's tokens, by name, and the Secret that holds them.

    Args:
        owner: the session.
        spec: what it asks for; not refused.
        site: the site.
        material: the site's keys.
        fingerprint: that of the session's authority.
        now: the time of issue, with a time zone.
        random: returns so many bytes of randomness (`os.urandom`).

    Raises:
        CredentialError: the user's name or the directory is not one that tokens are made for.
    """
    tokens: dict[str, Token] = {}
    files: dict[str, bytes] = {}
    if site.batch and material.idtoken:
        life = timedelta(seconds=site.credentials.idtoken_seconds)
        token = idtoken.user_token(
            material.idtoken, pool_of(site.batch), spec.user, life, now, random(16).hex()
        )
        tokens[IDTOKEN] = token
        files["condor_token"] = _line(token)
    prefix = data_prefix(spec, site)
    if prefix and site.cache and material.macaroon:
        token = macaroon.mint(
            material.macaroon,
            site.cache.site_name,
            spec.user,
            prefix,
            timedelta(seconds=site.macaroon_seconds),
            now,
            UUID(bytes=random(16), version=4),
        )
        tokens[MACAROON] = token
        files["xcache_token"] = _line(token)
        files["xcache-ca.pem"] = material.cache_authority or b""
    services, more = make_service_tokens(owner, spec, site, material, now, random)
    tokens.update(services)
    files.update(more)
    planned = tokens_hash(spec, site, material)
    return tokens, tokens_secret(owner, fingerprint, tokens, files, planned)


def tokens_damage(
    secret: Manifest,
    owner: Owner,
    spec: SessionSpec,
    site: Site,
    material: Material,
    now: datetime,
) -> str | None:
    """Say what is wrong with the Secret of tokens, or `None` if it is whole, valid and as made."""
    files = secret_files(secret)
    found: dict[str, Token] = {}
    try:
        if site.batch and material.idtoken:
            found[IDTOKEN] = _read_idtoken(files, spec, site.batch, material.idtoken)
        prefix = data_prefix(spec, site)
        if prefix and site.cache and material.macaroon:
            found[MACAROON] = _read_macaroon(
                files, spec, prefix, site.cache.site_name, secret, material.macaroon
            )
            if files.get("xcache-ca.pem") != material.cache_authority:
                return "xcache-ca.pem is not as it was made"
        found.update(read_service_tokens(files, owner, spec, site, material))
    except CredentialError as error:
        return str(error)
    over = [name for name, token in found.items() if token.not_after <= now]
    if over:
        return f"{', '.join(over)} expired"
    noted = (secret["metadata"].get("annotations") or {}).get(TOKENS_ANNOTATION)
    return None if noted == token_facts(found) else "its annotations are not of its tokens"


def _read_idtoken(
    files: Mapping[str, bytes], spec: SessionSpec, batch: Batch, key: SigningKey
) -> Token:
    text = _text(files, "condor_token")
    said = idtoken.claims(key, text)
    wanted = idtoken.expected_claims(pool_of(batch), spec.user, idtoken.USER_SCOPE)
    if any(said.get(name) != value for name, value in wanted.items()):
        raise CredentialError("condor_token is not of this session")
    begin, end = (datetime.fromtimestamp(said[name], UTC) for name in ("iat", "exp"))
    return Token(text, said["jti"], begin, end)


def _read_macaroon(
    files: Mapping[str, bytes],
    spec: SessionSpec,
    prefix: str,
    location: str,
    secret: Manifest,
    key: SigningKey,
) -> Token:
    """Read a macaroon; when it was made stands in the annotation alone, so that is believed."""
    text = _text(files, "xcache_token")
    identifier, *said = macaroon.read(key, location, text)
    end = macaroon.end_of(said)
    if end is None or tuple(said) != macaroon.caveats(spec.user, prefix, end):
        raise CredentialError("xcache_token is not of this session")
    try:
        annotation = (secret["metadata"].get("annotations") or {})[TOKENS_ANNOTATION]
        begin = parse_time(json.loads(annotation)[MACAROON]["issuedAt"])
    except (KeyError, ValueError, TypeError) as error:
        raise CredentialError("its annotations are not of its tokens") from error
    return Token(text, identifier, begin, end)


def _text(files: Mapping[str, bytes], name: str) -> str:
    return files.get(name, b"").decode("ascii", "replace").strip()


def _line(token: Token) -> bytes:
    return f"{token.text}\n".encode()
