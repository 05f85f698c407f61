"""The CRD keeps the rules of the Kubernetes API conventions, and its copies are up to date."""

import copy
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from casita.api import reference
from casita.api.conditions import DESCRIPTIONS, REASONS, ConditionType, Reason
from casita.api.crd import crd, render
from casita.api.generated import run_generator
from casita.api.session import SessionSpec

REPOSITORY = Path(__file__).parents[2]
CRD_FILE = REPOSITORY / "charts/casita/charts/operator/files/analysissession-crd.yaml"
REFERENCE_FILE = REPOSITORY / "docs/reference/analysissession.md"

MAX_BYTES = 100_000
COUNTS = {"cores", "min", "max", "replicas", "desired", "requested", "ready", "observedGeneration"}
"""Integers that count things, and so have no unit."""
KEYWORDS = {
    *("description", "type", "format", "enum", "default", "required", "properties", "items"),
    *("minimum", "maximum", "minLength", "maxLength", "pattern", "minItems", "maxItems"),
    *("x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-validations"),
}

Schema = dict[str, Any]
Field = tuple[str, Schema]


def version(definition: Schema) -> Schema:
    versions: list[Schema] = definition["spec"]["versions"]
    return versions[0]


def fields(schema: Schema, path: str) -> Iterator[Field]:
    """Yield every field below `path`, entries of lists as ``field[]``."""
    for name, child in schema.get("properties", {}).items():
        yield f"{path}.{name}", child
        yield from fields(child, f"{path}.{name}")
    if "items" in schema:
        yield f"{path}[]", schema["items"]
        yield from fields(schema["items"], f"{path}[]")


def keywords(_: str, schema: Schema) -> Iterator[str]:
    yield from (f"keyword {key}" for key in sorted(set(schema) - KEYWORDS))


def described(_: str, schema: Schema) -> Iterator[str]:
    if not re.match(r"^[A-Za-z].*\S", schema.get("description", "")):
        yield "has no description"


def kinds(_: str, schema: Schema) -> Iterator[str]:
    if schema["type"] not in {"string", "integer", "array", "object"}:
        yield f"type {schema['type']}: use an enum, an integer with a unit, or a list"


def bounded(_: str, schema: Schema) -> Iterator[str]:
    needed = {"string": ["maxLength"], "array": ["maxItems"], "integer": ["minimum", "maximum"]}
    if "enum" in schema:
        return
    for key in needed.get(schema["type"], []):
        if key not in schema and not (key == "maximum" and schema["format"] == "int64"):
            yield f"has no {key}"
    if schema["type"] == "object" and not schema.get("properties"):
        yield "is a map: use a list of named objects"


def sized(_: str, schema: Schema) -> Iterator[str]:
    if schema["type"] == "integer" and schema.get("format") not in {"int32", "int64"}:
        yield "integer without a size"


def lists(_: str, schema: Schema) -> Iterator[str]:
    if schema["type"] != "array":
        return
    kind = schema.get("x-kubernetes-list-type")
    if kind not in {"map", "set", "atomic"}:
        yield "list without a type"
    if schema["items"]["type"] == "object" and kind != "map":
        yield "list of objects without a key"
    for key in schema.get("x-kubernetes-list-map-keys", []):
        if key not in schema["items"].get("required", []):
            yield f"the list's key {key} is not required"


def named(path: str, schema: Schema) -> Iterator[str]:
    name = path.split(".")[-1].removesuffix("[]")
    if not re.fullmatch(r"[a-z][A-Za-z0-9]*", name):
        yield "name is not camelCase"
    if name == "phase":
        yield "conditions, no phase"
    if re.search(r"(?i)password|token|secret|key$", name) and not name.endswith("Name"):
        yield "secrets are named, not held"
    counted = name in COUNTS or re.search(r"(Seconds|MiB|Port)$", name)
    if schema["type"] == "integer" and not counted:
        yield "integer without a unit in its name"


def enums(_: str, schema: Schema) -> Iterator[str]:
    for value in schema.get("enum", []):
        if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", value):
            yield f"value {value} is not CamelCase"


