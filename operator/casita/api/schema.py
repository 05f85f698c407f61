"""From pydantic's JSON schema to the structural OpenAPI v3 schema that a CRD may hold.

The API server knows no ``$ref``, no ``null`` branch, no ``title`` and no closed objects (it prunes
what it does not know). Source: Kubernetes documentation, "Extend the Kubernetes API with
CustomResourceDefinitions", sections "Specifying a structural schema" and "Defaulting".
"""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

Schema = dict[str, Any]

_KEPT: Final = (
    "description",
    "type",
    "format",
    "enum",
    "default",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-validations",
    "required",
)
_DROPPED: Final = ("title", "additionalProperties", "properties", "items")
_MAX_INT32: Final = 2**31 - 1


class SchemaError(Exception):
    """A model says something that a structural schema cannot; the message says where and what."""


def structural_schema(model: type[BaseModel], *, defaults: bool) -> Schema:
    """Return the structural schema of a model.

    Args:
        model: the model, whose aliases are the fields' names.
        defaults: whether the API server shall fill in the models' defaults; it should in a spec,
            and not in a status, where what was not seen is absent.

    Raises:
        SchemaError: the model uses a keyword that has no counterpart.
    """
    raw = model.model_json_schema(by_alias=True)
    return _node(raw, raw.get("$defs", {}), defaults, model.__name__)


def _node(raw: Schema, definitions: Mapping[str, Schema], defaults: bool, path: str) -> Schema:
    plain = _inlined(raw, definitions, path)
    unknown = sorted(set(plain) - {*_KEPT, *_DROPPED})
    if unknown:
        raise SchemaError(f"{path}: no counterpart in a CRD for {', '.join(unknown)}")
    if plain.get("additionalProperties", False) is not False:
        raise SchemaError(f"{path}: use a list of named objects, not a map")
    if not defaults or plain.get("default", ...) is None:
        plain.pop("default", None)
    if plain.get("type") == "integer":
        plain["format"] = "int32" if plain.get("maximum", _MAX_INT32 + 1) <= _MAX_INT32 else "int64"
    node: Schema = {key: plain[key] for key in _KEPT if key in plain}
    if "items" in plain:
        node["items"] = _node(plain["items"], definitions, defaults, f"{path}[]")
    if "properties" in plain:
        node["properties"] = {
            name: _node(child, definitions, defaults, f"{path}.{name}")
            for name, child in plain["properties"].items()
        }
    return node


def _inlined(raw: Schema, definitions: Mapping[str, Schema], path: str) -> Schema:
    """Replace a reference and a choice with null by what they stand for.

    What stands beside them (a field's own description and default) wins over what they bring.
    """
    plain = dict(raw)
    if "anyOf" in plain:
        branches = [branch for branch in plain.pop("anyOf") if branch != {"type": "null"}]
        if len(branches) != 1:
            raise SchemaError(f"{path}: a field has one type, this one has {len(branches)}")
        plain = {**branches[0], **plain}
    if "$ref" in plain:
        target = definitions[plain.pop("$ref").removeprefix("#/$defs/")]
        plain = {**target, **plain}
    plain.pop("$defs", None)
    return plain
