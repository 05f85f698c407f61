"""The rendered site.yaml is one that the operator understands, and means what the values mean."""

import hashlib

import yaml

from casita.config import (
    BatchWorkers,
    Columns,
    DnsMode,
    RouteApi,
    Site,
    Tracking,
    Universe,
)
from tests.chart import scenarios
from tests.chart.helm import Rendered, render


def site(chart: Rendered) -> Site:
    text = chart.one("ConfigMap", "casita-operator")["data"]["site.yaml"]
    return Site.model_validate(yaml.safe_load(text))


def test_it_loads(chart: Rendered) -> None:
    assert site(chart).domain == "af.example.org"


def test_it_leads_to_the_charts_own_gateway_and_operator() -> None:
    chart = scenarios.rendered("minimal")
    found = site(chart)
    gateway = chart.one("Gateway", found.gateway.name, found.gateway.namespace)
    assert found.gateway.listener in {each["name"] for each in gateway["spec"]["listeners"]}
    service, namespace, _ = found.gateway.probe_address.split(".")
    ports = chart.one("Service", service, namespace)["spec"]["ports"]
    assert found.gateway.port in {each["port"] for each in ports}
    pod = chart.one("Deployment", "casita-gateway", found.gateway.namespace)
    labels = pod["spec"]["template"]["metadata"]["labels"]
    assert found.gateway.pod_labels.items() <= labels.items()
    host, port = found.reporting.url.removeprefix("https://").split(":")
    service, namespace, _ = host.split(".")
    ports = chart.one("Service", service, namespace)["spec"]["ports"]
    assert [str(each["port"]) for each in ports] == [port]


def test_it_names_files_that_are_mounted(chart: Rendered) -> None:
    container = chart.one("Deployment", "casita-operator")["spec"]["template"]["spec"]["containers"]
    mounted = {mount["mountPath"] for mount in container[0]["volumeMounts"]}
    config = site(chart)
    files = [config.root_key_file, config.reporting.authority_directory / "tls.crt"]
    if config.batch:
        files.append(config.batch.key_file)
    if config.cache:
        files += [config.cache.key_file, config.cache.authority_file]
    assert {str(file.parent) for file in files} <= mounted
    assert "/etc/casita/site.yaml" in mounted


def test_every_value_arrives() -> None:
    found = site(scenarios.rendered("everything-on"))
    assert found.cluster_domain == "cluster.example.org"
    assert found.operator_namespace == "casita-system"
    assert found.session_namespaces == ("casita", "cms-users")
    assert found.image_pull_secrets == ("mirror", "other")
    assert found.gateway.route_api is RouteApi.TLS_ROUTE
    assert (found.gateway.namespace, found.gateway.name) == ("front-door", "front")
    assert (found.gateway.listener, found.gateway.port) == ("schedulers", 30786)
    assert found.gateway.probe_address == "192.0.2.7"
    assert found.gateway.pod_labels == {"app": "front"}
    assert found.gateway.dns.mode is DnsMode.EXTERNAL_DNS
    assert found.gateway.dns.target == "gateway.af.example.org"
    assert found.credentials.leaf_seconds == 86400
    assert (found.workers.drain_seconds, found.workers.cpu_request_percent) == (60, 50)
    assert (found.workers.target_seconds, found.workers.scale_down_seconds) == (45, 90)
    assert (found.quotas.user_cores, found.quotas.site_cores) == (64, 512)
    assert found.credentials.idtoken_seconds == 7200
    assert found.macaroon_seconds == 3600
    assert found.default_profile == "cms"
    assert found.batch is not None
    assert found.batch.trust_domain == "af.example.org"
    assert found.batch.uid_domain == "users.af.example.org"
    assert (found.batch.key_id, found.batch.pool_namespace) == ("facility", "machines")
    assert found.batch.workers == BatchWorkers(
        python="/cvmfs/software.example.org/casita/bin/python3",
        requirements='HasSingularity && (TARGET.OpSysAndVer == "AlmaLinux9")',
        queue_seconds=3600,
        wall_seconds=43200,
        long_idle_seconds=300,
        first_port=20000,
        last_port=20063,
        contact_address="tls://$$(PublicAddress):{port}",
        environment={"X509_CERT_DIR": "/cvmfs/grid.example.org/certificates"},
        directives={"+DesiredSites": '"T2_XX"', "priority": "5"},
    )
    assert found.cache is not None
    assert (found.cache.port, found.cache.site_name) == (1095, "AF")
    assert (found.cache.path_prefix, found.cache.probe_path) == ("/data/", "/data/probe.root")
    assert found.cache.max_duration_seconds == 7200
    assert "xcache.af.example.org" in found.cache.tls_names
    cms, default = found.profile("cms"), found.profile("default")
    assert cms is not None
    assert default is not None
    assert cms.image == "registry.example.org:5000/mirror/cms/analysis:0.1.0"
    assert [pool.pool for pool in cms.pools] == ["local", "batch"]
    assert cms.worker_overrides.runtime_class_name == "gvisor"
    assert default.image == "registry.example.org:5000/mirror/small:1"
    assert default.limits.worker_memory_mi_b == 1024
    assert (default.instant_worker.cores, default.instant_worker.memory_mi_b) == (0, 256)
    assert (cms.instant_worker.cores, cms.instant_worker.memory_mi_b) == (2, 4096)
    assert default.allowed_images == ("example.org/small:*",)