def rules(_: str, schema: Schema) -> Iterator[str]:
    for rule in schema.get("x-kubernetes-validations", []):
        if not rule.get("message"):
            yield f"rule {rule['rule']} has no message"


CHECKS: tuple[Callable[[str, Schema], Iterator[str]], ...] = (
    *(keywords, described, kinds, bounded, sized, lists, named, enums, rules),
)


def problems(definition: Schema) -> list[str]:
    """Return what in the schema breaks the conventions, with the field's path."""
    root = version(definition)["schema"]["openAPIV3Schema"]["properties"]
    found = [
        f"{path}: {problem}"
        for part in ("spec", "status")
        for path, schema in [(part, root[part]), *fields(root[part], part)]
        for check in CHECKS
        for problem in check(path, schema)
    ]
    if next(iter(root["status"]["properties"])) != "conditions":
        found.append("status: conditions come first")
    return found


def test_the_crd_keeps_the_conventions() -> None:
    assert problems(crd()) == []


@pytest.mark.parametrize(
    ("path", "change", "problem"),
    [
        ("spec.user", {"maxLength": None}, "spec.user: has no maxLength"),
        ("spec.user", {"description": None}, "spec.user: has no description"),
        ("spec.replicas", {"maximum": None}, "spec.replicas: has no maximum"),
        ("spec.replicas", {"format": None}, "spec.replicas: integer without a size"),
        ("spec.replicas", {"type": "number"}, "spec.replicas: type number"),
        ("spec.workers", {"maxItems": None}, "spec.workers: has no maxItems"),
        ("spec.workers", {"x-kubernetes-list-type": None}, "spec.workers: list without a type"),
        ("spec.lifecycle", {"enum": ["running"]}, "spec.lifecycle: value running"),
        ("spec.paused", {"type": "boolean", "description": "On."}, "spec.paused: type boolean"),
        ("spec.timeout", {"type": "integer", "format": "int32"}, "spec.timeout: integer without a"),
        ("spec.labels", {"type": "object", "description": "Any."}, "spec.labels: is a map"),
        ("status.phase", {"type": "string"}, "status.phase: conditions, no phase"),
        ("status.token", {"type": "string"}, "status.token: secrets are named"),
        ("status.x", {"anyOf": [{}], "type": "string"}, "status.x: keyword anyOf"),
    ],
)
def test_the_lint_sees_what_it_is_there_for(path: str, change: Schema, problem: str) -> None:
    definition = copy.deepcopy(crd())
    part, name = path.split(".")
    root = version(definition)["schema"]["openAPIV3Schema"]["properties"]
    merged = {**root[part]["properties"].get(name, {}), **change}
    root[part]["properties"][name] = {key: value for key, value in merged.items() if value}
    assert any(found.startswith(problem) for found in problems(definition))


def test_the_crd_fits_into_every_store() -> None:
    assert len(render().encode()) < MAX_BYTES


def test_the_yaml_is_the_definition_in_plain_yaml() -> None:
    assert yaml.safe_load(render()) == crd()
    assert not re.search(r"^[^'\"|]*: [&*]", render(), re.MULTILINE), "anchors"


@pytest.mark.parametrize(
    ("make", "file"), [(render, CRD_FILE), (reference.render, REFERENCE_FILE)], ids=["crd", "docs"]
)
def test_the_copy_in_the_repository_is_up_to_date(make: Callable[[], str], file: Path) -> None:
    assert run_generator("", make(), ["--check", str(file)]) == 0


def test_a_copy_out_of_date_is_told_with_the_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "deep" / "file"
    assert run_generator("", "new\n", ["--check", str(file)]) == 1
    assert run_generator("", "old\n", ["--write", str(file)]) == 0
    assert run_generator("", "new\n", ["--check", str(file)]) == 1
    told = capsys.readouterr().err
    assert "-old" in told
    assert "+new" in told
    assert f"{file} is not up to date" in told
    assert run_generator("", "new\n", []) == 0
    assert capsys.readouterr().out == "new\n"


