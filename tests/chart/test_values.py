"""Values, schema and reference say the same; what they do not know is refused."""

from collections.abc import Iterator
from typing import Any

import pytest

from casita.config import Batch, BatchWorkers, DataCache, InstantWorker, Profile, Quotas, Site
from tests.chart import scenarios, values_reference, values_schema
from tests.chart.helm import ChartError, render
from tests.chart.values_file import Schema, Value, resolve, schema, values
from tests.chart.values_schema import PARTS

POOL = {"collector": "x:1", "schedd": "x", "trust_domain": "x", "uid_domain": "x"}
ALL_VALUES = values()
LEAVES = [value for value in ALL_VALUES if not value.is_section]


def test_the_schema_that_helm_reads_is_the_one_that_people_write() -> None:
    assert values_schema.TARGET.read_text() == values_schema.generate(), (
        "run `python -m tests.chart.values_schema`"
    )


def test_the_reference_is_up_to_date() -> None:
    assert values_reference.TARGET.read_text() == values_reference.generate(), (
        "run `python -m tests.chart.values_reference`"
    )


@pytest.mark.parametrize("value", LEAVES, ids=lambda value: value.name)
def test_every_value_is_documented_and_typed(value: Value) -> None:
    assert value.documented, f"{value.name}: no comment that starts with '# --'"
    assert value.comment.endswith(".")
    assert value.schema, f"{value.name}: not in values.schema.yaml"


def test_only_values_enter_the_reference() -> None:
    assert [value.name for value in ALL_VALUES if value.is_section and value.documented] == []


def test_everything_that_the_schema_knows_has_a_default() -> None:
    known = set(_paths(schema(), ()))
    written = {value.path for value in ALL_VALUES}
    assert known - written == {(part, "global") for part in PARTS}


