"""A login makes a session: a real JupyterHub, the operator, and a real API server."""

from pathlib import Path

import pytest
from kubernetes.client import ApiException

from casita.api.names import slug
from casita.config import Site
from casita.hub.names import session_name, session_user
from tests.controlplane.conftest import MakeHub, Operate, SiteWith
from tests.support.bed import Bed
from tests.support.cluster import Cluster, Json, eventually
from tests.support.hub import HERE
from tests.support.kubelet import kubelet


def notebooks(bed: Bed) -> list[Json]:
    label = "casita.dev/component=notebook"
    return bed.cluster.items("v1", "Pod", bed.namespace, label_selector=label)


async def test_a_login_makes_a_session_and_its_server_has_the_sessions_files(
    bed: Bed, operate: Operate, unrouted: Site, make_hub: MakeHub
) -> None:
    async with make_hub().running() as hub, kubelet(bed, HERE):
        with operate(unrouted):
            status, _ = await hub.start("alice")
            assert status in (201, 202), hub.log()
            told = await hub.progress("alice")
            await hub.until_ready("alice")
    session = bed.session("alice")
    assert session["spec"]["user"] == "alice"
    assert session["spec"]["profile"] == "default"
    assert session["metadata"]["labels"]["casita.dev/hub"] == "casita"
    (pod,) = notebooks(bed)
    prefix = slug(bed.namespace, "alice")
    assert pod["metadata"]["labels"]["casita.dev/session"] == prefix
    secrets = [
        source["secret"]["name"]
        for volume in pod["spec"]["volumes"]
        for source in (volume.get("projected") or {}).get("sources", ())
        if "secret" in source
    ]
    assert secrets == [f"{prefix}-client", f"{prefix}-tokens"]
    environment = {e["name"]: e.get("value") for e in pod["spec"]["containers"][0]["env"]}
    assert environment["DASK_CONFIG"] == "/etc/cmsaf-secrets/dask.yaml"
    assert [c["name"] for c in pod["spec"]["initContainers"]] == ["casita-tokens"]
    assert any("Credentials: all certificates" in event["message"] for event in told), told
    assert told[-1]["ready"], told


async def test_a_stopped_server_stops_its_session_and_a_new_start_has_new_keys(
    bed: Bed, operate: Operate, unrouted: Site, make_hub: MakeHub
) -> None:
    async with make_hub().running() as hub, kubelet(bed, HERE):
        with operate(unrouted):
            await hub.start("alice")
            await hub.until_ready("alice")
            first = bed.serials()["authority"]
            assert await hub.stop("alice") in (202, 204)
            await bed.until("Ready", "False", "Stopped")
            await eventually(lambda: not notebooks(bed))
            await hub.start("alice")
            await hub.until_ready("alice")
            assert bed.serials()["authority"] != first
            assert bed.session()["spec"]["lifecycle"] == "Running"


async def test_a_named_server_has_a_session_of_its_own_and_takes_it_away(
    bed: Bed, operate: Operate, unrouted: Site, make_hub: MakeHub
) -> None:
    user = "alice.smith@example.org"
    default, second = session_name(user), session_name(user, "second")
    async with make_hub().running() as hub, kubelet(bed, HERE):
        with operate(unrouted):
            await hub.start(user)
            await hub.start(user, "second")
            await hub.until_ready(user)
            await hub.until_ready(user, "second")
            assert bed.session(default)["spec"]["user"] == session_user(user)
            assert bed.session(second)["spec"]["user"] == session_user(user)
            assert len(notebooks(bed)) == 2
            await hub.stop(user, "second", remove=True)

            def gone() -> bool:
                found = bed.cluster.items("casita.dev/v1alpha1", "AnalysisSession", bed.namespace)
                return [item["metadata"]["name"] for item in found] == [default]

            await eventually(gone)
            assert bed.session(default)["spec"]["lifecycle"] == "Running"


async def test_without_an_operator_the_user_is_told_and_a_retry_works(
    bed: Bed, operate: Operate, unrouted: Site, make_hub: MakeHub
) -> None:
    async with make_hub(operator_seconds=1.0).running() as hub, kubelet(bed, HERE):
        await hub.start("alice")
        told = await hub.progress("alice")
        assert told[-1]["failed"], told
        assert "the operator does not answer" in told[-1]["message"]
        with operate(unrouted):
            await hub.start("alice")
            await hub.until_ready("alice")


