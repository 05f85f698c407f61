"""Child objects as a person last agreed to them."""

import pytest

from casita.api.session import SchedulerResources, WorkerPool
from casita.config import InstantWorker, PodOverrides, Site
from casita.manifests.common import Manifest, Owner, planned_hash, with_hash
from casita.manifests.network_policy import network_policy
from casita.manifests.pods import Template, scheduler_pod, worker_pod
from casita.manifests.route import route
from casita.manifests.service import service
from tests.golden import Golden

OWNER = Owner("casita", "alice", "uid-of-alice")
PROFILES = [{"name": "default", "image": "example.org/notebook:1"}]
OVERRIDES = PodOverrides(
    node_selector={"disk": "fast"},
    tolerations=({"key": "af", "operator": "Exists"},),
    priority_class_name="batch",
    env=(
        {"name": "X509_CERT_DIR", "value": "/certificates"},
        {"name": "CASITA_RUN", "value": "no"},
    ),
)


def site(**gateway: object) -> Site:
    return Site.model_validate({"domain": "af.test", "profiles": PROFILES, "gateway": gateway})


TEMPLATE = Template(OWNER, site(), "example.org/notebook:1", "0123456789abcdef")


def test_service(golden: Golden) -> None:
    golden.check("manifests/service.yaml", service(OWNER))


@pytest.mark.parametrize("api", ["TLSRoute", "IngressRouteTCP"])
def test_route(golden: Golden, api: str) -> None:
    dns = {"mode": "ExternalDNS", "target": "gateway.af.test"}
    golden.check(f"manifests/{api}.yaml", route(OWNER, site(routeApi=api)))
    golden.check(f"manifests/{api}-external-dns.yaml", route(OWNER, site(routeApi=api, dns=dns)))


def test_no_route_where_none_is_configured() -> None:
    assert route(OWNER, site(routeApi="None")) is None


def test_network_policy(golden: Golden) -> None:
    golden.check("manifests/network-policy.yaml", network_policy(OWNER, site()))
    alone = network_policy(OWNER, site(routeApi="None"))
    golden.check("manifests/network-policy-without-gateway.yaml", alone)


def test_scheduler(golden: Golden) -> None:
    size = SchedulerResources(cores=2, memory_mi_b=4096)
    golden.check("manifests/scheduler.yaml", scheduler_pod(TEMPLATE, size, OVERRIDES))


def with_instant_worker(values: Site) -> Manifest:
    template = Template(OWNER, values, "example.org/notebook:1", "0123456789abcdef")
    workers = PodOverrides(node_selector={"disk": "slow"}, env=({"name": "SITE", "value": "a"},))
    instant = InstantWorker(cores=2, memory_mi_b=3072)
    return scheduler_pod(template, SchedulerResources(), OVERRIDES, instant, workers)


def test_instant_worker(golden: Golden) -> None:
    golden.check("manifests/scheduler-with-instant-worker.yaml", with_instant_worker(site()))


def test_the_instant_worker_sees_nothing_of_the_scheduler_beside_it() -> None:
    cache = {"host": "cache", "pathPrefix": "/store/"}
    values = Site.model_validate({"domain": "af.test", "profiles": PROFILES, "cache": cache})
    pod = with_instant_worker(values)["spec"]
    scheduler, instant = pod["containers"]
    mounted = [{mount["name"] for mount in each["volumeMounts"]} for each in (scheduler, instant)]
    assert not mounted[0] & mounted[1]
    assert mounted[0] | mounted[1] == {volume["name"] for volume in pod["volumes"]}
    secrets = {v["name"]: v["secret"]["secretName"] for v in pod["volumes"] if "secret" in v}
    assert {secrets[name] for name in mounted[1] & secrets.keys()} == {"alice-5ifoxippba-worker"}
    ports = [entry["containerPort"] for each in (scheduler, instant) for entry in each["ports"]]
    assert len({*ports}) == len(ports), "containers of a pod share its ports"
    assert not any(probe in instant for probe in ("startupProbe", "readinessProbe"))


def test_a_profile_without_instant_worker_has_none() -> None:
    size = SchedulerResources()
    plain = scheduler_pod(TEMPLATE, size, OVERRIDES)
    assert scheduler_pod(TEMPLATE, size, OVERRIDES, InstantWorker(cores=0)) == plain


def test_worker(golden: Golden) -> None:
    pool = WorkerPool(pool="local", max=3, cores=4, memory_mi_b=8192, disk_mi_b=2048)
    golden.check("manifests/worker.yaml", worker_pod(TEMPLATE, pool, 7, PodOverrides()))


def test_an_override_never_replaces_what_the_operator_sets() -> None:
    pod = scheduler_pod(TEMPLATE, SchedulerResources(), OVERRIDES)
    environment = pod["spec"]["containers"][0]["env"]
    assert [e["value"] for e in environment if e["name"] == "CASITA_RUN"] == ["0123456789abcdef"]


def test_the_hash_stands_for_the_whole_object_as_planned() -> None:
    planned = service(OWNER)
    written = with_hash(planned)
    assert written["metadata"]["annotations"] == {"casita.dev/planned-hash": planned_hash(planned)}
    assert planned_hash(service(Owner("casita", "alice", "another"))) != planned_hash(planned)
