"""Who somebody is to the hub: claims of an identity provider as the name of a user. Pure.

A provider knows its own users apart. Behind one that passes on names of others (CILogon), two homes
may each have an ``alice``; a further claim says which home vouched for a login. Users of the site's
own home keep their plain names; all others carry the name of their home. `MARK` stands between the
two and in no plain name, so that nobody can be given a name at one home that makes a user of
another.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

MARK: Final = "~"
"""Between a name and the home it is from. Unreserved in URLs (RFC 3986, section 2.3)."""

SUBJECT: Final = "sub"
"""Never given to another user by the same provider (OpenID Connect Core 1.0, section 2)."""

MAX_NAME: Final = 255

_PRINTABLE: Final = re.compile(r"[^\s/~\x00-\x1f\x7f]+")


class LoginRefusedError(Exception):
    """Nobody can be logged in by these claims; the message is for the person who tries to."""


def user_name(claims: Mapping[str, Any], claim: str, home_claim: str = "", home: str = "") -> str:
    """Return the hub's name of the user whom `claims` speak of.

    Args:
        claims: what the provider says of the user.
        claim: the one that names a user within a home.
        home_claim: the one that says which home vouched for the login; empty if there is only one.
        home: whose users keep their plain names; empty if nobody does.

    Raises:
        LoginRefusedError: a claim is missing, or says what no name can be.
    """
    name = _plain(claims, claim)
    if claim == "email" and claims.get("email_verified") is False:
        raise LoginRefusedError("your identity provider has not verified your e-mail address yet")
    if claim == SUBJECT and name != (subject := str(claims[claim])).lower():
        # Subjects differ by case, and may be URLs; the hub's names do not, and have no slash.
        name = f"{name.lower()}{MARK}{_digest(subject)}"
    if not home_claim:
        return name
    vouched = claims.get(home_claim)
    if not isinstance(vouched, str) or not vouched:
        raise LoginRefusedError(
            f"your identity provider does not say where you are from ({home_claim})"
        )
    return name if vouched == home else f"{name}{MARK}{_home(vouched)}"


def user_groups(groups: object) -> set[str]:
    """Return the groups that a claim names.

    One group may come as a bare text; read as a list, it would be a group for each of its letters.

    Raises:
        LoginRefusedError: it is neither a text nor a list of texts.
    """
    if groups is None:
        return set()
    listed = [groups] if isinstance(groups, str) else groups
    if not isinstance(listed, list | tuple | set) or not all(isinstance(g, str) for g in listed):
        raise LoginRefusedError(
            "your identity provider names your groups in a way that is not known"
        )
    return {group for group in listed if group}


def _plain(claims: Mapping[str, Any], claim: str) -> str:
    name = claims.get(claim)
    if not isinstance(name, str) or not name:
        raise LoginRefusedError(f"your identity provider does not tell your name ({claim})")
    if claim == SUBJECT:
        name = re.sub(r"/+", ".", name)
    if len(name) > MAX_NAME or not _PRINTABLE.fullmatch(name):
        raise LoginRefusedError(
            f"the name that your identity provider tells ({claim}) can be nobody's"
        )
    return name


def _home(vouched: str) -> str:
    """Return a short name of a home, another one for each."""
    host = urlsplit(vouched).hostname if "://" in vouched else vouched
    readable = re.sub(r"[^a-z0-9.]+", "-", (host or "").lower()).strip("-.")[:64]
    return readable if readable == vouched else f"{readable or 'home'}-{_digest(vouched)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:10]
