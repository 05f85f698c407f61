"""The site's own secrets: the system authority, the root key, the keys that tokens are signed with.

Made once, by the chart's hook, where their Secrets are absent; an upgrade never changes them.
"""

import base64
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from casita.credentials.root import MIN_ROOT_KEY_BYTES
from casita.credentials.x509 import (
    BACKDATE,
    Authority,
    Leaf,
    Role,
    issue_leaf,
    new_authority,
)

SYSTEM_AUTHORITY_NAME: Final = "casita system authority"

SYSTEM_AUTHORITY_LIFETIME: Final = timedelta(days=3650)
"""Ten years. It signs one thing only, the operator's report endpoint, with leaves that are
short-lived and made anew at every start; and each scheduler gets its certificate at the start of a
run, which lasts 30 days at most. So it may live long, and can be replaced at any time: delete its
Secret, run the hook again, restart the operator; a running session reports again from its next
start on."""

CACHE_LEAF_LIFETIME: Final = timedelta(days=30)
"""Of the cache's certificate, which the operator renews."""

TOKEN_KEY_BYTES: Final = 64
"""One block of the hash that signs, so that nothing of it is lost."""

HUB_KEYS: Final = ("proxy-token", "crypt-key", "cookie-secret")
"""JupyterHub's ``CONFIGPROXY_AUTH_TOKEN``, ``JUPYTERHUB_CRYPT_KEY`` and ``JPY_COOKIE_SECRET``."""

HUB_SERVICE_KEY: Final = "mlflow-token"
"""As which the hub knows the tracking server, where the site has one of its own."""

SECRET_BYTES: Final = 32
"""What JupyterHub asks of each, in hexadecimal digits; as good for others."""

TRACKING_HUB_KEY: Final = "hub-token"
TRACKING_KEYS: Final = ("flask-secret-key", TRACKING_HUB_KEY)
"""What the tracking server knows, beside the key of tokens."""

COLUMNS_KEYS: Final = (
    "flask-secret-key",
    "postgres-password",
    "rabbitmq-password",
    "rabbitmq-erlang-cookie",
    "object-store-access-key",
    "object-store-secret-key",
)
"""What the parts of ServiceX know of each other, beside the key of tokens."""


def new_system_authority(now: datetime) -> Authority:
    """Make the system authority, valid until `SYSTEM_AUTHORITY_LIFETIME` after `now`."""
    return new_authority(
        SYSTEM_AUTHORITY_NAME, now - BACKDATE, BACKDATE + SYSTEM_AUTHORITY_LIFETIME
    )


def new_root_key() -> bytes:
    """Make the root key of report tokens: 32 bytes of the operating system's randomness."""
    return secrets.token_bytes(MIN_ROOT_KEY_BYTES)


def new_cache_leaf(authority: Authority, names: Sequence[str], now: datetime) -> Leaf:
    """Make the certificate of the site's own data cache, signed by the system authority.

    Raises:
        CredentialError: the authority cannot sign, or a name is malformed.
    """
    return issue_leaf(
        authority, Role.ENDPOINT, names, now, CACHE_LEAF_LIFETIME, common_name="casita data cache"
    )


def new_idtoken_key() -> bytes:
    """Make a signing key of IDTOKENs: the file of a named key, as HTCondor reads it."""
    return secrets.token_bytes(TOKEN_KEY_BYTES)


def new_macaroon_key() -> bytes:
    """Make a signing key of macaroons: the file that ``macaroons.secretkey`` names.

    One line of base64 and, since XRootD does not start without it, a newline.
    """
    return base64.b64encode(secrets.token_bytes(TOKEN_KEY_BYTES)) + b"\n"


def new_hub_keys() -> dict[str, bytes]:
    """Make what the hub and its proxy know alone, by `HUB_KEYS`."""
    return {name: new_secret() for name in HUB_KEYS}


def new_secret() -> bytes:
    """Make a password or key that its holders take as text: hexadecimal digits."""
    return secrets.token_hex(SECRET_BYTES).encode()
