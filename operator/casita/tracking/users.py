"""MLflow's users: each is there when first seen, and none of them has a password that works."""

import secrets

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    RESOURCE_ALREADY_EXISTS,
    RESOURCE_DOES_NOT_EXIST,
    ErrorCode,
)
from mlflow.server.auth.entities import User
from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore

from casita.tracking.identity import CURRENT


class Users(SqlAlchemyStore):  # type: ignore[misc] # mlflow's types are not read
    """MLflow's store of users and permissions, which knows users by the door.

    Who is an admin is the hub's to say, for each request anew: what the database holds of it makes
    nobody one.
    """

    def get_user(self, username: str) -> User:
        """Return a user; whoever makes this request is made one."""
        identity = CURRENT.get()
        if identity is None or identity.name != username:
            return super().get_user(username)
        try:
            user = super().get_user(username)
        except MlflowException as error:
            if error.error_code != ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
                raise
            user = self._first_seen(username)
        user.is_admin = identity.admin
        return user

    def _first_seen(self, username: str) -> User:
        try:
            return self.create_user(username, secrets.token_urlsafe(32))
        except MlflowException as error:
            # Another request of the same user was quicker.
            if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
                raise
            return super().get_user(username)
