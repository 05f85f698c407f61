"""The CRD's schema and the models say the same, so that nothing passes one and breaks the other."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError

from casita.api.crd import crd
from casita.api.schema import SchemaError, structural_schema
from casita.api.session import ApiModel, SessionSpec
from casita.api.status import SessionStatus

ROOT = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
SCHEMAS = {SessionSpec: ROOT["properties"]["spec"], SessionStatus: ROOT["properties"]["status"]}

Errors = Iterator[jsonschema.ValidationError]


def _pattern(_: object, pattern: str, value: object, __: object) -> Errors:
    # As RE2 in the API server and as the models: "$" is the end of the text, not of a line.
    if isinstance(value, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), value):
        yield jsonschema.ValidationError(f"{value!r} does not match {pattern!r}")


def _unique_by(_: object, keys: list[str], value: object, __: object) -> Errors:
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        found = [tuple(str(item.get(key)) for key in keys) for item in value]
        if len(set(found)) != len(found):
            yield jsonschema.ValidationError(f"{keys} are not unique: {found}")


ApiServer = jsonschema.validators.extend(  # type: ignore[no-untyped-call] # stubs give it no types
    jsonschema.Draft202012Validator,
    {"pattern": _pattern, "x-kubernetes-list-map-keys": _unique_by},
)
"""Validates as the API server does, but for the rules in CEL."""

WRONG_TYPES: st.SearchStrategy[Any] = st.sampled_from(
    [True, "7", 0.5, [], {}, "", [1], [{}], ["pool"]]
)


def good(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that the schema accepts, the bounds among them."""
    return _good(json.dumps(schema))


