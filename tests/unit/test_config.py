"""The site's configuration: read as written, or refused with the file and every wrong value."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from casita.config import ConfigurationError, Profile, RouteApi, Site, load_site

MINIMAL: dict[str, Any] = {
    "domain": "af.example",
    "profiles": [{"name": "default", "image": "registry.example/notebook:1"}],
}
BATCH = {
    "collector": "cm.example.org:9618",
    "schedd": "submit.example.org",
    "trustDomain": "example.org",
    "uidDomain": "example.org",
}


def write(directory: Path, content: object) -> Path:
    file = directory / "site.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


def test_a_domain_and_one_profile_are_enough(tmp_path: Path) -> None:
    site = load_site(write(tmp_path, MINIMAL))
    assert site.domain == "af.example"
    assert site.session_namespaces == ("casita",)
    assert site.gateway.route_api is RouteApi.TLS_ROUTE
    assert site.credentials.leaf_seconds == 7 * 24 * 3600
    assert site.workers.drain_seconds == 300


def batch(**workers: Any) -> dict[str, Any]:
    return {"batch": {**BATCH, "workers": workers}}


def test_values_are_written_as_in_kubernetes(tmp_path: Path) -> None:
    written = {
        **MINIMAL,
        "sessionNamespaces": ["one", "two"],
        "gateway": {"routeApi": "None", "probeAddress": "10.0.0.1", "podLabels": {"app": "gw"}},
        "credentials": {"leafSeconds": 300, "authorityMarginSeconds": 0},
        "rootKeyFile": "/somewhere/key",
        "profiles": [
            {
                **MINIMAL["profiles"][0],
                "limits": {"workerMemoryMiB": 512, "schedulerMemoryMiB": 1024},
                "pools": [{"pool": "local", "max": 2, "memoryMiB": 256}],
                "workerOverrides": {"nodeSelector": {"disk": "fast"}},
                "instantWorker": {"cores": 2, "memoryMiB": 512},
            }
        ],
        "quotas": {"userCores": 8},
        **batch(universe="container", directives={"+Project": '"hep"'}),
    }
    site = load_site(write(tmp_path, written))
    profile = site.profiles[0]
    assert site.session_namespaces == ("one", "two")
    assert site.gateway.pod_labels == {"app": "gw"}
    assert site.root_key_file == Path("/somewhere/key")
    assert profile.limits.worker_memory_mi_b == 512
    assert profile.pools[0].memory_mi_b == 256
    assert profile.worker_overrides.node_selector == {"disk": "fast"}
    assert (profile.instant_worker.cores, profile.instant_worker.memory_mi_b) == (2, 512)
    assert (site.quotas.user_cores, site.quotas.site_cores) == (8, None)
    assert site.batch is not None
    assert site.batch.workers.universe == "container"
    assert site.batch.workers.directives == {"+Project": '"hep"'}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"domain": "AF.example"}, "domain"),
        ({"domain": "af..example"}, "domain"),
        ({"profiles": []}, "profiles"),
        ({"profile": []}, "profile\n"),
        ({"sessionNamespaces": []}, "sessionNamespaces"),
        ({"sessionNamespaces": ["Not_One"]}, "sessionNamespaces.0"),
        ({"gateway": {"routeApi": "Ingress"}}, "gateway.routeApi"),
        ({"gateway": {"port": 0}}, "gateway.port"),
        ({"gateway": {"listner": "dask"}}, "gateway.listner"),
        ({"credentials": {"leafSeconds": 299}}, "credentials.leafSeconds"),
        ({"workers": {"drainSeconds": 9}}, "workers.drainSeconds"),
        ({"defaultProfile": "cms"}, "defaultProfile 'cms' is not one of"),
        ({"profiles": 2 * MINIMAL["profiles"]}, "names must be unique"),
        ({"profiles": [{"name": "default"}]}, "profiles.0.image"),
        (
            {
                "profiles": [
                    {**MINIMAL["profiles"][0], "pools": [{"pool": "p", "max": 1, "min": 2}]}
                ]
            },
            "profiles.0.pools.0",
        ),
        ({"batch": {**BATCH, "keyId": "POOL"}}, "batch.keyId"),
        ({"batch": {**BATCH, "trustDomain": "a b"}}, "batch.trustDomain"),
        ({"batch": {**BATCH, "uidDomain": "a@b"}}, "batch.uidDomain"),
        ({"batch": {**BATCH, "collector": "cm.example.org"}}, "batch.collector"),
        ({"quotas": {"userCores": -1}}, "quotas.userCores"),
        ({"workers": {"targetSeconds": 0}}, "workers.targetSeconds"),
        (batch(python="python3"), "batch.workers.python"),
        (batch(firstPort=40_001, lastPort=40_000), "firstPort 40001 is above lastPort 40000"),
        (batch(requirements="true\nqueue"), "batch.workers.requirements"),
        (batch(directives={"a b": "c"}), "batch.workers.directives"),
        (batch(directives={"+A": "c\nqueue"}), "batch.workers.directives"),
        (batch(environment={"A": "b\nc"}), "batch.workers.environment"),
        ({"cache": {"host": "x", "pathPrefix": "/store"}}, "cache.pathPrefix"),
        ({"cache": {"host": "x", "pathPrefix": "/a/../b/"}}, "cache.pathPrefix"),
        ({"cache": {"host": "x", "probePath": "/etc/passwd"}}, "is not below /store/"),
        ({"cache": {"host": "x", "maxDurationSeconds": 599}}, "cache.maxDurationSeconds"),
        (
            {"cache": {"host": "x"}, "credentials": {"macaroonSeconds": 85_801}},
            "it must be 0 or from 300 to 85800",
        ),
        ({"cache": {"host": "x"}, "credentials": {"macaroonSeconds": 299}}, "from 300"),
        (
            {
                "cache": {"host": "x"},
                "profiles": [{**MINIMAL["profiles"][0], "dataPathPrefix": "/storeevil/"}],
            },
            "profile default: dataPathPrefix /storeevil/ is not within /store/",
        ),
        ({"profiles": [{**MINIMAL["profiles"][0], "dataPathPrefix": None}]}, "dataPathPrefix"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name_and_the_file(
    tmp_path: Path, change: dict[str, Any], named: str
) -> None:
    file = write(tmp_path, {**MINIMAL, **change})
    with pytest.raises(ConfigurationError) as caught:
        load_site(file)
    assert str(caught.value).startswith(str(file))
    assert named in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{domain: ", "domain: af.example", "\t"])
def test_a_file_that_is_no_configuration_is_refused_with_its_name(
    tmp_path: Path, text: str
) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=str(file)):
        load_site(file)


def test_a_missing_file_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        load_site(tmp_path / "site.yaml")


def test_the_default_profile_is_that_of_sessions_that_name_none() -> None:
    profiles = [{"name": name, "image": name} for name in ("cms", "atlas")]
    site = Site.model_validate({**MINIMAL, "profiles": profiles, "defaultProfile": "atlas"})
    default, cms = site.profile(None), site.profile("cms")
    assert default is not None
    assert cms is not None
    assert (default.name, cms.name) == ("atlas", "cms")
    assert site.profile("lhcb") is None


@pytest.mark.parametrize(
    ("image", "allowed"),
    [
        ("registry.example/notebook:1", True),
        ("registry.example/analysis/top:3", True),
        ("registry.example/notebook:2", False),
        ("evil.example/registry.example/analysis/top:3", False),
        ("REGISTRY.example/analysis/top:3", False),
    ],
)
def test_a_profile_allows_its_own_image_and_those_that_match(image: str, allowed: bool) -> None:
    profile = Profile(
        name="cms",
        image="registry.example/notebook:1",
        allowed_images=("registry.example/analysis/*",),
    )
    assert profile.allows_image(image) is allowed


def with_cache(grant: str | None = None, **cache: Any) -> Site:
    profile = dict(MINIMAL["profiles"][0])
    if grant is not None:
        profile["dataPathPrefix"] = grant
    values = {**MINIMAL, "profiles": [profile], "cache": {"host": "x", **cache}}
    return Site.model_validate(values)


@pytest.mark.parametrize(
    ("grant", "found"),
    [(None, "/store/"), ("", "/store/"), ("/store/cms/", "/store/cms/"), ("None", None)],
)
def test_a_profile_grants_all_that_the_cache_exports_or_what_it_says(
    grant: str | None, found: str | None
) -> None:
    site = with_cache(grant)
    assert site.data_grant(site.profiles[0]) == found


def test_without_a_cache_there_is_no_data_and_no_macaroon() -> None:
    site = Site.model_validate(MINIMAL)
    assert site.data_grant(site.profiles[0]) is None
    assert site.macaroon_seconds == 0


@given(st.integers(600, 10**7))
def test_a_macaroon_lives_as_long_as_the_cache_takes_less_what_clocks_differ(limit: int) -> None:
    life = with_cache(maxDurationSeconds=limit).macaroon_seconds
    assert 300 <= life < limit
    assert limit - life == (600 if limit >= 2400 else limit // 4)
