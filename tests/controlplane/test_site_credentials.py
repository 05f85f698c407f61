"""The site's own credentials stay valid, with the chart's rights and no others."""

import base64
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import yaml
from cryptography import x509

from casita.clients.errors import ApiError
from casita.clients.kubernetes import Connection, KubernetesClient, open_session
from casita.config import RouteApi, Site
from casita.credentials import idtoken
from casita.credentials.keys import idtoken_key_file
from casita.credentials.system import new_idtoken_key
from casita.credentials.verify import load_authority, load_certificate, verify_leaf
from casita.credentials.x509 import Authority, Role
from casita.manifests.resources import SECRET
from casita.operator.prepare import CacheTls, SiteSecrets, prepare
from casita.operator.site_credentials import LOOK_SECONDS, SiteCredentials, SiteIssued
from tests.chart.helm import Rendered, render
from tests.cluster.control_plane import ControlPlane
from tests.controlplane.conftest import connect
from tests.support.clock import Clock
from tests.support.cluster import KINDS, Cluster, Json

ACCOUNT, ROLE = "casita-operator", "casita-operator-site"
LEAF, JOIN, HUB = "casita-xcache-tls", "casita-htcondor-ep-token", "casita-hub"


@dataclass
class Keeping:
    """A facility with a cache and a pool of its own, and what keeps its credentials."""

    cluster: Cluster
    site: Site
    pool: str
    doors: str
    client: KubernetesClient
    authority: Authority
    key_file: Path
    clock: Clock = field(default_factory=Clock)
    told: list[SiteIssued] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.keeper = self.restarted()

    def restarted(self) -> SiteCredentials:
        return SiteCredentials(
            self.client, self.site, self.authority, bytes(32), self.told.append, self.clock
        )

    async def keep(self) -> float:
        return await self.keeper.keep()

    def where(self, name: str) -> str:
        places = {LEAF: self.site.operator_namespace, JOIN: self.pool, HUB: self.doors}
        return places[name]

    def secret(self, name: str) -> Json:
        return self.cluster.get(*KINDS["Secret"], name, self.where(name))

    def files(self, name: str) -> dict[str, bytes]:
        data = self.secret(name)["data"]
        return {file: base64.b64decode(text) for file, text in data.items()}

    def spoil(self, name: str, file: str, text: str | None) -> None:
        self.cluster.patch(*KINDS["Secret"], name, self.where(name), {"data": {file: text}})

    def delete(self, name: str) -> None:
        self.cluster.delete(*KINDS["Secret"], name, self.where(name))

    def serial(self) -> int:
        return load_certificate(self.files(LEAF)["tls.crt"]).serial_number

    def claims(self) -> Json:
        key = idtoken_key_file(self.key_file, "casita").read()
        return dict(idtoken.claims(key, self.files(JOIN)["token"].decode()))


def account(plane: ControlPlane, cluster: Cluster, chart: Rendered, namespace: str) -> Connection:
    """The operator's connection, as a service account with the chart's rights over site secrets."""
    cluster.create(dict(chart.one("ServiceAccount", ACCOUNT, namespace)))
    for kind in ("Role", "RoleBinding"):
        for found in chart.of_kind(kind):
            if found["metadata"]["name"] == ROLE:
                cluster.create(dict(found))
    token = plane.kubectl("create", "token", ACCOUNT, "-n", namespace).strip()
    context = ssl.create_default_context(cafile=str(plane.ca_file))
    return Connection(plane.url, context, {}, lambda: token)