def test_users_find_their_way() -> None:
    names = crd()["spec"]["names"]
    assert names["shortNames"] == ["asess"]
    assert names["categories"] == ["casita"]
    assert crd()["spec"]["scope"] == "Namespaced"
    shown = [column["name"] for column in version(crd())["additionalPrinterColumns"]]
    assert shown == ["User", "Ready", "Reason", "Workers", "Scheduler", "Expires", "Age"]
    wide = [c["name"] for c in version(crd())["additionalPrinterColumns"] if c.get("priority")]
    assert wide == ["Scheduler", "Expires"]


def test_no_date_column_shows_a_time_to_come() -> None:
    # kubectl prints a date as the time since then, "<invalid>" if it is still to come.
    dates = [c for c in version(crd())["additionalPrinterColumns"] if c["type"] == "date"]
    assert [column["jsonPath"] for column in dates] == [".metadata.creationTimestamp"]


def resolve(path: str) -> Schema | None:
    """Return the schema at a JSONPath of the kinds that the CRD uses."""
    schema = version(crd())["schema"]["openAPIV3Schema"]
    for name in re.findall(r"\.(\w+)", re.sub(r"\[.*?\]", "", path)):
        schema = schema.get("items", schema).get("properties", {}).get(name)
        if schema is None:
            return None
    return dict(schema)


def test_every_path_that_the_crd_names_exists() -> None:
    one = version(crd())
    scale = one["subresources"]["scale"]
    paths = [
        *(column["jsonPath"] for column in one["additionalPrinterColumns"]),
        *(selectable["jsonPath"] for selectable in one["selectableFields"]),
        *scale.values(),
    ]
    missing = [path for path in paths if resolve(path) is None and ".metadata." not in path]
    assert missing == []
    assert [selectable["jsonPath"] for selectable in one["selectableFields"]] == [".spec.user"]


def test_the_scale_subresource_always_finds_a_number() -> None:
    scale = version(crd())["subresources"]["scale"]
    replicas = resolve(scale["specReplicasPath"])
    selector = resolve(scale["labelSelectorPath"])
    assert replicas is not None
    assert replicas["default"] == 0
    assert selector is not None
    assert selector["type"] == "string"
    assert version(crd())["subresources"]["status"] == {}


def test_a_status_gets_no_values_that_nobody_saw() -> None:
    status = version(crd())["schema"]["openAPIV3Schema"]["properties"]["status"]
    assert [path for path, schema in fields(status, "status") if "default" in schema] == []


def test_explain_tells_what_each_condition_and_reason_means() -> None:
    kind, reason = resolve(".status.conditions.type"), resolve(".status.conditions.reason")
    assert kind is not None
    assert reason is not None
    for word, meaning in DESCRIPTIONS.items():
        assert f"- {word}: {meaning}" in kind["description"]
    for why, meaning in REASONS.items():
        assert f"- {why}: {meaning}" in reason["description"]
    assert set(DESCRIPTIONS) == set(ConditionType)
    assert set(REASONS) == set(Reason)


def test_every_reason_fits_the_schema() -> None:
    schema = resolve(".status.conditions.reason")
    assert schema is not None
    for reason in Reason:
        assert re.fullmatch(schema["pattern"], reason)
        assert len(reason) <= schema["maxLength"]


def test_the_example_in_the_reference_is_a_valid_session() -> None:
    block = re.search(r"```yaml\n(.*?)```", reference.render(), re.DOTALL)
    assert block is not None
    session = yaml.safe_load(block[1])
    assert SessionSpec.model_validate(session["spec"]).user == session["metadata"]["name"]


def test_the_reference_names_every_field() -> None:
    page = reference.render()
    root = version(crd())["schema"]["openAPIV3Schema"]["properties"]
    paths = [path for part in ("spec", "status") for path, _ in fields(root[part], part)]
    assert [path for path in paths if not path.endswith("[]") and f"`{path}`" not in page] == []
