"""``status.credentials``: number and times of what a session holds, never the material."""

from collections.abc import Iterable
from typing import Any, Final

from casita.api.names import ISSUED_AT_ANNOTATION, NOT_AFTER_ANNOTATION, SERIAL_ANNOTATION
from casita.manifests.resources import SECRET
from casita.manifests.secrets import AUTHORITY, LEAVES, TOKENS, secret_name, timestamp
from casita.sessions import token_plan
from casita.sessions.observed import Child
from casita.sessions.renewal import renewal_time
from casita.sessions.view import View

_FIELDS: Final = {
    "id": SERIAL_ANNOTATION,
    "issuedAt": ISSUED_AT_ANNOTATION,
    "notAfter": NOT_AFTER_ANNOTATION,
}


def credentials(view: View, mine: Iterable[Child]) -> list[dict[str, Any]]:
    """Return the entries of certificates and tokens, as their Secrets' metadata tells."""
    secrets = {c.name: c for c in mine if c.resource is SECRET and not c.deleting}
    found = []
    for role in (AUTHORITY, *LEAVES):
        secret = secrets.get(secret_name(view.owner, role))
        if secret is None or SERIAL_ANNOTATION not in secret.facts:
            continue
        entry = {
            field: secret.facts[annotation]
            for field, annotation in _FIELDS.items()
            if annotation in secret.facts
        }
        entry["name"] = role
        if role != AUTHORITY:
            entry["renewalTime"] = timestamp(renewal_time(secret, view.owner.uid))
        found.append(entry)
    tokens = secrets.get(secret_name(view.owner, TOKENS))
    return found + (_tokens(tokens, view.owner.uid) if tokens else [])


def _tokens(secret: Child, session_uid: str) -> list[dict[str, Any]]:
    """All tokens are renewed together, when the first of them is due."""
    due = timestamp(token_plan.tokens_renewal_time(secret, session_uid))
    return [
        {
            "name": name,
            "id": token.id,
            "issuedAt": timestamp(token.issued_at),
            "notAfter": timestamp(token.not_after),
            "renewalTime": due,
        }
        for name, token in token_plan.noted_tokens(secret).items()
    ]
