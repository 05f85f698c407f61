"""The cache is configured as the site says, safe by default, and open to those it is for alone."""

from typing import Any

import pytest

from tests.chart import scenarios
from tests.chart.helm import ChartError, Object, Rendered, render
from tests.chart.network import Outside, Pod, connects

BASE: dict[str, Any] = {"global": {"cache": {"enabled": True}}}
ORIGIN = {"host": "storage.example.org"}


def with_cache(**values: Any) -> Rendered:
    return render({**BASE, "xcache": {"enabled": True, "origin": ORIGIN, **values}})


def configuration(chart: Rendered) -> list[str]:
    text: str = chart.one("ConfigMap", "casita-xcache")["data"]["xrootd.cfg"]
    return text.splitlines()


def pod(chart: Rendered) -> Object:
    found: Object = chart.one("Deployment", "casita-xcache")["spec"]["template"]
    return found


def container(chart: Rendered, name: str = "xcache") -> Object:
    return next(each for each in pod(chart)["spec"]["containers"] if each["name"] == name)


def test_a_token_over_tls_is_the_only_way_in() -> None:
    lines = configuration(with_cache())
    security = [line for line in lines if line.startswith("sec.protocol ")]
    assert security == ["sec.protocol ztn -tokenlib libXrdMacaroons.so -expiry optional"]
    assert "xrootd.tls capable all" in lines
    assert {"ofs.authorize", "macaroons.onmissing deny"} <= set(lines)


def test_nothing_but_the_exported_path_is_served_and_nothing_can_be_written() -> None:
    for name, path in (("own-batch-and-cache", "/store"), ("everything-on", "/data")):
        lines = configuration(scenarios.rendered(name))
        assert [line for line in lines if "export" in line] == [f"all.export {path} r/o"]


def test_tokens_go_to_the_origin_by_no_protocol_unless_the_site_says_so() -> None:
    assert not [line for line in configuration(with_cache()) if "http" in line.lower()]
    assert "xrd.protocol http:8443 libXrdHttp.so" in configuration(
        with_cache(https={"enabled": True})
    )


def test_macaroons_live_as_long_as_the_operator_was_told() -> None:
    lines = configuration(scenarios.rendered("everything-on"))
    assert "macaroons.maxduration 7200" in lines
    assert "all.sitename AF" in lines


@pytest.mark.parametrize(
    ("files", "line"),
    [
        ({}, "pfc.diskusage 0.9 0.95 purgeinterval 300"),
        (
            {"limits": {"base": "1g", "nominal": "2g", "max": "3g"}},
            "pfc.diskusage 0.9 0.95 files 1g 2g 3g purgeinterval 300",
        ),
    ],
)
def test_water_marks_are_shares_and_limits_are_sizes(files: Any, line: str) -> None:
    assert line in configuration(with_cache(files=files))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"origin": {"host": ""}}, "set xcache.origin.host"),
        ({"origin": {"host": "a\npss.setopt DebugLevel 4"}}, "host"),
        ({"files": {"highWatermark": "900g"}}, "highWatermark"),
        ({"files": {"lowWatermark": 0.96}}, "must be below highWatermark"),
        ({"files": {"limits": {"max": "3g"}}}, "base, nominal and max"),
        ({"files": {"memory": "512m"}}, "memory"),
    ],
)
def test_what_xrootd_would_refuse_or_misread_is_refused_here(values: Any, words: str) -> None:
    with pytest.raises(ChartError, match=words):
        with_cache(**values)


def test_the_key_and_the_origins_token_come_by_delivery_alone() -> None:
    chart = scenarios.rendered("everything-on")
    (secrets,) = (v for v in pod(chart)["spec"]["volumes"] if v["name"] == "secrets")
    named = [source["secret"]["name"] for source in secrets["projected"]["sources"]]
    assert named == ["my-macaroon-key", "casita-xcache-tls", "my-origin-token"]
    (deliver,) = pod(chart)["spec"]["initContainers"]
    holders = [
        each["name"]
        for each in (deliver, *pod(chart)["spec"]["containers"])
        if "secrets" in {mount["name"] for mount in each["volumeMounts"]}
    ]
    assert holders == ["deliver"]
    assert deliver["restartPolicy"] == "Always"