@pytest.fixture
async def keeping(
    plane: ControlPlane, cluster: Cluster, namespace: str, tmp_path: Path
) -> AsyncIterator[Keeping]:
    pool, doors = f"p-{uuid4().hex[:8]}", f"h-{uuid4().hex[:8]}"
    for name in (pool, doors):
        cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    values: Json = {
        "global": {
            "batch": {"enabled": True, "poolNamespace": pool},
            "cache": {"enabled": True},
            "hub": {"enabled": True, "namespace": doors},
        },
        "traefik": {"tls": {"secretName": "hub-tls"}},
        "jupyterhub": {
            "enabled": True,
            "hub": {"config": {"JupyterHub": {"authenticator_class": "dummy"}}},
        },
        "htcondor": {"enabled": True},
        "xcache": {"enabled": True, "origin": {"host": "origin.af.test"}},
    }
    chart = render(values, namespace=namespace)
    text = chart.one("ConfigMap", ACCOUNT)["data"]["site.yaml"]
    site_values = yaml.safe_load(text)
    key_file = tmp_path / "key"
    key_file.write_bytes(new_idtoken_key())
    site_values["batch"]["keyFile"] = str(key_file)
    site = Site.model_validate(site_values)
    assert site.cache is not None
    tls = CacheTls(LEAF, "casita-system-authority", site.cache.tls_names)
    wanted = SiteSecrets(authority="casita-system-authority", cache_tls=tls)
    await prepare(connect(plane.kubeconfig), namespace, RouteApi.NONE, wanted)
    data = cluster.get(*KINDS["Secret"], "casita-system-authority", namespace)["data"]
    certificate, key = (base64.b64decode(data[file]) for file in ("tls.crt", "tls.key"))
    authority = load_authority(certificate, key)
    connection = account(plane, cluster, chart, namespace)
    async with open_session(connection) as session:
        client = KubernetesClient(session, connection.server)
        yield Keeping(cluster, site, pool, doors, client, authority, key_file)


def check_leaf(keeping: Keeping) -> None:
    assert keeping.site.cache is not None
    files = keeping.files(LEAF)
    leaf = verify_leaf(
        files["tls.crt"],
        files["tls.key"],
        files["ca.pem"],
        keeping.clock(),
        role=Role.ENDPOINT,
        names=("xcache", *keeping.site.cache.tls_names),
    )
    assert leaf.not_after - leaf.not_before < timedelta(days=31)
    usage = load_certificate(files["tls.crt"]).extensions.get_extension_for_class(
        x509.BasicConstraints
    )
    assert usage.value.ca is False


async def test_the_hooks_first_certificate_is_good_and_left_alone(keeping: Keeping) -> None:
    check_leaf(keeping)
    before = keeping.secret(LEAF)
    assert await keeping.keep() == LOOK_SECONDS
    assert keeping.secret(LEAF) == before
    assert [issued.kind for issued in keeping.told] == ["join"]


async def test_the_caches_certificate_is_renewed_in_place_at_two_thirds(keeping: Keeping) -> None:
    await keeping.keep()
    uid, serial = keeping.secret(LEAF)["metadata"]["uid"], keeping.serial()
    keeping.clock.forward(days=19.9)
    await keeping.keep()
    assert keeping.serial() == serial
    keeping.clock.forward(days=0.2)
    await keeping.keep()
    assert keeping.serial() != serial
    assert keeping.secret(LEAF)["metadata"]["uid"] == uid
    check_leaf(keeping)
    issued = [each for each in keeping.told if each.kind == "cache"]
    assert [(each.secret, each.serial) for each in issued] == [(LEAF, f"{keeping.serial():x}")]


async def test_machines_get_a_token_that_joins_and_ends(keeping: Keeping) -> None:
    await keeping.keep()
    said = keeping.claims()
    assert said["sub"] == "condor@casita.users"
    assert said["scope"] == "condor:/READ condor:/ADVERTISE_MASTER condor:/ADVERTISE_STARTD"
    assert said["exp"] - said["iat"] == 7 * 24 * 3600
    assert keeping.files(JOIN)["token"].endswith(b"\n")
    (issued,) = keeping.told
    assert (issued.namespace, issued.secret, issued.serial) == (keeping.pool, JOIN, said["jti"])
    assert issued.not_after == datetime.fromtimestamp(said["exp"], UTC)
    assert said["jti"] not in str(keeping.secret(JOIN)["metadata"])


async def test_the_join_token_is_renewed_at_half_its_life_and_not_by_a_restart(
    keeping: Keeping,
) -> None:
    await keeping.keep()
    first, uid = keeping.claims()["jti"], keeping.secret(JOIN)["metadata"]["uid"]
    keeping.clock.forward(days=3.4)
    keeping.keeper = keeping.restarted()
    await keeping.keep()
    assert keeping.claims()["jti"] == first
    keeping.clock.forward(days=0.2)
    await keeping.keep()
    assert keeping.claims()["jti"] != first
    assert keeping.secret(JOIN)["metadata"]["uid"] == uid


async def test_it_looks_again_when_something_is_due(keeping: Keeping) -> None:
    await keeping.keep()
    keeping.clock.forward(days=3.5, seconds=-100)
    assert 90 < await keeping.keep() < 110