def bad(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values at and beyond the bounds of the schema, and of other types."""
    return _bad(json.dumps(schema))


# Kept by the schema's text, for building a strategy takes longer than drawing from it.
@cache
def _good(text: str) -> st.SearchStrategy[Any]:
    schema = json.loads(text)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema["type"] == "integer":
        low, high = schema["minimum"], schema.get("maximum", 2**53)
        return st.integers(low, high) | st.sampled_from([low, high])
    if schema["type"] == "string":
        longest = schema["maxLength"]
        if schema.get("format") == "date-time":
            # The model leaves the form of a time to the operator, which is the only one to write.
            return st.datetimes(min_value=datetime(2000, 1, 1)).map(
                lambda moment: f"{moment:%Y-%m-%dT%H:%M:%S}Z"
            )
        if "pattern" in schema:
            matching = st.from_regex(re.sub(r"\$$", r"\\Z", schema["pattern"]), fullmatch=True)
            return matching.filter(lambda value: len(value) <= longest)
        return st.text(max_size=min(longest, 20)) | st.just("a" * longest)
    if schema["type"] == "array":
        return st.lists(good(schema["items"]), max_size=3)
    required = schema.get("required", [])
    fields = {name: good(field) for name, field in schema["properties"].items()}
    return st.fixed_dictionaries(
        {name: fields[name] for name in required},
        optional={name: field for name, field in fields.items() if name not in required},
    )


@cache
def _bad(text: str) -> st.SearchStrategy[Any]:
    schema = json.loads(text)
    if schema["type"] == "integer":
        edges = [schema["minimum"] - 1, schema.get("maximum", 0) + 1, -(2**31), 2**40]
        return st.sampled_from(edges) | WRONG_TYPES
    if schema["type"] == "string":
        longest = schema.get("maxLength", 16)
        if "format" in schema:
            return st.just("9" * (longest + 1)) | WRONG_TYPES.filter(lambda wrong: wrong != "")
        edges = [
            "a" * longest,
            "a" * (longest + 1),
            "a\n",
            "\n",
            "$ENV(X)",
            "ä",
            "\0",
            "/" * longest,
        ]
        return st.sampled_from(edges) | WRONG_TYPES
    if schema["type"] == "array":
        full = st.lists(good(schema["items"]), min_size=2, max_size=schema["maxItems"] + 1)
        return full | st.lists(bad(schema["items"]), min_size=1, max_size=2) | WRONG_TYPES
    return WRONG_TYPES | spoilt(schema)


@st.composite
def spoilt(draw: st.DrawFn, schema: dict[str, Any]) -> dict[str, Any]:
    """An accepted object with one field taken away or replaced."""
    value: dict[str, Any] = dict(draw(good(schema)))
    name = draw(st.sampled_from(sorted(schema["properties"])))
    if draw(st.booleans()):
        value.pop(name, None)
    else:
        value[name] = draw(bad(schema["properties"][name]))
    return value


def refusals(model: type[BaseModel], value: object) -> list[str]:
    """The kinds of error that the model finds."""
    try:
        model.model_validate(value)
    except ValidationError as error:
        return [found["type"] for found in error.errors()]
    return []


@pytest.mark.parametrize("model", SCHEMAS, ids=lambda model: model.__name__)
def test_what_the_schema_accepts_the_model_accepts(model: type[BaseModel]) -> None:
    @given(good(SCHEMAS[model]))
    @settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
    def holds(value: dict[str, Any]) -> None:
        agree(model, value)

    holds()


@pytest.mark.parametrize("model", SCHEMAS, ids=lambda model: model.__name__)
def test_what_the_schema_refuses_the_model_refuses(model: type[BaseModel]) -> None:
    @given(spoilt(SCHEMAS[model]))
    @settings(
        max_examples=200,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    def holds(value: dict[str, Any]) -> None:
        agree(model, value)

    holds()


def agree(model: type[BaseModel], value: dict[str, Any]) -> None:
    found = [error.message for error in ApiServer(SCHEMAS[model]).iter_errors(value)]
    kinds = refusals(model, value)
    if found:
        assert kinds, f"only the schema refuses: {found}"
    else:
        # A model's validator ("value_error") stands for a rule in CEL, see the table below.
        assert set(kinds) <= {"value_error"}, "only the model refuses"


POOL = {"pool": "p", "max": 1}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"user": "root"}, "reserved"),
        ({"user": "a", "workers": [{**POOL, "min": 2}]}, "min"),
        ({"user": "a", "workers": [{**POOL, "requirements": "true"}]}, "HTCondor"),
        ({"user": "a", "workers": [{**POOL, "accountingGroup": "g"}]}, "HTCondor"),
        ({"user": "a", "workers": [POOL, POOL]}, "unique"),
    ],
)
def test_every_rule_in_cel_is_also_a_rule_of_the_model(spec: dict[str, Any], message: str) -> None:
    assert set(refusals(SessionSpec, spec)) == {"value_error"}
    with pytest.raises(ValidationError, match=message):
        SessionSpec.model_validate(spec)


def test_every_rule_of_the_spec_is_in_the_table_above() -> None:
    rules = sum(len(schema.get("x-kubernetes-validations", ())) for schema in nodes(ROOT))
    # Four in CEL; of them the unchangeable user needs the old object and is no rule of the model.
    assert rules == 4


def nodes(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    for child in schema.get("properties", {}).values():
        yield from nodes(child)
    if "items" in schema:
        yield from nodes(schema["items"])


def defaulted(schema: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """Fill in defaults as the API server does: the object's own first, then those inside it."""
    result = dict(value)
    for name, field in schema.get("properties", {}).items():
        if name not in result and "default" in field:
            result[name] = field["default"]
        if isinstance(result.get(name), dict):
            result[name] = defaulted(field, result[name])
        if isinstance(result.get(name), list):
            result[name] = [defaulted(field["items"], item) for item in result[name]]
    return result


@pytest.mark.parametrize(
    "spec",
    [
        {"user": "alice"},
        {"user": "alice", "scaling": {}, "scheduler": {"cores": 2}},
        {"user": "alice", "workers": [{"pool": "p", "max": 3}]},
    ],
)
def test_the_api_server_fills_in_what_the_model_would(spec: dict[str, Any]) -> None:
    filled = defaulted(SCHEMAS[SessionSpec], spec)
    model = SessionSpec.model_validate(spec)
    assert filled == model.model_dump(mode="json", by_alias=True, exclude_none=True)


def test_fields_that_scaling_and_reading_need_are_always_there() -> None:
    filled = defaulted(SCHEMAS[SessionSpec], {"user": "alice"})
    assert filled["replicas"] == 0
    assert filled["scaling"]["mode"] == "Adaptive"
    assert filled["scheduler"] == {"cores": 1, "memoryMiB": 2048}


class TwoTypes(ApiModel):
    value: int | str


class Map(ApiModel):
    value: dict[str, str]


class Exclusive(ApiModel):
    value: int = Field(gt=0)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (TwoTypes, "TwoTypes.value: a field has one type, this one has 2"),
        (Map, "Map.value: use a list of named objects"),
        (Exclusive, "Exclusive.value: no counterpart in a CRD for exclusiveMinimum"),
    ],
)
def test_what_a_crd_cannot_say_is_an_error(model: type[BaseModel], message: str) -> None:
    with pytest.raises(SchemaError, match=re.escape(message)):
        structural_schema(model, defaults=True)
