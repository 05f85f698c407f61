"""A session's tokens on the API server: made, told, renewed, repaired, refused and withdrawn."""

import json
import urllib.error
import urllib.request
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from casita.config import Site
from casita.credentials import idtoken, macaroon
from casita.credentials.errors import CredentialError
from casita.credentials.keys import idtoken_key_file, macaroon_key_file
from casita.credentials.system import new_idtoken_key, new_macaroon_key
from casita.operator.process import Ports
from casita.sessions import key_watch
from tests.controlplane.conftest import Operate, SiteWith
from tests.support.bed import Bed, texts
from tests.support.clock import Clock
from tests.support.cluster import Json, condition, eventually

FILES = {"condor_token", "xcache_token", "xcache-ca.pem"}


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """The folder of the site's signing keys."""
    (tmp_path / "idtoken").write_bytes(new_idtoken_key())
    (tmp_path / "macaroon").write_bytes(new_macaroon_key())
    return tmp_path


@pytest.fixture
def site(site_with: SiteWith, site_values: dict[str, Any], keys: Path) -> Site:
    """A site with a pool and a cache, neither of which answers."""
    authority = Path(site_values["reporting"]["authorityDirectory"]) / "tls.crt"
    profiles = [*site_values["profiles"]]
    profiles.append({**profiles[0], "name": "cms", "dataPathPrefix": "/store/cms/"})
    return site_with(
        batch={
            "collector": "127.0.0.1:1",
            "schedd": "casita@af.test",
            "trustDomain": "af.pool",
            "uidDomain": "af.users",
            "keyFile": str(keys / "idtoken"),
        },
        cache={
            "host": "127.0.0.1",
            "port": 1,
            "siteName": "af",
            "probePath": "/store/probe",
            "keyFile": str(keys / "macaroon"),
            "authorityFile": str(authority),
        },
        profiles=profiles,
    )


def claims(bed: Bed, keys: Path) -> Json:
    key = idtoken_key_file(keys / "idtoken", "casita").read()
    return dict(idtoken.claims(key, bed.files("tokens")["condor_token"].decode()))


def caveats(bed: Bed, keys: Path) -> tuple[str, ...]:
    key = macaroon_key_file(keys / "macaroon").read()
    return macaroon.read(key, "af", bed.files("tokens")["xcache_token"].decode())


def version(bed: Bed) -> str:
    return str(bed.child("Secret", "tokens")["metadata"]["resourceVersion"])


async def test_a_session_gets_tokens_of_its_own_user_and_status_tells_of_them(
    bed: Bed, operate: Operate, keys: Path
) -> None:
    with operate():
        bed.create()
        session = await bed.until_issued()
    assert set(bed.files("tokens")) == FILES
    said, (identifier, *allowed) = claims(bed, keys), caveats(bed, keys)
    assert (said["iss"], said["sub"]) == ("af.pool", "alice@af.users")
    assert allowed[:3] == ["name:alice", "activity:DOWNLOAD,LIST", "path:/store/"]
    told = {entry["name"]: entry for entry in session["status"]["credentials"]}
    assert (told["idtoken"]["id"], told["macaroon"]["id"]) == (said["jti"], identifier)
    assert allowed[3] == f"before:{told['macaroon']['notAfter']}"
    assert told["idtoken"]["renewalTime"] < told["idtoken"]["notAfter"]
    assert session["status"]["tokensSecretName"] == bed.child_name("tokens")
    assert condition(session, "CredentialsReady")["reason"] == "Issued"


async def test_a_session_has_no_more_than_nine_objects(bed: Bed, operate: Operate) -> None:
    with operate():
        bed.create()
        await bed.until_issued()
    assert len(bed.children()) <= 9


