"""Every kind of route leads to the session's own scheduler, or it is told why not."""

from collections.abc import Callable

from casita.api.names import slug
from tests.cluster.locations import REPOSITORY
from tests.e2e.conftest import NAMESPACE, MakeSession, RunIn, copy_secret, ready
from tests.facility import NAMESPACE as SYSTEM
from tests.facility import RELEASE, run_helm
from tests.support.cluster import KINDS, SESSION, Cluster, condition, eventually
from tests.support.hub_certificate import NAME as CERTIFICATE

OUTSIDE = """
from casita.dask.connect import connect
with connect("/etc/cmsaf-secrets", external=True) as client:
    print(client.submit(lambda: 6 * 7).result())
"""
INSIDE = "from distributed import Client\nprint(Client().submit(lambda: 6 * 7).result())"


def change_route_api(api: str, *more: str) -> None:
    """Change the facility's route API as an admin does."""
    run_helm(
        *("upgrade", RELEASE, str(REPOSITORY / "charts/casita"), "--namespace", SYSTEM),
        *("--reset-then-reuse-values", "--set", f"global.gateway.routeApi={api}", *more),
        *("--wait", "--timeout=3m"),
    )


def gateway_api(*, used: bool) -> tuple[str, ...]:
    """Say whether there is what needs it: the hub with its HTTPS, and the way to inference."""
    said = str(used).lower()
    values = [f"jupyterhub.enabled={said}", f"global.hub.enabled={said}"]
    values.append(f"global.triton.throughGateway={said}")
    values.append(f"traefik.tls.secretName={CERTIFICATE if used else ''}")
    return tuple(word for value in values for word in ("--set", value))


def taken(cluster: Cluster, name: str) -> bool:
    found = condition(cluster.get(*SESSION, name, NAMESPACE), "RouteReady")
    assert found.get("reason") == "HostTaken", found
    return True


async def test_a_host_that_another_route_took_is_told_and_used_when_it_is_free(
    cluster: Cluster, make_session: MakeSession
) -> None:
    bob = make_session("bob", 0)
    stranger = await ready(cluster, bob)
    alice = make_session("alice", 0, lifecycle="Stopped")
    host = f"{slug(NAMESPACE, alice)}.dask.af.test"
    route = cluster.get(*KINDS["TLSRoute"], stranger, NAMESPACE)
    route["spec"]["hostnames"] = [host]
    route.pop("status")
    # Of routes that are alike Traefik takes any: among so many the session's own is not the one.
    names = [f"stranger-{number}" for number in range(8)]
    for name in names:
        labels = {"app.kubernetes.io/instance": RELEASE}
        route["metadata"] = {"name": name, "namespace": NAMESPACE, "labels": labels}
        cluster.create(route)
    try:
        cluster.patch(*SESSION, alice, NAMESPACE, {"spec": {"lifecycle": "Running"}})
        await eventually(lambda: taken(cluster, alice), 60, what="the other route told", pause=0.3)
    finally:
        for name in names:
            cluster.delete(*KINDS["TLSRoute"], name, NAMESPACE)
    await ready(cluster, alice)


async def test_a_session_follows_the_site_from_one_kind_of_route_to_the_next(
    cluster: Cluster, make_session: MakeSession, notebook: Callable[..., RunIn], outside: str
) -> None:
    name = make_session()
    prefix = await ready(cluster, name, workers=1)
    run = notebook(name, namespace=outside, mounted=copy_secret(name, outside))
    try:
        change_route_api("IngressRouteTCP", *gateway_api(used=False))
        await ready(cluster, name, workers=1)
        assert cluster.get(*KINDS["IngressRouteTCP"], prefix, NAMESPACE)
        assert run(OUTSIDE).split() == ["42"]
        # Without routes the gateway is there for HTTPS alone.
        change_route_api("None", "--set", f"traefik.tls.secretName={CERTIFICATE}")
        await eventually(lambda: without_route(cluster, name), 60, what="no route", pause=0.3)
        assert notebook(name)(INSIDE).split() == ["42"]
    finally:
        change_route_api("TLSRoute", *gateway_api(used=True))
    await ready(cluster, name)
    assert run(OUTSIDE).split() == ["42"]


def without_route(cluster: Cluster, name: str) -> bool:
    told = cluster.get(*SESSION, name, NAMESPACE)
    assert condition(told, "Ready")["status"] == "True", told["status"]
    assert condition(told, "RouteReady")["reason"] == "NotConfigured", told["status"]
    assert told["status"]["scheduler"].get("externalAddress") is None
    return True