@pytest.mark.parametrize("file", ["tls.crt", "tls.key", "ca.pem"])
@pytest.mark.parametrize("text", [None, "", "bm90IGEga2V5"])
async def test_a_damaged_certificate_is_made_again(
    keeping: Keeping, file: str, text: str | None
) -> None:
    keeping.spoil(LEAF, file, text)
    await keeping.keep()
    check_leaf(keeping)


@pytest.mark.parametrize("text", [None, "", "ZTMwLmUzMC54"])
async def test_a_damaged_join_token_is_made_again(keeping: Keeping, text: str | None) -> None:
    await keeping.keep()
    first = keeping.claims()["jti"]
    keeping.spoil(JOIN, "token", text)
    await keeping.keep()
    assert keeping.claims()["jti"] != first


async def test_a_join_token_that_was_deleted_is_made_again(keeping: Keeping) -> None:
    await keeping.keep()
    keeping.delete(JOIN)
    await keeping.keep()
    assert keeping.claims()["sub"] == "condor@casita.users"


async def test_a_new_signing_key_gives_a_new_join_token(keeping: Keeping) -> None:
    await keeping.keep()
    keeping.key_file.write_bytes(new_idtoken_key())
    await keeping.keep()
    assert keeping.claims()["sub"] == "condor@casita.users"
    assert len(keeping.told) == 2


async def test_a_lost_certificate_is_told_with_the_remedy_and_hinders_nothing_else(
    keeping: Keeping, caplog: pytest.LogCaptureFixture
) -> None:
    keeping.delete(LEAF)
    assert await keeping.keep() < LOOK_SECONDS
    assert await keeping.keep() < LOOK_SECONDS
    assert "helm upgrade" in keeping.keeper.trouble[LEAF]
    assert caplog.text.count("cannot be kept valid") == 1, "told once"
    assert keeping.claims()["sub"] == "condor@casita.users"


async def test_a_lost_signing_key_is_told_by_its_file_and_heals(keeping: Keeping) -> None:
    content = keeping.key_file.read_bytes()
    keeping.key_file.unlink()
    await keeping.keep()
    assert str(keeping.key_file) in keeping.keeper.trouble[JOIN]
    keeping.key_file.write_bytes(content)
    assert await keeping.keep() == LOOK_SECONDS
    assert keeping.keeper.trouble == {}
    assert keeping.claims()["sub"] == "condor@casita.users"


async def test_what_hub_and_proxy_know_is_made_once_and_stays(keeping: Keeping) -> None:
    await keeping.keep()
    files = keeping.files(HUB)
    assert set(files) == {"proxy-token", "crypt-key", "cookie-secret"}
    assert all(len(bytes.fromhex(text.decode())) == 32 for text in files.values())
    assert len(set(files.values())) == 3
    keeping.keeper = keeping.restarted()
    await keeping.keep()
    assert keeping.files(HUB) == files
    keeping.delete(HUB)
    await keeping.keep()
    assert not set(keeping.files(HUB).values()) & set(files.values())


async def test_a_hubs_secret_that_lacks_a_key_is_told_and_left(keeping: Keeping) -> None:
    await keeping.keep()
    keeping.spoil(HUB, "crypt-key", None)
    before = keeping.files(HUB)
    await keeping.keep()
    assert "crypt-key" in keeping.keeper.trouble[HUB]
    assert keeping.files(HUB) == before


async def test_no_other_secret_beside_can_be_read(keeping: Keeping) -> None:
    with pytest.raises(ApiError, match="403"):
        await keeping.client.read(
            SECRET, keeping.site.operator_namespace, "casita-system-authority"
        )
    for namespace in (keeping.pool, keeping.doors):
        with pytest.raises(ApiError, match="403"):
            await keeping.client.read(SECRET, namespace, "another")


async def test_a_site_without_cache_and_pool_of_its_own_asks_nothing(keeping: Keeping) -> None:
    values = keeping.site.model_dump()
    site = Site.model_validate({**values, "batch": None, "cache": None, "hub": None})
    keeper = SiteCredentials(
        keeping.client, site, keeping.authority, bytes(32), keeping.told.append, keeping.clock
    )
    assert await keeper.keep() == LOOK_SECONDS
    assert keeping.told == []
