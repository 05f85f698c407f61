"""How MLflow's client in a session is known to the site's tracking server: plugins of it.

MLflow finds both by their entry points (``mlflow.request_auth_provider``,
``mlflow.default_experiment_provider``).
"""

import base64
import json
import os
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from mlflow.exceptions import MlflowException
from mlflow.tracking.client import MlflowClient
from mlflow.tracking.default_experiment.abstract_context import DefaultExperimentProvider
from mlflow.tracking.request_auth.abstract_request_auth_provider import RequestAuthProvider

NAME: Final = "casita"
"""Value of ``MLFLOW_TRACKING_AUTH``."""

TOKEN_FILE: Final = "/etc/cmsaf-secrets/mlflow_token"  # noqa: S105 - where it is, not what it is


def token_file() -> Path:
    """Return where the session's token is."""
    return Path(os.environ.get("CASITA_MLFLOW_TOKEN_FILE", TOKEN_FILE))


class TokenAuth:
    """Puts the token of the moment on each request to one server: the file is renewed."""

    def __init__(self, address: str) -> None:
        """Take the address of the server, the only one that gets the token."""
        self._server = urlsplit(address)[:2]

    def __call__(self, request: Any) -> Any:
        """Return the request, with the token if it goes to the server."""
        if urlsplit(request.url)[:2] == self._server:
            request.headers["Authorization"] = f"Bearer {_token()}"
        return request


class TokenAuthProvider(RequestAuthProvider):  # type: ignore[misc] # mlflow's types are not read
    """Makes `TokenAuth`, for the server that the session was told of."""

    def __init__(self) -> None:
        # At the import of MLflow: `set_tracking_uri` changes the variable.
        self._auth = TokenAuth(os.environ.get("MLFLOW_TRACKING_URI", ""))

    def get_name(self) -> str:
        """Return the value of ``MLFLOW_TRACKING_AUTH`` that asks for this."""
        return NAME

    def get_auth(self) -> TokenAuth:
        """Return what signs requests."""
        return self._auth


class OwnExperimentProvider(DefaultExperimentProvider):  # type: ignore[misc] # as above
    """Runs that name no experiment go to one of the user's own, by the user's name.

    MLflow's `Default` is everybody's to read and nobody's to write.
    """

    def in_context(self) -> bool:
        """Say whether this is a session with a token."""
        return os.environ.get("MLFLOW_TRACKING_AUTH") == NAME and token_file().exists()

    def get_experiment_id(self) -> str:
        """Return the user's experiment, made if it is not there."""
        client, name = MlflowClient(), _user(_token())
        found = client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        try:
            return str(client.create_experiment(name))
        except MlflowException:
            # Another process of the user was quicker.
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
            return str(found.experiment_id)


def _token() -> str:
    """Read the token.

    Raises:
        MlflowException: it is not there.
    """
    path = token_file()
    try:
        return path.read_text().strip()
    except OSError as error:
        raise MlflowException(
            f"this session has no token for the tracking server at {path}: {error.strerror}"
        ) from error


def _user(token: str) -> str:
    """Return whose token it is, as it says itself: the server is the one that checks it."""
    payload = token.split(".")[1]
    said = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return str(said["sub"])
