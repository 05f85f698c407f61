"""What services know alone is made once, completed, and follows the site's root key."""

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from uuid import uuid4

import pytest
import yaml

from casita.clients.errors import ApiError
from casita.clients.kubernetes import KubernetesClient, open_session
from casita.config import Site
from casita.credentials import mlflow, servicex
from casita.credentials.system import COLUMNS_KEYS, new_system_authority
from casita.manifests.resources import POD, SECRET
from casita.operator.site_credentials import LOOK_SECONDS, RETRY_SECONDS, SiteCredentials
from tests.chart.helm import render
from tests.cluster.control_plane import ControlPlane
from tests.controlplane.test_site_credentials import account
from tests.support.clock import Clock
from tests.support.cluster import KINDS, Cluster, Json

HUB, TRACKING, COLUMNS = "casita-hub", "casita-mlflow", "casita-servicex"
ROOT = bytes(range(32))


@dataclass
class Keeping:
    """A site with services of its own, and what keeps their Secrets, with the chart's rights."""

    cluster: Cluster
    client: KubernetesClient
    places: dict[str, str]
    site: Site
    clock: Clock = field(default_factory=Clock)

    def keeper(self, root_key: bytes = ROOT, site: Site | None = None) -> SiteCredentials:
        authority = new_system_authority(self.clock())
        return SiteCredentials(
            self.client, site or self.site, authority, root_key, lambda _: None, self.clock
        )

    def files(self, name: str) -> dict[str, bytes]:
        data = self.cluster.get(*KINDS["Secret"], name, self.places[name])["data"]
        return {file: base64.b64decode(text) for file, text in data.items()}

    def version(self, name: str) -> str:
        found = self.cluster.get(*KINDS["Secret"], name, self.places[name])
        return str(found["metadata"]["resourceVersion"])

    def spoil(self, name: str, file: str, text: str | None) -> None:
        self.cluster.patch(*KINDS["Secret"], name, self.places[name], {"data": {file: text}})


@pytest.fixture
async def keeping(plane: ControlPlane, cluster: Cluster, namespace: str) -> AsyncIterator[Keeping]:
    parts = {"hub": HUB, "mlflow": TRACKING, "servicex": COLUMNS, "triton": ""}
    spaces = {part: f"{part}-{uuid4().hex[:8]}" for part in parts}
    for name in spaces.values():
        cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    values: Json = {
        "global": {part: {"enabled": True, "namespace": spaces[part]} for part in parts},
        "mlflow": {"enabled": True},
        "servicex": {"enabled": True},
        "triton": {
            "enabled": True,
            "servers": {"default": {"repository": {"claim": {"name": "models"}}}},
        },
        "traefik": {"tls": {"secretName": "hub-tls"}},
        "jupyterhub": {
            "enabled": True,
            "hub": {"config": {"JupyterHub": {"authenticator_class": "dummy"}}},
        },
    }
    chart = render(values, namespace=namespace)
    text = chart.one("ConfigMap", "casita-operator")["data"]["site.yaml"]
    connection = account(plane, cluster, chart, namespace)
    async with open_session(connection) as session:
        client = KubernetesClient(session, connection.server)
        places = {name: spaces[part] for part, name in parts.items() if name}
        places["triton"] = spaces["triton"]
        yield Keeping(cluster, client, places, Site.model_validate(yaml.safe_load(text)))


async def test_they_are_made_once_and_then_nothing_is_written(keeping: Keeping) -> None:
    assert await keeping.keeper().keep() == LOOK_SECONDS
    tracking, columns = keeping.files(TRACKING), keeping.files(COLUMNS)
    assert set(tracking) == {"token-key", "flask-secret-key", "hub-token"}
    assert set(columns) == {"jwt-secret-key", *COLUMNS_KEYS}
    assert tracking["token-key"] == mlflow.derive_key(ROOT).material
    assert columns["jwt-secret-key"] == servicex.derive_key(ROOT).material
    assert keeping.files(HUB)["mlflow-token"] == tracking["hub-token"]
    everything = [*tracking.values(), *columns.values()]
    assert len(set(everything)) == len(everything)
    versions = [keeping.version(name) for name in (HUB, TRACKING, COLUMNS)]
    assert await keeping.keeper().keep() == LOOK_SECONDS
    assert versions == [keeping.version(name) for name in (HUB, TRACKING, COLUMNS)]


async def test_an_older_hub_gets_the_token_of_its_new_service_and_keeps_the_rest(
    keeping: Keeping,
) -> None:
    older = keeping.site.model_copy(update={"tracking": None, "columns": None})
    await keeping.keeper(site=older).keep()
    before = keeping.files(HUB)
    assert "mlflow-token" not in before
    await keeping.keeper().keep()
    after = keeping.files(HUB)
    assert after == {**before, "mlflow-token": keeping.files(TRACKING)["hub-token"]}


async def test_what_is_missing_is_made_and_what_is_there_stays(keeping: Keeping) -> None:
    await keeping.keeper().keep()
    before = keeping.files(COLUMNS)
    keeping.spoil(COLUMNS, "object-store-secret-key", None)
    keeping.spoil(COLUMNS, "jwt-secret-key", base64.b64encode(b"another").decode())
    await keeping.keeper().keep()
    after = keeping.files(COLUMNS)
    made = {name for name in before if after[name] != before[name]}
    assert made == {"object-store-secret-key"}


async def test_keys_of_tokens_follow_the_root_key(keeping: Keeping) -> None:
    await keeping.keeper().keep()
    before = keeping.files(TRACKING)
    await keeping.keeper(bytes(32)).keep()
    key = mlflow.derive_key(bytes(32)).material
    assert keeping.files(TRACKING) == {**before, "token-key": key}


async def test_without_the_hubs_key_the_service_waits_and_says_so(keeping: Keeping) -> None:
    await keeping.keeper().keep()
    keeping.spoil(HUB, "crypt-key", None)
    keeping.spoil(HUB, "mlflow-token", None)
    keeper = keeping.keeper()
    assert await keeper.keep() == RETRY_SECONDS
    assert "crypt-key" in keeper.trouble[HUB]
    assert "has no mlflow-token yet" in keeper.trouble[TRACKING]
    assert COLUMNS not in keeper.trouble


async def test_nothing_else_there_can_be_read(keeping: Keeping) -> None:
    for namespace in keeping.places.values():
        with pytest.raises(ApiError, match="403"):
            await keeping.client.read(SECRET, namespace, "another")
    path = POD.path(keeping.places["triton"])
    assert (await keeping.client.list_page(path, "application/json"))["items"] == []
    with pytest.raises(ApiError, match="403"):
        await keeping.client.list_page(POD.path(keeping.places[TRACKING]), "application/json")
