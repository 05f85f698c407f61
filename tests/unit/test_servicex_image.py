"""What casita adds to ServiceX, and who may use the broker."""

import base64
import hashlib
import importlib.util
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

IMAGES = Path(__file__).parents[2] / "images"


def module(path: str) -> ModuleType:
    """A module that an image holds outside of any package."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, IMAGES / path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def pod(**container: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "sidecar", "image": "s"}, container]}}


merged = module("servicex/deployment_patch.py").merged


def test_a_patch_finds_containers_and_variables_by_name() -> None:
    base = pod(name="transformer", env=[{"name": "KEY", "value": "secret"}, {"name": "A"}])
    patch = {
        "spec": {
            "hostNetwork": False,
            "containers": [{"name": "transformer", "env": [{"name": "KEY", "value": None}]}],
        }
    }
    wanted = pod(name="transformer", env=[{"name": "KEY"}, {"name": "A"}])
    wanted["spec"]["hostNetwork"] = False
    assert merged(base, patch) == wanted
    assert base["spec"]["containers"][1]["env"][0]["value"] == "secret"


def test_what_a_patch_adds_comes_last_and_without_its_removals() -> None:
    base = {"volumes": [{"name": "output"}]}
    patch = {"volumes": [{"name": "tmp", "emptyDir": {"medium": None}}], "labels": {"a": None}}
    assert merged(base, patch) == {
        "volumes": [{"name": "output"}, {"name": "tmp", "emptyDir": {}}],
        "labels": {},
    }


def test_a_list_without_names_is_replaced() -> None:
    assert merged({"drop": ["A", "B"], "args": ["x"]}, {"drop": ["ALL"]}) == {
        "drop": ["ALL"],
        "args": ["x"],
    }


def test_without_a_patch_a_deployment_stays_as_it_is() -> None:
    base = pod(name="transformer", args=["x"])
    assert merged(base, {}) == base


def test_the_broker_knows_one_user_by_a_salted_hash() -> None:
    said = module("rabbitmq/start.py").definitions("servicex", "pass", b"salt")
    (user,) = said["users"]
    stored = base64.b64decode(user["password_hash"])
    assert stored == b"salt" + hashlib.sha256(b"saltpass").digest()
    assert user["tags"] == []
    assert [each["user"] for each in said["permissions"]] == ["servicex"]
    assert "pass" not in said["users"][0].values()


def test_a_broker_without_a_password_does_not_start(tmp_path: Path) -> None:
    password_of = module("rabbitmq/start.py").password_of
    file = tmp_path / "password"
    file.write_text("of the file\n")
    assert password_of({"RABBITMQ_DEFAULT_PASS_FILE": str(file)}) == "of the file"
    file.write_text("\n")
    for environment in ({}, {"RABBITMQ_DEFAULT_PASS_FILE": str(file)}):
        with pytest.raises(SystemExit, match="RABBITMQ_DEFAULT_PASS"):
            password_of(environment)


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"POSTGRES_USER": "a; drop", "POSTGRES_PASSWORD": "x"}, "not a plain name: 'a; drop'"),
        ({"POSTGRES_PASSWORD": "it's"}, "characters that a URL"),
        ({}, "names no password"),
    ],
)
def test_a_database_refuses_what_its_statements_cannot_hold(
    environment: dict[str, str], complaint: str
) -> None:
    start = ["sh", str(IMAGES / "postgresql/start.sh")]
    done = subprocess.run(
        start, env={"PATH": "/usr/bin:/bin", **environment}, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert complaint in done.stderr


def test_an_unknown_part_of_servicex_is_refused_with_the_known_ones() -> None:
    start = ["sh", str(IMAGES / "servicex/start.sh"), "codegen", "atlasr21"]
    done = subprocess.run(start, capture_output=True, text=True)
    assert done.returncode == 64
    assert "'codegen atlasr21'" in done.stderr
    assert "uproot-raw|uproot|python" in done.stderr