async def test_no_token_is_told_in_status_events_metadata_or_logs(
    bed: Bed, operate: Operate, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    with operate():
        bed.create()
        session = await bed.until_issued()
    files = bed.files("tokens")
    secrets = [files[name].decode().strip() for name in ("condor_token", "xcache_token")]
    secrets += [secrets[0].rpartition(".")[2]]
    metadata = [child["metadata"] for child in bed.children().values()]
    pods = [child["spec"] for child in bed.children("Pod").values()]
    places = [*texts([session, bed.events(), metadata, pods]), caplog.text]
    for secret in secrets:
        assert not [place for place in places if secret in place]


async def test_the_audit_log_has_number_and_end_of_each_token(
    bed: Bed, operate: Operate, caplog: pytest.LogCaptureFixture, keys: Path
) -> None:
    caplog.set_level("INFO", "casita.audit")
    with operate():
        bed.create()
        await bed.until_issued()
    lines = {vars(r)["kind"]: vars(r) for r in caplog.records if r.name == "casita.audit"}
    assert lines["idtoken"]["serial"] == claims(bed, keys)["jti"]
    assert lines["macaroon"]["serial"] == caveats(bed, keys)[0]
    assert lines["macaroon"]["user"] == "alice"


async def test_a_restart_writes_nothing(bed: Bed, operate: Operate) -> None:
    with operate():
        bed.create()
        await bed.until_issued()
        await bed.until("DataReady", "False", "CacheUnreachable", seconds=90)
    before = version(bed), bed.session()["metadata"]["resourceVersion"]
    with operate():
        bed.create("bob", user="bob")
        # By then alice has been looked at too, before and after the cache was tried.
        await bed.until("DataReady", "False", "CacheUnreachable", name="bob", seconds=90)
    assert (version(bed), bed.session()["metadata"]["resourceVersion"]) == before


async def test_tokens_are_renewed_by_half_their_life_and_certificates_are_not(
    bed: Bed, operate: Operate, keys: Path
) -> None:
    clock = Clock()
    with operate(clock=clock) as operator:
        bed.create()
        await bed.until_issued()
        first, serials = claims(bed, keys), bed.serials()
        clock.forward(hours=5)
        operator.look(bed.namespace)
        clock.forward(hours=1, seconds=1)
        operator.look(bed.namespace)
        await eventually(lambda: claims(bed, keys)["jti"] != first["jti"])
        await eventually(lambda: bed.serials()["idtoken"] == claims(bed, keys)["jti"])
        told = await eventually(lambda: [e for e in bed.events() if e["reason"] == "Renewed"])
        assert "idtoken until" in told[0]["note"], told
    assert claims(bed, keys)["exp"] - first["exp"] >= timedelta(hours=5).total_seconds()
    changed = {name for name, serial in bed.serials().items() if serials[name] != serial}
    assert changed == {"idtoken", "macaroon"}


@pytest.mark.parametrize(
    "data",
    [
        {"condor_token": ""},
        {"condor_token": None},
        {"xcache_token": "TUFD"},
        {"xcache-ca.pem": "bm9uZQ=="},
    ],
    ids=json.dumps,
)
async def test_a_token_that_somebody_spoils_is_made_again(
    bed: Bed, operate: Operate, data: Json, keys: Path
) -> None:
    with operate():
        bed.create()
        await bed.until_issued()
        first = bed.serials()["idtoken"]
        bed.edit_child("Secret", "tokens", {"data": data})
        await eventually(lambda: bed.serials()["idtoken"] != first)
    assert set(bed.files("tokens")) == FILES
    assert claims(bed, keys)["jti"] != first
    assert caveats(bed, keys)[1] == "name:alice"
    assert bed.files("tokens")["xcache-ca.pem"].startswith(b"-----BEGIN CERTIFICATE")


async def test_a_secret_that_somebody_deletes_is_made_again(
    bed: Bed, operate: Operate, keys: Path
) -> None:
    with operate():
        bed.create()
        await bed.until_issued()
        bed.delete_child("Secret", "tokens")
        await eventually(lambda: claims(bed, keys)["sub"] == "alice@af.users")
        await eventually(lambda: bed.serials().get("idtoken") == claims(bed, keys)["jti"])


async def test_a_narrower_wish_gives_a_narrower_token(
    bed: Bed, operate: Operate, keys: Path
) -> None:
    with operate():
        bed.create()
        await bed.until_issued()
        bed.edit(dataAccess={"pathPrefix": "/store/user/alice"})
        await eventually(lambda: "path:/store/user/alice/" in caveats(bed, keys))


async def test_data_beyond_the_profiles_grant_is_refused_and_no_token_is_made(
    bed: Bed, operate: Operate
) -> None:
    with operate():
        bed.create(profile="cms", dataAccess={"pathPrefix": "/store/cmsecret"})
        session = await bed.until("Ready", "False", "ExceedsProfile")
        assert "/store/cms/" in condition(session, "Ready")["message"]
        assert bed.children() == {}


async def test_a_key_that_cannot_be_used_is_told_by_its_file_and_heals(
    bed: Bed, operate: Operate, keys: Path
) -> None:
    content = (keys / "macaroon").read_bytes()
    (keys / "macaroon").write_bytes(content.strip())
    with operate():
        bed.create()
        session = await bed.until("CredentialsReady", "False", "SigningKeyUnusable")
        message = condition(session, "CredentialsReady")["message"]
        assert str(keys / "macaroon") in message
        assert content.decode().strip() not in message
        assert condition(session, "Ready")["reason"] == "SigningKeyUnusable"
        (keys / "macaroon").write_bytes(content)
        await bed.until_issued()
        assert caveats(bed, keys)[1] == "name:alice"


async def test_a_key_that_is_lost_later_leaves_running_sessions_alone(
    bed: Bed, operate: Operate, keys: Path
) -> None:
    with operate() as operator:
        bed.create()
        await bed.until_issued()
        before = version(bed)
        (keys / "macaroon").unlink()
        operator.look(bed.namespace)
        bed.create("bob", user="bob")
        await bed.until("CredentialsReady", "False", "SigningKeyUnusable", name="bob")
        assert condition(bed.session(), "CredentialsReady")["status"] == "True"
    assert version(bed) == before


async def test_stopping_takes_the_tokens_and_a_new_run_has_new_ones(
    bed: Bed, operate: Operate, keys: Path
) -> None:
    with operate():
        bed.create()
        await bed.until_issued()
        first = claims(bed, keys)["jti"]
        bed.edit(lifecycle="Stopped")
        await eventually(lambda: not bed.children("Secret"))
        bed.edit(lifecycle="Running")
        await bed.until_issued()
        assert claims(bed, keys)["jti"] != first


async def test_a_cache_and_a_pool_that_do_not_answer_are_told_and_hinder_nothing_else(
    bed: Bed, operate: Operate
) -> None:
    with operate():
        bed.create(workers=[{"pool": "batch", "backend": "HTCondor", "max": 5}])
        session = await bed.until("DataReady", "False", "CacheUnreachable", seconds=90)
        assert "127.0.0.1:1" in condition(session, "DataReady")["message"]
        await bed.until("WorkersReady", "False", "ScheddUnreachable", seconds=90)
        await bed.until("CredentialsReady", "True", "Issued")


async def test_a_key_that_is_replaced_reaches_a_session_by_itself(
    bed: Bed, operate: Operate, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_watch, "PAUSE_SECONDS", 0.1)
    with operate():
        bed.create()
        await bed.until_issued()
        await eventually(lambda: claims(bed, keys))
        (keys / "idtoken").write_bytes(new_idtoken_key())
        # Of the new key: `claims` refuses a token of any other.
        await eventually(lambda: signed_anew(bed, keys), what="a token of the new key")


def signed_anew(bed: Bed, keys: Path) -> bool:
    try:
        return bool(claims(bed, keys))
    except CredentialError:
        return False


def site_trouble(ports: Ports) -> str:
    """Return what the operator says to be wrong with the site; nothing while it does not answer."""
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{ports.status}/sitez", timeout=5)
    except urllib.error.HTTPError as error:
        return error.read().decode()
    except urllib.error.URLError:
        return ""
    raise AssertionError("nothing is said to be wrong")


async def test_an_admin_is_told_of_a_key_that_cannot_be_used(
    operate: Operate, keys: Path, free_ports: Ports
) -> None:
    (keys / "macaroon").write_bytes(b"")
    what = f"macaroon key {keys / 'macaroon'}: it is empty"
    with operate(ports=free_ports):
        await eventually(lambda: what in site_trouble(free_ports), what="the key's file is named")


async def test_an_admin_is_told_of_a_certificate_that_is_lost(
    operate: Operate, site: Site, free_ports: Ports, namespace: str
) -> None:
    assert site.cache
    cache = site.cache.model_copy(update={"tls_secret": "lost", "tls_names": ("xcache",)})
    lost = site.model_copy(update={"cache": cache, "operator_namespace": namespace})
    what = "Secret lost cannot be kept valid: it is gone"
    with operate(lost, ports=free_ports):
        await eventually(lambda: what in site_trouble(free_ports), what="the Secret is named")
