"""The hub's configuration: what the chart says, and tokens of services that no ConfigMap may hold.

The chart's `jupyterhub_config.py` calls this.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

PREFIX: Final = "JUPYTERHUB_SERVICE_TOKEN_"
"""Of the variable with the token of a service; its name follows in capitals."""


def load(config: Any, path: Path, environment: Mapping[str, str]) -> None:
    """Put a JSON file's configuration into `config`, and the tokens of its services.

    Args:
        config: of traitlets, by class and trait.
        path: of the file.
        environment: variables of the hub.
    """
    said: dict[str, dict[str, Any]] = json.loads(path.read_text())
    add_tokens(said.get("JupyterHub", {}).get("services", []), environment)
    for name, traits in said.items():
        config[name].update(traits)


def add_tokens(services: list[dict[str, Any]], environment: Mapping[str, str]) -> None:
    """Give each service the token that a variable has for it."""
    for service in services:
        token = environment.get(variable(service["name"]))
        if token:
            service["api_token"] = token


def variable(service: str) -> str:
    """Return the variable of a service's token."""
    return PREFIX + re.sub(r"[^A-Z0-9]", "_", service.upper())
