"""Browsers: logged in by JupyterHub's OAuth, and known afterwards by a cookie of their own.

The cookie holds the token that the hub gave, signed. Who it belongs to the hub is asked again and
again, so that whom it does not know any more is out within `CACHE_SECONDS`.
"""

import logging
import secrets
from typing import Any, Final
from urllib.parse import urlencode

from itsdangerous import BadSignature, URLSafeTimedSerializer
from jupyterhub.services.auth import HubOAuth
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from tornado.web import HTTPError

from casita.hub.names import session_user
from casita.tracking.identity import Identity
from casita.tracking.settings import SERVICE, Settings

logger = logging.getLogger("casita.tracking")

CALLBACK: Final = "/oauth_callback"
CACHE_SECONDS: Final = 30
LOGIN_SECONDS: Final = 600
"""How long a login may take, from the hub's page to the way back."""

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class HubSilentError(Exception):
    """The hub cannot be asked who somebody is."""


class Browsers:
    """Knows browsers by their cookies, and sends those that have none to the hub."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client = f"service-{SERVICE}"
        self._hub = HubOAuth(
            api_url=settings.hub_api_url,
            api_token=settings.hub_token,
            base_url=settings.prefix,
            hub_prefix="/hub/",
            oauth_client_id=self._client,
            oauth_redirect_uri=f"{settings.prefix}{CALLBACK}",
            access_scopes={f"access:services!service={SERVICE}"},
            cache_max_age=CACHE_SECONDS,
        )
        self._tokens = URLSafeTimedSerializer(settings.secret, salt="casita tracking token")
        self._logins = URLSafeTimedSerializer(settings.secret, salt="casita tracking login")

    async def identify(self, request: Request) -> Identity | None:
        """Return who sits at the browser, or nobody.

        Raises:
            HubSilentError: the hub does not answer.
        """
        token = _read(self._tokens, request.cookies.get(self._client, ""))
        return await self._owner(token, request) if token else None

    async def _owner(self, token: str, request: Request) -> Identity | None:
        session = request.cookies.get("jupyterhub-session-id", "")
        try:
            found = await self._hub.user_for_token(token, session_id=session, sync=False)
        except HTTPError as error:
            raise HubSilentError(str(error.log_message)) from error
        if found is None or found.get("kind") != "user":
            return None
        if not self._hub.check_scopes(self._hub.access_scopes, found):
            return None
        return Identity(session_user(found["name"]), admin=bool(found.get("admin")))

    def login(self, request: Request) -> Response:
        """Send a browser to the hub, to come back to the page that it asked for."""
        state = secrets.token_urlsafe(16)
        verifier, challenge, method = self._hub.generate_pkce_code_challenge()
        query = f"?{request.url.query}" if request.url.query else ""
        login = {"state": state, "verifier": verifier, "next": request.scope["path"] + query}
        asked = urlencode(
            {
                "client_id": self._client,
                "redirect_uri": self._hub.oauth_redirect_uri,
                "response_type": "code",
                "state": state,
                "code_challenge": challenge,
                "code_challenge_method": method,
            }
        )
        response = RedirectResponse(f"{self._hub.oauth_authorization_url}?{asked}", 302)
        value = str(self._logins.dumps(login))
        self._set(response, self._login_cookie(state), value, max_age=LOGIN_SECONDS)
        return response

    async def callback(self, request: Request) -> Response:
        """Take a browser that comes back from the hub.

        Raises:
            HubSilentError: the hub does not answer, or refuses the code that it gave.
        """
        state, code = (request.query_params.get(name, "") for name in ("state", "code"))
        name = self._login_cookie(state)
        login = _read(self._logins, request.cookies.get(name, ""), LOGIN_SECONDS)
        if not login or not code or not secrets.compare_digest(login["state"], state):
            return PlainTextResponse(
                "This login was not begun in this browser, or too long ago. Open the page again.",
                403,
            )
        try:
            token = await self._hub.token_for_code(
                code, code_verifier=login["verifier"], sync=False
            )
        except HTTPError as error:
            raise HubSilentError(str(error.log_message)) from error
        identity = await self._owner(token, request)
        if identity is None:
            return PlainTextResponse("You may not use this service: ask an admin.", 403)
        logger.info("%s logged in", identity.name)
        response = RedirectResponse(login["next"], 302)
        self._set(response, self._client, str(self._tokens.dumps(token)))
        response.delete_cookie(name, path=f"{self._settings.prefix}/")
        return response

    def same_origin(self, request: Request) -> bool:
        """Say whether a page of this very site asks; other sites' pages have the cookie, too.

        By Fetch Metadata, which browsers send over HTTPS, and before it by the origin.
        """
        site = request.headers.get("sec-fetch-site")
        if request.method in _SAFE_METHODS:
            opened = request.headers.get("sec-fetch-mode") == "navigate"
            return opened or site in {None, "same-origin", "none"}
        if site not in {None, "same-origin"}:
            return False
        return request.headers.get("origin") == self._settings.origin

    def _login_cookie(self, state: str) -> str:
        """One for each login: several tabs may be opened at once."""
        return f"{self._client}-login-{state[:8]}"

    def _set(self, response: Response, name: str, value: str, max_age: int | None = None) -> None:
        response.set_cookie(
            name,
            value,
            max_age=max_age,
            path=f"{self._settings.prefix}/",
            secure=self._settings.public_url.startswith("https:"),
            httponly=True,
            samesite="lax",
        )


def _read(serializer: URLSafeTimedSerializer, text: str, seconds: int | None = None) -> Any:
    try:
        return serializer.loads(text, max_age=seconds)
    except BadSignature:
        return None
