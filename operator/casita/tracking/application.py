"""MLflow itself, as the door leads to it: its own app with permissions, and the site's rules."""

import contextlib
import fcntl
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NoReturn

from starlette.types import ASGIApp

from casita.tracking import rules
from casita.tracking.settings import Settings

ADMIN_PASSWORD: Final = "MLFLOW_AUTH_ADMIN_PASSWORD"  # noqa: S105 - the name of a variable


def build(settings: Settings) -> ASGIApp:
    """Prepare the databases and return the app. It takes seconds, and may be tried again.

    Raises:
        MlflowException: a database cannot be used.
    """
    # MLflow reads these when it is imported, so it is imported here.
    variables = settings.mlflow_environment()
    os.environ.update(variables)
    # MLflow wants an admin with a password. Nobody can be it: passwords are not taken.
    os.environ.setdefault(ADMIN_PASSWORD, secrets.token_urlsafe(32))
    from mlflow.server import auth, handlers

    from casita.tracking.users import Users

    root = variables["_MLFLOW_SERVER_ARTIFACT_ROOT"]
    handlers._get_artifact_repository_for_uri = _no_other_place
    if not isinstance(auth.store, Users):
        auth.store = Users()
    with _alone():
        handlers.initialize_backend_stores(settings.database, settings.database, root)
        app: ASGIApp = auth.create_app()
    flask_app: Any = auth.app
    if rules.apply not in flask_app.before_request_funcs.get(None, ()):
        flask_app.before_request(rules.apply)
    return app


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Keep other processes of this server from changing the databases' tables meanwhile."""
    with Path(tempfile.gettempdir(), "casita-tracking.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _no_other_place(uri: str) -> NoReturn:
    """Stand for MLflow's own, which opens whatever place a user names, with the server's rights."""
    from mlflow.exceptions import MlflowException

    raise MlflowException.invalid_parameter_value(
        f"{uri!r} is not where this server keeps artifacts"
    )