async def test_a_profile_is_offered_to_its_groups_alone_and_a_forged_choice_is_refused(
    bed: Bed,
    operate: Operate,
    site_with: SiteWith,
    site_values: Json,
    make_hub: MakeHub,
) -> None:
    default, small = site_values["profiles"]
    site = site_with(
        gateway={"routeApi": "None"},
        profiles=[default | {"groups": ["cms"]}, small | {"groups": ["staff"]}],
    )
    groups = {"cms": ["alice"], "staff": ["bob"]}
    async with make_hub(site, groups=groups).running() as hub, kubelet(bed, HERE):
        with operate(site):
            await hub.start("alice", profile="small")
            await eventually(lambda: "No such profile: small" in hub.log())
            assert not bed.cluster.items("casita.dev/v1alpha1", "AnalysisSession", bed.namespace)
            await hub.start("bob", profile="small")
            await hub.until_ready("bob")
            assert bed.session("bob")["spec"]["profile"] == "small"
            await hub.start("carol")
            (last, *_) = reversed(await hub.progress("carol"))
            assert "none of the site's profiles is for your groups" in last["message"]


async def test_what_the_operator_refuses_is_told_in_its_words(
    bed: Bed, operate: Operate, unrouted: Site, make_hub: MakeHub
) -> None:
    bed.create("alice", user="bob")  # somebody else was here before
    async with make_hub().running() as hub, kubelet(bed, HERE):
        with operate(unrouted):
            await hub.start("alice")
            told = await hub.progress("alice")
            assert told[-1]["failed"], told
            assert "exists and is user bob's" in told[-1]["message"]
    assert bed.session("alice")["spec"]["user"] == "bob"


async def test_an_image_that_nobody_has_is_told_before_the_time_is_up(
    bed: Bed, operate: Operate, unrouted: Site, make_hub: MakeHub
) -> None:
    hub = make_hub()
    hub.configure({"CasitaSpawner": {"image_seconds": 1.0}})
    async with hub.running():
        with operate(unrouted):
            await hub.start("alice")
            await eventually(lambda: notebooks(bed))
            (pod,) = notebooks(bed)
            waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
            container = {"name": "notebook", "image": "example.org/none:1", "ready": False}
            container |= {"restartCount": 0, "imageID": "", "state": {"waiting": waiting}}
            status = {"status": {"phase": "Pending", "containerStatuses": [container]}}
            where = (pod["metadata"]["name"], bed.namespace, status)
            bed.cluster.patch("v1", "Pod", *where, subresource="status")
            told = await hub.progress("alice")
    assert told[-1]["failed"], told
    words = "the node cannot get the image example.org/none:1: no such image"
    assert words in told[-1]["message"]


async def test_servers_and_sessions_outlive_a_restart_of_the_hub(
    bed: Bed, operate: Operate, unrouted: Site, make_hub: MakeHub
) -> None:
    hub = make_hub()
    with operate(unrouted):
        async with kubelet(bed, HERE):
            async with hub.running():
                await hub.start("alice")
                await hub.until_ready("alice")
            before = notebooks(bed)[0]["metadata"]["uid"], bed.serials()
            async with hub.running():
                await hub.until_ready("alice")
                assert (notebooks(bed)[0]["metadata"]["uid"], bed.serials()) == before
                await hub.stop("alice")
                await bed.until("Ready", "False", "Stopped")


async def test_the_hubs_account_reads_no_secret_and_acts_nowhere_else(
    bed: Bed, account: Path
) -> None:
    hub, here = Cluster(account), bed.namespace
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "mine", "namespace": here},
        "spec": {"ports": [{"port": 80}]},
    }
    for attempt in (
        lambda: hub.items("v1", "Secret", here),
        lambda: hub.get("v1", "Secret", "any", here),
        lambda: hub.create(service),
        lambda: hub.items("v1", "Pod", "default"),
        lambda: hub.items("casita.dev/v1alpha1", "AnalysisSession", "default"),
    ):
        with pytest.raises(ApiException) as refused:
            attempt()
        assert refused.value.status == 403


async def test_a_server_has_the_way_to_the_services_of_its_profile_whatever_else_is_said(
    bed: Bed, operate: Operate, site_with: SiteWith, make_hub: MakeHub
) -> None:
    profile = {"name": "default", "image": "example.org/notebook:1", "inference": "taggers"}
    servers = [{"name": "taggers", "url": "gateway:8001"}]
    site = site_with(
        gateway={"routeApi": "None"},
        profiles=[profile],
        inference={"servers": servers},
        tracking={"url": "https://mlflow.example.org"},
    )
    traits = {
        "extra_labels": {"casita.dev/inference": "another"},
        "environment": {"TRITON_URL": "elsewhere:1"},
    }
    made = make_hub(site)
    made.configure({"CasitaSpawner": traits})
    async with made.running() as hub, kubelet(bed, HERE):
        with operate(site):
            await hub.start("alice")
            await hub.until_ready("alice")
    (pod,) = notebooks(bed)
    assert pod["metadata"]["labels"]["casita.dev/inference"] == "taggers"
    environment = {e["name"]: e.get("value") for e in pod["spec"]["containers"][0]["env"]}
    assert environment["TRITON_URL"] == "gateway:8001"
    assert environment["MLFLOW_TRACKING_URI"] == "https://mlflow.example.org"
    assert "MLFLOW_TRACKING_AUTH" not in environment