def test_a_profile_reads_what_it_is_granted_within_what_the_cache_exports() -> None:
    found = site(scenarios.rendered("everything-on"))
    grants = {profile.name: found.data_grant(profile) for profile in found.profiles}
    assert grants == {"default": "/data/public/", "cms": None}
    found = site(scenarios.rendered("own-batch-and-cache"))
    assert [found.data_grant(profile) for profile in found.profiles] == ["/store/"]
    found = site(scenarios.rendered("minimal"))
    assert [found.data_grant(profile) for profile in found.profiles] == [None]


def test_the_charts_own_pool_and_cache_are_called_by_their_names_in_the_cluster() -> None:
    found = site(scenarios.rendered("own-batch-and-cache"))
    assert found.batch is not None
    assert found.batch.collector == "casita-htcondor.casita-system.svc.cluster.local:9618"
    assert found.batch.schedd == "casita@casita.pool"
    assert found.batch.pool_token_secret == "casita-htcondor-ep-token"
    assert found.cache is not None
    assert found.cache.host == "casita-xcache.casita-system.svc.cluster.local"
    assert {found.cache.host, "xcache", "casita-xcache"} <= set(found.cache.tls_names)
    assert found.cache.tls_secret == "casita-xcache-tls"


def test_a_pool_and_a_cache_of_the_sites_own_are_left_to_the_site() -> None:
    found = site(scenarios.rendered("external-batch-and-cache"))
    assert found.batch is not None
    assert (found.batch.collector, found.batch.schedd) == (
        "cm.example.org:9618",
        "submit.example.org",
    )
    assert (found.batch.pool_namespace, found.batch.pool_token_secret) == (None, None)
    assert found.cache is not None
    assert (found.cache.host, found.cache.port) == ("xcache.example.org", 1095)
    assert (found.cache.tls_secret, found.cache.tls_names) == (None, ())


def test_services_of_the_chart_are_called_by_their_names_in_the_cluster() -> None:
    found = site(scenarios.rendered("everything-on"))
    assert found.inference is not None
    assert found.inference.namespace == "inference"
    urls = {server.name: (server.url, server.health_url) for server in found.inference.servers}
    gateway = "casita-gateway-inference.front-door.svc.cluster.example.org"
    assert urls == {
        name: (f"{gateway}:{port}", f"http://casita-triton-{name}.inference.svc:8000")
        for name, port in (("default", 8001), ("taggers", 8101))
    }
    assert found.tracking == Tracking(
        url="http://casita-mlflow.tracking.svc:5000/services/mlflow",
        namespace="tracking",
        secret="casita-mlflow",
    )
    assert found.columns == Columns(
        url="http://casita-servicex.columns.svc:5000", namespace="columns", secret="casita-servicex"
    )
    assert found.credentials.service_seconds == 3600
    servers = {p.name: found.inference_server(p) for p in found.profiles}
    assert servers["default"] is None
    assert servers["cms"] == found.inference.server("taggers")


def test_services_of_the_sites_own_have_an_address_and_nothing_to_keep() -> None:
    services = {
        "triton": {"enabled": True, "url": "triton.example.org:443"},
        "mlflow": {"enabled": True, "url": "https://mlflow.example.org"},
        "servicex": {"enabled": True, "url": "https://servicex.example.org"},
    }
    chart = render({"global": services})
    found = site(chart)
    assert found.inference is not None
    assert found.inference.namespace is None
    assert [(s.url, s.health_url) for s in found.inference.servers] == [
        ("triton.example.org:443", None)
    ]
    assert found.tracking == Tracking(url="https://mlflow.example.org")
    assert found.columns == Columns(url="https://servicex.example.org")
    places = {role["metadata"]["namespace"] for role in chart.of_kind("Role")}
    assert not places & {"casita-triton", "casita-mlflow", "casita-servicex"}


def test_without_the_gateway_sessions_reach_the_servers_service() -> None:
    triton = {"enabled": True, "throughGateway": False}
    models = {"default": {"repository": {"claim": {"name": "models"}}}}
    values = {"global": {"triton": triton}, "triton": {"enabled": True, "servers": models}}
    found = site(render(values))
    assert found.inference is not None
    assert [server.url for server in found.inference.servers] == [
        "casita-triton-default.casita-triton.svc.cluster.local:8001"
    ]


def test_without_a_quota_there_is_none() -> None:
    found = site(scenarios.rendered("minimal"))
    assert (found.quotas.user_cores, found.quotas.site_cores) == (None, None)


def test_workers_of_a_pool_of_the_sites_own_are_where_the_site_says() -> None:
    found = site(scenarios.rendered("external-batch-and-cache"))
    assert found.batch is not None
    workers = found.batch.workers
    assert workers.universe is Universe.CONTAINER
    assert workers.ranges == ("198.51.100.0/25", "2001:db8:1::/64")
    assert (workers.first_port, workers.last_port) == (20000, 20063)


def test_a_profile_can_be_taken_away() -> None:
    mine = {"cms": {"image": {"repository": "cms/analysis"}}, "default": None}
    found = site(render({"operator": {"profiles": mine, "defaultProfile": "cms"}}))
    assert [profile.name for profile in found.profiles] == ["cms"]


def test_a_change_restarts_the_operator() -> None:
    def checksum(drain: int) -> str:
        chart = render({"operator": {"workers": {"drainSeconds": drain}}})
        pod = chart.one("Deployment", "casita-operator")["spec"]["template"]
        found: str = pod["metadata"]["annotations"]["checksum/site"]
        return found

    assert checksum(10) == checksum(10)
    assert checksum(10) != checksum(11)
    assert len(checksum(10)) == hashlib.sha256().digest_size * 2
