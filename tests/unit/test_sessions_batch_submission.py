"""What a job is, and what it is given: as the pool and the site say, and for no longer than it."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from casita.api.session import SessionSpec
from casita.clients.kubernetes import KubernetesClient
from casita.config import Site
from casita.credentials import idtoken
from casita.credentials.errors import CredentialError, SigningKeyError
from casita.credentials.keys import idtoken_key_file
from casita.credentials.system import new_idtoken_key
from casita.credentials.verify import load_certificate, verify_leaf
from casita.credentials.x509 import Role
from casita.manifests.common import Manifest
from casita.manifests.resources import Resource
from casita.sessions.batch_submission import (
    LEAF_MARGIN,
    BatchCredentials,
    leaf_life,
    worker_job,
)
from casita.sessions.issuing import Issued
from casita.sessions.token_keys import TokenKeys
from tests.unit.sessions_batch import (
    AUTHORITY_MADE,
    AUTHORITY_SECRET,
    KEYS,
    NOW,
    OWNER,
    RUN,
    SITE,
    spec_of,
)


class OneSecret(KubernetesClient):
    """Answers every read with the authority's Secret."""

    def __init__(self, session: aiohttp.ClientSession, secret: Manifest) -> None:
        super().__init__(session, "https://nobody")
        self.secret = secret
        self.asked: list[tuple[str, str, str]] = []

    async def read(self, resource: Resource, namespace: str, name: str) -> dict[str, Any]:
        self.asked.append((resource.kind, namespace, name))
        return self.secret


def site_with(**workers: Any) -> Site:
    values = SITE.model_dump(by_alias=True, exclude_none=True)
    values["batch"]["workers"] |= workers
    return Site.model_validate(values)


def job_of(site: Site = SITE, spec: SessionSpec | None = None) -> Any:
    found = spec or spec_of(1)
    assert found.workers
    return worker_job(OWNER, found, site, found.workers[0], RUN)


def test_a_job_is_as_its_pool_and_its_site_say() -> None:
    pool = {
        "pool": "batch",
        "backend": "HTCondor",
        "max": 5,
        "cores": 2,
        "memoryMiB": 3000,
        "diskMiB": 2000,
        "requirements": "HasGpu",
        "accountingGroup": "group_cms.alice",
    }
    site = site_with(queueSeconds=100, wallSeconds=1000, environment={"A": "1"}, firstPort=2000)
    job = job_of(site, spec_of(1, [pool]))
    assert (job.session, job.run, job.slug, job.pool) == (OWNER.uid, RUN, OWNER.slug, "batch")
    assert (job.cores, job.memory_mi_b, job.disk_mi_b) == (2, 3000, 2000)
    assert job.requirements == ("HasCvmfs", "HasGpu")
    assert job.accounting_group == "group_cms.alice"
    assert (job.queue_seconds, job.wall_seconds, job.drain_seconds) == (100, 1000, 300)
    assert (job.first_port, job.environment) == (2000, {"A": "1"})
    assert job.scheduler == f"tls://{OWNER.slug}.dask.af.test:8786"
    assert job.image == ""


def test_a_job_has_the_sessions_image_where_the_site_runs_containers() -> None:
    site = site_with(universe="container")
    assert job_of(site).image == "example.org/notebook:1"
    own = spec_of(1).model_copy(update={"image": "example.org/other:2"})
    assert job_of(site, own).image == "example.org/other:2"


def test_empty_requirements_are_left_out() -> None:
    assert job_of(site_with(requirements="")).requirements == ()


@pytest.fixture
def issued() -> list[Issued]:
    return []


@pytest.fixture
def key_site(tmp_path: Path) -> Site:
    (tmp_path / "key").write_bytes(new_idtoken_key())
    values = SITE.model_dump(by_alias=True, exclude_none=True)
    values["batch"]["keyFile"] = str(tmp_path / "key")
    return Site.model_validate(values)


async def files_of(
    site: Site, issued: list[Issued], job: Any, now: Any = NOW
) -> tuple[Mapping[str, bytes], list[tuple[str, str, str]]]:
    async with aiohttp.ClientSession() as unused:
        client = OneSecret(unused, AUTHORITY_SECRET)
        made = BatchCredentials(client, site, KEYS, TokenKeys(site), issued.append, lambda: now)
        return await made.files(OWNER, "alice", job), client.asked


async def test_a_submission_costs_one_request_and_its_leaf_ends_with_the_job(
    key_site: Site, issued: list[Issued]
) -> None:
    job = job_of(key_site)
    files, asked = await files_of(key_site, issued, job)
    assert asked == [("Secret", OWNER.namespace, f"{OWNER.slug}-authority")]
    names = (f"{OWNER.slug}-worker",)
    leaf = verify_leaf(
        files["tls.crt"], files["tls.key"], files["ca.pem"], NOW, role=Role.WORKER, names=names
    )
    assert files["ca.pem"] == AUTHORITY_MADE.certificate_pem
    days, drain = timedelta(days=2), timedelta(seconds=300)
    assert leaf.not_after == NOW + days + drain + LEAF_MARGIN == NOW + leaf_life(job)
    assert [(i.kind, i.user, i.not_after) for i in issued] == [
        ("batch-worker", "alice", leaf.not_after)
    ]
    assert b"PRIVATE" not in repr(issued).encode()


async def test_a_leaf_never_outlives_its_authority(key_site: Site, issued: list[Issued]) -> None:
    late = AUTHORITY_MADE.not_after - timedelta(hours=1)
    files, _ = await files_of(key_site, issued, job_of(key_site), late)
    assert load_certificate(files["tls.crt"]).not_valid_after_utc == AUTHORITY_MADE.not_after


async def test_no_leaf_is_made_by_another_authority_than_the_jobs(
    key_site: Site, issued: list[Issued]
) -> None:
    spec = spec_of(1)
    assert spec.workers
    other = worker_job(OWNER, spec, key_site, spec.workers[0], "0" * 16)
    with pytest.raises(CredentialError, match="another authority"):
        await files_of(key_site, issued, other)
    assert issued == []


async def test_an_account_is_the_users_own_and_its_token_ends_in_ten_minutes(
    key_site: Site, issued: list[Issued]
) -> None:
    assert key_site.batch
    async with aiohttp.ClientSession() as unused:
        made = BatchCredentials(
            OneSecret(unused, {}), key_site, KEYS, TokenKeys(key_site), issued.append, lambda: NOW
        )
        account = made.account(OWNER, "alice")
        with pytest.raises(CredentialError, match="reserved"):
            made.account(OWNER, "condor")
    assert (account.collector, account.schedd) == ("cm.af.test:9618", "casita@af.test")
    assert account.identity == "alice@af.users"
    key = idtoken_key_file(key_site.batch.key_file, "casita").read()
    said = idtoken.claims(key, account.token)
    assert said["sub"] == "alice@af.users"
    assert said["exp"] - said["iat"] == 600
    assert account.token not in repr(account)
    assert [(i.kind, i.serial) for i in issued] == [("idtoken-operator", said["jti"])]


async def test_a_site_whose_key_is_lost_makes_no_account(
    key_site: Site, issued: list[Issued]
) -> None:
    assert key_site.batch
    key_site.batch.key_file.unlink()
    async with aiohttp.ClientSession() as unused:
        made = BatchCredentials(
            OneSecret(unused, {}), key_site, KEYS, TokenKeys(key_site), issued.append, lambda: NOW
        )
        with pytest.raises(SigningKeyError):
            made.account(OWNER, "alice")