def _paths(within: Schema, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Paths of all properties, as far as values.yaml lists them and not a Python model."""
    for name, child in within.get("properties", {}).items():
        here = (*path, name)
        yield here
        if any(value.path == here and not value.is_section for value in ALL_VALUES):
            continue
        known = resolve(child)
        if isinstance(known.get("additionalProperties"), dict):
            yield (*here, "default")
            yield from _paths(resolve(known["additionalProperties"]), (*here, "default"))
        yield from _paths(known, here)


def test_everything_on_sets_every_value() -> None:
    given = scenarios.values("everything-on")
    assert [value.name for value in LEAVES if not _has(given, value.path)] == []


def _has(given: Any, path: tuple[str, ...]) -> bool:
    for name in path:
        if not isinstance(given, dict) or name not in given:
            return False
        given = given[name]
    return True


SECTIONS = [value.path for value in ALL_VALUES if value.is_section]


@pytest.mark.parametrize("path", SECTIONS, ids=".".join)
def test_an_unknown_value_is_refused(path: tuple[str, ...]) -> None:
    # Any name is good for a profile, but then it must be a profile.
    unknown: dict[str, Any] = {"noSuchValue": True}
    for name in reversed(path):
        unknown = {name: unknown}
    with pytest.raises(ChartError, match="noSuchValue"):
        render(unknown)


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"global": {"domain": "Af.Example.org"}}, "/global/domain"),
        ({"global": {"domain": "a b"}}, "/global/domain"),
        ({"global": {"sessions": {"namespaces": []}}}, "/global/sessions/namespaces"),
        ({"global": {"sessions": {"namespaces": ["a", "a"]}}}, "/global/sessions/namespaces"),
        ({"global": {"gateway": {"routeApi": "HTTPRoute"}}}, "/global/gateway/routeApi"),
        ({"global": {"gateway": {"port": 0}}}, "/global/gateway/port"),
        ({"operator": {"image": {"digest": "sha256:1"}}}, "/operator/image/digest"),
        ({"operator": {"credentials": {"leafSeconds": 60}}}, "/operator/credentials/leafSeconds"),
        ({"operator": {"usernamePrefix": "a'b"}}, "/operator/usernamePrefix"),
        ({"operator": {"credentials": {"idtokenSeconds": 60}}}, "/credentials/idtokenSeconds"),
        ({"global": {"batch": {"keyId": "POOL"}}}, "/global/batch/keyId"),
        ({"global": {"batch": {"trustDomain": "a b"}}}, "/global/batch/trustDomain"),
        ({"global": {"batch": {"collector": "cm.example.org"}}}, "/global/batch/collector"),
        ({"global": {"batch": {"workers": {"python": "python3"}}}}, "/batch/workers/python"),
        ({"global": {"batch": {"workers": {"universe": "docker"}}}}, "/workers/universe"),
        ({"global": {"batch": {"workers": {"firstPort": 22}}}}, "/workers/firstPort"),
        ({"global": {"batch": {"workers": {"requirements": "a\nb"}}}}, "/workers/requirements"),
        ({"global": {"batch": {"workers": {"ranges": ["10.0.0.1"]}}}}, "/workers/ranges/0"),
        ({"global": {"batch": {"workers": {"directives": {"a b": "c"}}}}}, "/workers/directives"),
        ({"global": {"batch": {"workers": {"directives": {"a": "c\nd"}}}}}, "/directives/a"),
        ({"operator": {"quotas": {"userCores": -1}}}, "/operator/quotas/userCores"),
        (
            {"operator": {"profiles": {"default": {"instantWorker": {"cores": -1}}}}},
            "/operator/profiles/default",
        ),
        ({"global": {"cache": {"pathPrefix": "/store"}}}, "/global/cache/pathPrefix"),
        ({"global": {"cache": {"pathPrefix": "/a/../b/"}}}, "/global/cache/pathPrefix"),
        ({"global": {"cache": {"pathPrefix": "/a b/"}}}, "/global/cache/pathPrefix"),
        ({"global": {"cache": {"probePath": "/store/"}}}, "/global/cache/probePath"),
        ({"global": {"cache": {"maxDurationSeconds": 60}}}, "/cache/maxDurationSeconds"),
        (
            {"operator": {"profiles": {"default": {"dataPathPrefix": "/store"}}}},
            "/operator/profiles/default",
        ),
        ({"operator": {"sessionEgress": [{"cidr": "everywhere"}]}}, "/operator/sessionEgress/0"),
        (
            {"operator": {"makers": [{"name": "x", "subjects": [], "profiles": ["*"]}]}},
            "/operator/makers/0/subjects",
        ),
        (
            {
                "operator": {
                    "makers": [
                        {
                            "name": "hub",
                            "subjects": [{"kind": "ServiceAccount", "name": "hub"}],
                            "profiles": ["*"],
                        }
                    ]
                }
            },
            "/operator/makers/0/subjects/0",
        ),
        (
            {"operator": {"profiles": {"cms": {"image": {"repository": "x"}, "pools": [{}]}}}},
            "/operator/profiles/cms",
        ),
        (
            {
                "operator": {
                    "profiles": {
                        "cms": {
                            "image": {"repository": "x"},
                            "pools": [{"pool": f"p{i}", "max": 1} for i in range(99)],
                        }
                    }
                }
            },
            "/operator/profiles/cms",
        ),
    ],
)
def test_a_wrong_value_is_refused_where_it_stands(values: dict[str, Any], where: str) -> None:
    with pytest.raises(ChartError, match=where):
        render(values)


def test_defaults_are_those_of_the_operator() -> None:
    """A site that the chart does not configure, in a test for instance, behaves as one it does."""
    defaults = {value.path: value.default for value in LEAVES}
    cache = {"port", "site_name", "path_prefix", "max_duration_seconds", "probe_path"}
    for model, path, fields in (
        (Site.model_fields["credentials"].default, ("operator", "credentials"), None),
        (Site.model_fields["workers"].default, ("operator", "workers"), None),
        (Site.model_fields["gateway"].default.dns, ("global", "gateway", "dns"), None),
        (DataCache(host="x"), ("global", "cache"), cache),
        (Batch(**POOL), ("global", "batch"), {"key_id"}),
        (BatchWorkers(), ("global", "batch", "workers"), None),
        (Quotas(), ("operator", "quotas"), None),
        (InstantWorker(), ("operator", "profiles", "default", "instantWorker"), None),
        (
            Profile(name="x", image="x"),
            ("operator", "profiles", "default"),
            {"data_path_prefix"},
        ),
    ):
        for name, value in model.model_dump(mode="json", by_alias=True, include=fields).items():
            chart = defaults[*path, name]
            # A chart says nothing by an empty value, or by no cores.
            same = chart in ("", 0) if value is None else chart == value
            assert same, f"{'.'.join(path)}.{name}"
