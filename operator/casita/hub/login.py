"""Login by OpenID Connect, on oauthenticator, all of whose traits hold.

Beside them: names that no two people share (`casita.hub.identity`), and a user who is no longer
allowed is so at the next refresh, not only at the next login.
"""

from typing import Any

from oauthenticator.generic import GenericOAuthenticator
from tornado.web import HTTPError
from traitlets import Unicode

from casita.hub.identity import LoginRefusedError, user_groups, user_name


class OidcAuthenticator(GenericOAuthenticator):  # type: ignore[misc] # oauthenticator has no types
    """Logs users in by one provider, which may speak for many homes."""

    home_claim = Unicode(
        "",
        config=True,
        help="Claim that says which home vouched for a login, where the provider speaks for many "
        "and their names are not its own: `idp` at CILogon.",
    )
    home = Unicode("", config=True, help="The home whose users keep their plain names.")

    def user_info_to_username(self, user_info: dict[str, Any]) -> str:
        """Return whom the claims speak of; a page with the reason if that is nobody."""
        if callable(self.username_claim):
            return str(super().user_info_to_username(user_info))
        try:
            return user_name(user_info, self.username_claim, self.home_claim, self.home)
        except LoginRefusedError as refused:
            raise self._page(refused) from refused

    async def get_user_groups(self, auth_state: dict[str, Any]) -> set[str]:
        """Return the groups of the user, as the provider names them."""
        if callable(self.auth_state_groups_key):
            return set(await super().get_user_groups(auth_state))
        try:
            return user_groups(_claim(auth_state, self.auth_state_groups_key))
        except LoginRefusedError as refused:
            raise self._page(refused) from refused

    async def refresh_user(self, user: Any, handler: Any = None, **options: Any) -> Any:
        """Return the user's claims anew; `False`, for a new login, if the user is allowed no more.

        The hub asks `check_allowed` at logins alone.
        """
        fresh = await super().refresh_user(user, handler, **options)
        if not isinstance(fresh, dict):
            return fresh
        if fresh["name"] != user.name:
            self.log.warning("%s is %s to the provider now", user.name, fresh["name"])
            return False
        if not await self._is_allowed(fresh):
            self.log.warning("%s is allowed no more", user.name)
            return False
        return fresh

    async def _is_allowed(self, model: dict[str, Any]) -> bool:
        if model["name"] in self.blocked_users:
            return False
        try:
            return bool(model.get("admin") or await self.check_allowed(model["name"], model))
        except HTTPError as error:
            if error.status_code == 403:
                return False
            raise

    def _page(self, refused: LoginRefusedError) -> HTTPError:
        self.log.warning("login refused: %s", refused)
        error = HTTPError(403, "%s", refused)
        error.jupyterhub_message = f"You cannot be logged in: {refused}. Ask an admin of this site."
        return error


def _claim(found: object, key: str) -> object:
    """Return what a key of nested claims leads to; names of claims may have dots themselves."""
    if not isinstance(found, dict):
        return None
    if key in found:
        return found[key]
    first, _, rest = key.partition(".")
    return _claim(found.get(first), rest) if rest else None
