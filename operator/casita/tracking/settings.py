"""What the tracking server is told of its site, and what MLflow is told in turn. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

SERVICE: Final = "mlflow"
"""Name of the hub's service, and the audience of sessions' tokens."""

ALWAYS: Final[Mapping[str, str]] = {
    # Nothing is told to MLflow's makers, by the server or by the pages.
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # A route that nobody thought of is refused.
    "MLFLOW_BASIC_AUTH_FAIL_CLOSED": "true",
    # No processes of users beside the server.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "_MLFLOW_IN_JOB_EXECUTOR": "false",
    "MLFLOW_ENABLE_WORKSPACES": "false",
    # What `mlflow server` tells the program that listens; itself would be a second, as large.
    "_MLFLOW_SGI_NAME": "uvicorn",
    "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
    "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the server stands.

    Attributes:
        prefix: path before all of its own, without a slash at the end.
        public_url: the hub's, as browsers know it.
        hub_api_url: the hub's API, inside the cluster; empty where there is no hub, and so no
            browser is let in.
        issuer: who mints sessions' tokens: the site's domain.
        token_key: file of the key that signs them.
        hub_token: by which the server is known to the hub.
        secret: signs cookies.
        database: URL of MLflow's database.
        artifacts: where artifacts are kept, a folder or an address of an object store.
        allowed_hosts: names, with ports, by which the server may be asked.
    """

    prefix: str
    public_url: str
    hub_api_url: str
    issuer: str
    token_key: Path
    hub_token: str = field(repr=False)
    secret: str = field(repr=False)
    database: str = field(repr=False)
    artifacts: str
    allowed_hosts: tuple[str, ...]

    @property
    def origin(self) -> str:
        """Origin of pages that may change something (RFC 6454, section 6.2)."""
        return self.public_url.rstrip("/")

    def mlflow_environment(self) -> dict[str, str]:
        """Return the variables that MLflow reads when it is first imported."""
        return {
            **ALWAYS,
            "_MLFLOW_SERVER_FILE_STORE": self.database,
            "_MLFLOW_SERVER_REGISTRY_STORE": self.database,
            "_MLFLOW_SERVER_ARTIFACT_DESTINATION": self.artifacts,
            "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(self.allowed_hosts),
            "MLFLOW_FLASK_SERVER_SECRET_KEY": self.secret,
        }
