"""The hub takes its configuration from the chart, and tokens of services from its variables."""

import json
from pathlib import Path

from traitlets.config import Config

from casita.hub.configuration import load, variable


def test_a_service_gets_the_token_that_a_variable_has_for_it(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    services = [{"name": "mlflow", "url": "http://x:5000"}, {"name": "cull", "command": "x"}]
    said = {"JupyterHub": {"services": services, "db_url": "x"}, "Spawner": {"cmd": ["y"]}}
    file.write_text(json.dumps(said))
    config = Config()
    load(config, file, {"JUPYTERHUB_SERVICE_TOKEN_MLFLOW": "secret", "OTHER": "z"})
    assert config.JupyterHub.services == [{**services[0], "api_token": "secret"}, services[1]]
    assert config.JupyterHub.db_url == "x"
    assert config.Spawner.cmd == ["y"]


def test_a_name_becomes_a_variables() -> None:
    assert variable("my-reports.2") == "JUPYTERHUB_SERVICE_TOKEN_MY_REPORTS_2"
