"""What is to be done about a session's tokens, from what is there; and when they are renewed."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from casita.api.names import TOKENS_ANNOTATION
from casita.api.session import SessionSpec
from casita.config import Site
from casita.manifests.secrets import TOKEN_FILES, TOKENS
from casita.sessions.observed import Child, parse_time
from casita.sessions.token_keys import Material
from casita.sessions.tokens import token_names, tokens_hash

RENEWED_AT: Final = 1 / 2
"""Share of its life after which a token is renewed: a connection keeps the token that it began
with, so what is handed out must have long to live."""

_JITTER: Final = 0.05
"""Renewals come up to this share of the life earlier, different for every session."""

_EPOCH: Final = datetime.fromtimestamp(0, tz=UTC)


@dataclass(frozen=True, slots=True)
class TokenPlan:
    """What is to be done about the Secret of tokens.

    Attributes:
        make: make the tokens: missing, stale or due for renewal.
        withdraw: delete the Secret: it holds a token that the session is not given any more. What
            it is still given is made again when its going is seen.
        verify: somebody else may have changed it: read, and make again if damaged.
        due: when to plan again.
    """

    make: bool = False
    withdraw: bool = False
    verify: bool = False
    due: datetime | None = None


@dataclass(frozen=True, slots=True)
class Noted:
    """What a Secret's metadata tells of one token."""

    id: str
    issued_at: datetime
    not_after: datetime


def plan_tokens(
    secret: Child | None,
    session_uid: str,
    spec: SessionSpec,
    site: Site,
    material: Material | None,
    now: datetime,
) -> TokenPlan:
    """Decide what is to be done.

    Args:
        secret: the Secret of tokens, if it is there.
        session_uid: the session's uid.
        spec: what the session asks for; not refused.
        site: the site.
        material: the site's keys; `None` if they cannot be used. What is there is kept then until
            it is due, whatever else may have changed.
        now: the time.
    """
    names = token_names(spec, site)
    if secret is None:
        return TokenPlan(make=bool(names))
    if secret.deleting:
        return TokenPlan()
    if not names or set(noted_tokens(secret)) - set(names):
        return TokenPlan(withdraw=True)
    due = tokens_renewal_time(secret, session_uid)
    stale = material is not None and secret.planned_hash != tokens_hash(spec, site, material)
    if stale or due <= now:
        return TokenPlan(make=True)
    return TokenPlan(verify=secret.suspect and material is not None, due=due)


def noted_tokens(secret: Child) -> Mapping[str, Noted]:
    """Return what the Secret's metadata tells of each token; empty if that is damaged."""
    try:
        found = json.loads(secret.facts[TOKENS_ANNOTATION])
        return {
            name: Noted(
                str(said["id"])[:64], parse_time(said["issuedAt"]), parse_time(said["notAfter"])
            )
            for name, said in found.items()
            if name in TOKEN_FILES
        }
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}


def tokens_renewal_time(secret: Child, session_uid: str) -> datetime:
    """Return when the tokens in `secret` should be renewed; the same answer at every asking.

    It is when the first of them has lived half of its life, or up to a twentieth of the life
    before. Tokens whose times cannot be read are due at once.
    """
    noted = noted_tokens(secret).values()
    return min((renewal_time(token, session_uid) for token in noted), default=_EPOCH)


def renewal_time(token: Noted, session_uid: str) -> datetime:
    """Return when one token should be renewed."""
    seed = hashlib.sha256(f"{session_uid}/{TOKENS}/{token.issued_at}".encode()).digest()
    early = _JITTER * int.from_bytes(seed[:4]) / 2**32
    return token.issued_at + (token.not_after - token.issued_at) * (RENEWED_AT - early)
