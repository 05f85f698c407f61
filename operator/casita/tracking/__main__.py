"""``python -m casita.tracking``: the tracking server, in one process with its door."""

import argparse
import logging
import os
from functools import partial
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from casita.tracking.application import build
from casita.tracking.door import Door
from casita.tracking.settings import Settings


def settings() -> Settings:
    """Return the settings, of variables: workers of one server read them each for itself."""
    given = os.environ
    return Settings(
        prefix=given["CASITA_MLFLOW_PREFIX"].rstrip("/"),
        public_url=given.get("CASITA_MLFLOW_PUBLIC_URL", ""),
        hub_api_url=given.get("JUPYTERHUB_API_URL", ""),
        issuer=given["CASITA_MLFLOW_ISSUER"],
        token_key=Path(given["CASITA_MLFLOW_TOKEN_KEY_FILE"]),
        hub_token=given.get("JUPYTERHUB_API_TOKEN", ""),
        secret=given["MLFLOW_FLASK_SERVER_SECRET_KEY"],
        database=given["CASITA_MLFLOW_DATABASE"],
        artifacts=given["CASITA_MLFLOW_ARTIFACTS"],
        allowed_hosts=tuple(given["CASITA_MLFLOW_ALLOWED_HOSTS"].split(",")),
    )


def application() -> ASGIApp:
    """Return the door, with MLflow behind it."""
    logging.basicConfig(level=logging.INFO, format="[%(levelname)s %(name)s] %(message)s")
    found = settings()
    return Door(found, partial(build, found))


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(prog="python -m casita.tracking", description=__doc__)
    parser.add_argument("--address", default="0.0.0.0", help="to listen at")  # noqa: S104
    parser.add_argument("--port", type=int, default=5000, help="to listen at")
    parser.add_argument("--workers", type=int, default=1, help="processes, each of some 300 MiB")
    arguments = parser.parse_args()
    uvicorn.run(
        "casita.tracking.__main__:application",
        factory=True,
        host=arguments.address,
        port=arguments.port,
        workers=arguments.workers,
        # The door tells who changed what; addresses of pages may hold a login's code.
        access_log=False,
        proxy_headers=False,
        server_header=False,
    )


if __name__ == "__main__":
    main()