def test_an_origin_without_credentials_gets_none() -> None:
    names = {each["name"] for each in container(with_cache())["env"]}
    assert "BEARER_TOKEN_FILE" not in names
    names = {each["name"] for each in container(scenarios.rendered("everything-on"))["env"]}
    assert "BEARER_TOKEN_FILE" in names


def test_a_change_of_what_the_server_reads_once_is_watched() -> None:
    arguments = container(scenarios.rendered("everything-on"))["args"]
    watched = {each.partition("=")[2] for each in arguments if each.startswith("--watch=")}
    assert watched == {
        "/run/casita/keys/origin-token",
        "/etc/casita/origin-authority/ca.pem",
    }


def test_probes_ask_the_server_itself() -> None:
    server = container(with_cache())
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert server[probe]["exec"]["command"][:4] == ["python3", "-m", "casita.xcache", "probe"]
    # A certificate that cannot be used takes it out of the Service, and restarts nothing.
    assert "--tls" in server["readinessProbe"]["exec"]["command"]
    assert "--tls" not in server["livenessProbe"]["exec"]["command"]


def test_sessions_know_the_cache_as_xcache_whoever_runs_it() -> None:
    for name, host in (
        ("own-batch-and-cache", "casita-xcache.casita-system.svc.cluster.local"),
        ("external-batch-and-cache", None),
    ):
        chart = scenarios.rendered(name)
        spec = chart.one("Service", "xcache", "casita")["spec"]
        wanted = host or scenarios.values(name)["global"]["cache"]["host"]
        assert spec == {"type": "ExternalName", "externalName": wanted}
    for service in scenarios.rendered("minimal").of_kind("Service"):
        assert service["metadata"]["name"] != "xcache"


CHART = scenarios.rendered("own-batch-and-cache")
POLICIES = CHART.of_kind("NetworkPolicy")
CACHE = Pod("casita-system", pod(CHART)["metadata"]["labels"])
SESSION_POD = Pod("casita", {"casita.dev/session": "alice", "casita.dev/component": "worker"})
OPERATOR = Pod(
    "casita-system",
    CHART.one("Deployment", "casita-operator")["spec"]["template"]["metadata"]["labels"],
)


def test_sessions_and_the_operator_reach_the_cache() -> None:
    assert connects(POLICIES, SESSION_POD, CACHE, 1094)
    assert connects(POLICIES, OPERATOR, CACHE, 1094)
    assert connects(POLICIES, Pod("monitoring"), CACHE, 9100)


@pytest.mark.parametrize(
    ("source", "port"),
    [
        (Pod("casita", {"app": "anything"}), 1094),
        (Pod("default"), 1094),
        (Outside("198.51.100.1"), 1094),
        (SESSION_POD, 9100),
        (SESSION_POD, 9931),
        (SESSION_POD, 8443),
        (Pod("casita-gateway"), 1094),
    ],
)
def test_nobody_else_does(source: Any, port: int) -> None:
    assert not connects(POLICIES, source, CACHE, port)


def test_the_cache_reaches_its_origin_and_nothing_of_the_cluster() -> None:
    assert connects(POLICIES, CACHE, Outside("188.184.0.1"), 1094)
    assert not connects(POLICIES, CACHE, Outside("169.254.169.254"), 80)
    assert not connects(POLICIES, CACHE, SESSION_POD, 8786)
    assert not connects(POLICIES, CACHE, OPERATOR, 8443)
    everything = scenarios.rendered("everything-on")
    found = everything.of_kind("NetworkPolicy")
    cache = Pod("casita-system", pod(everything)["metadata"]["labels"])
    assert connects(found, cache, Pod("storage"), 1213)
    assert not connects(found, cache, Outside("188.184.0.1"), 1094)
    assert connects(found, Outside("198.51.100.130"), cache, 1095)


def test_the_volume_is_the_sites_or_made() -> None:
    claims = [claim["metadata"]["name"] for claim in CHART.of_kind("PersistentVolumeClaim")]
    assert "casita-xcache-files" in claims
    own = with_cache(storage={"existingClaim": "my-disk"})
    assert own.of_kind("PersistentVolumeClaim") == []
    claimed = [v.get("persistentVolumeClaim") for v in pod(own)["spec"]["volumes"]]
    assert {"claimName": "my-disk"} in claimed
