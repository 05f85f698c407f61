"""Transformers' token for the cache is made and renewed, with the chart's rights and no others."""

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import yaml

from casita.clients.errors import ApiError
from casita.clients.kubernetes import KubernetesClient, open_session
from casita.config import Site
from casita.credentials import macaroon
from casita.credentials.keys import macaroon_key_file
from casita.credentials.system import new_macaroon_key, new_system_authority
from casita.manifests.resources import SECRET
from casita.operator.site_credentials import (
    LOOK_SECONDS,
    RETRY_SECONDS,
    SiteCredentials,
    SiteIssued,
)
from tests.chart.helm import render
from tests.cluster.control_plane import ControlPlane
from tests.controlplane.test_site_credentials import account
from tests.support.clock import Clock
from tests.support.cluster import KINDS, Cluster, Json

DATA = "casita-servicex-data"


@dataclass
class Keeping:
    """A site with a cache and columns, and what keeps the token between them."""

    cluster: Cluster
    client: KubernetesClient
    site: Site
    readers: str
    key_file: Path
    authority_file: Path
    clock: Clock = field(default_factory=Clock)
    told: list[SiteIssued] = field(default_factory=list)

    def __post_init__(self) -> None:
        authority = new_system_authority(self.clock())
        self.authority_file.write_bytes(authority.certificate_pem)
        self.keeper = SiteCredentials(
            self.client, self.site, authority, bytes(32), self.told.append, self.clock
        )

    def secret(self) -> Json:
        return self.cluster.get(*KINDS["Secret"], DATA, self.readers)

    def files(self) -> dict[str, bytes]:
        return {file: base64.b64decode(text) for file, text in self.secret()["data"].items()}

    def said(self) -> tuple[str, ...]:
        key = macaroon_key_file(self.key_file).read()
        return macaroon.read(key, "casita", self.files()["token"].decode())


@pytest.fixture
async def keeping(
    plane: ControlPlane, cluster: Cluster, namespace: str, tmp_path: Path
) -> AsyncIterator[Keeping]:
    columns, readers = f"c-{uuid4().hex[:8]}", f"r-{uuid4().hex[:8]}"
    for name in (columns, readers):
        cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    transformers = {"namespace": readers, "dataPathPrefix": "/store/open/"}
    values: Json = {
        "global": {
            "cache": {"enabled": True, "host": "xcache.af.test", "authoritySecret": "authority"},
            "servicex": {"enabled": True, "namespace": columns, "transformers": transformers},
        },
        "servicex": {"enabled": True},
    }
    chart = render(values, namespace=namespace)
    site = yaml.safe_load(chart.one("ConfigMap", "casita-operator")["data"]["site.yaml"])
    key, authority = tmp_path / "key", tmp_path / "ca.pem"
    key.write_bytes(new_macaroon_key())
    site["cache"] |= {"keyFile": str(key), "authorityFile": str(authority)}
    connection = account(plane, cluster, chart, namespace)
    async with open_session(connection) as session:
        client = KubernetesClient(session, connection.server)
        yield Keeping(cluster, client, Site.model_validate(site), readers, key, authority)


async def test_it_is_made_once_told_and_left_alone(keeping: Keeping) -> None:
    assert await keeping.keeper.keep() == LOOK_SECONDS
    identifier, name, _, path, _ = keeping.said()
    assert (name, path) == ("name:casita-columns", "path:/store/open/")
    assert keeping.files()["ca.pem"] == keeping.authority_file.read_bytes()
    (issued,) = keeping.told
    assert (issued.kind, issued.namespace, issued.secret) == ("columns", keeping.readers, DATA)
    assert (issued.user, issued.serial) == ("casita-columns", identifier)
    before = keeping.secret()
    await keeping.keeper.keep()
    assert keeping.secret() == before


async def test_it_is_renewed_in_place_at_half_its_life(keeping: Keeping) -> None:
    await keeping.keeper.keep()
    assert keeping.site.cache is not None
    half = timedelta(seconds=keeping.site.cache.longest_seconds) / 2
    uid, first = keeping.secret()["metadata"]["uid"], keeping.said()
    keeping.clock.forward(seconds=half.total_seconds() - 100)
    assert 90 < await keeping.keeper.keep() < 110
    assert keeping.said() == first
    keeping.clock.forward(seconds=110)
    await keeping.keeper.keep()
    assert keeping.said() != first
    assert keeping.secret()["metadata"]["uid"] == uid


@pytest.mark.parametrize("file", ["token", "ca.pem"])
async def test_it_is_made_again_when_it_is_damaged_or_gone(keeping: Keeping, file: str) -> None:
    await keeping.keeper.keep()
    first = keeping.said()
    where = (*KINDS["Secret"], DATA, keeping.readers)
    keeping.cluster.patch(*where, {"data": {file: "bm90aGluZw=="}})
    await keeping.keeper.keep()
    second = keeping.said()
    assert second != first
    assert keeping.files()["ca.pem"] == keeping.authority_file.read_bytes()
    keeping.cluster.delete(*where)
    await keeping.keeper.keep()
    assert keeping.said() not in (first, second)


async def test_a_lost_key_is_told_by_its_file_and_a_new_one_gives_a_new_token(
    keeping: Keeping,
) -> None:
    await keeping.keeper.keep()
    keeping.key_file.unlink()
    assert await keeping.keeper.keep() == RETRY_SECONDS
    assert str(keeping.key_file) in keeping.keeper.trouble[DATA]
    keeping.key_file.write_bytes(new_macaroon_key())
    assert await keeping.keeper.keep() == LOOK_SECONDS
    assert keeping.said()[1] == "name:casita-columns"
    assert keeping.keeper.trouble == {}


async def test_no_other_secret_of_transformers_can_be_read(keeping: Keeping) -> None:
    with pytest.raises(ApiError, match="403"):
        await keeping.client.read(SECRET, keeping.readers, "another")
