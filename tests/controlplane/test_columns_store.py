"""At the real object store: a user's keys read what was delivered to that user, no more."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from botocore.exceptions import ClientError
from servicex.minio_adapter import MinioAdapter

from casita.columns import s3, users
from casita.columns.reaper import Reaper
from casita.columns.refusal import RefusedError
from casita.columns.s3 import Keys
from casita.columns.settings import DatabaseAddress, Transformers
from casita.columns.store import Store
from tests.support.objectstore import ROOT, ObjectStore, object_store
from tests.unit.columns_bed import Bed, add_request, bearing, bed, server


@pytest.fixture(name="running")
def _running() -> Iterator[ObjectStore]:
    with object_store() as found:
        yield found


@pytest.fixture(name="store")
async def _store(running: ObjectStore) -> AsyncIterator[Store]:
    async with aiohttp.ClientSession() as http:
        yield Store(http, running.url, ROOT)


@pytest.fixture(scope="module", name="address")
def _address() -> Iterator[DatabaseAddress]:
    with server() as found:
        yield found


@pytest.fixture(name="door")
async def _door(address: DatabaseAddress, store: Store) -> AsyncIterator[Bed]:
    async with bed(address, store) as found:
        yield found


async def delivered(running: ObjectStore) -> str:
    """Deliver a request; return its bucket."""
    bucket = str(uuid4())
    await running.deliver(bucket, "muons.parquet", b"PAR1")
    return bucket


async def read(running: ObjectStore, keys: Keys, bucket: str) -> bytes:
    async with running.client(keys) as client:
        answer = await client.get_object(Bucket=bucket, Key="muons.parquet")
        content: bytes = await answer["Body"].read()
        return content


async def refusal(running: ObjectStore, keys: Keys, call: str, **arguments: Any) -> str:
    """Return the code with which a call is refused."""
    async with running.client(keys) as client:
        with pytest.raises(ClientError) as caught:
            await getattr(client, call)(**arguments)
    return str(caught.value.response["Error"]["Code"])


async def test_a_user_lists_and_fetches_what_was_delivered_by_servicexs_client(
    running: ObjectStore, store: Store, tmp_path: Any
) -> None:
    bucket = await delivered(running)
    keys = await store.keys("alice", bucket)
    endpoint = running.url.removeprefix("http://")
    client = MinioAdapter(endpoint, False, keys.access, keys.secret, bucket)
    (file,) = await client.list_bucket()
    assert (file.filename, file.size) == ("muons.parquet", 4)
    path = await client.download_file("muons.parquet", str(tmp_path))
    assert path.read_bytes() == b"PAR1"


async def test_another_user_reads_nothing_of_it(running: ObjectStore, store: Store) -> None:
    bucket, others = await delivered(running), await delivered(running)
    await store.keys("alice", bucket)
    bob = await store.keys("bob", others)
    assert await read(running, bob, others) == b"PAR1"
    where = {"Bucket": bucket}
    assert await refusal(running, bob, "list_objects_v2", **where) == "AccessDenied"
    for call in ("get_object", "head_object"):
        code = await refusal(running, bob, call, Key="muons.parquet", **where)
        assert code in {"AccessDenied", "403"}
    forged = Keys("casita-alice", bob.secret)
    code = await refusal(running, forged, "list_objects_v2", **where)
    assert code == "SignatureDoesNotMatch"


async def test_a_user_changes_nothing_and_makes_nothing(running: ObjectStore, store: Store) -> None:
    bucket = await delivered(running)
    alice = await store.keys("alice", bucket)
    where = {"Bucket": bucket}
    everybody = s3.reader(bucket, "*").decode()
    for call, arguments in (
        ("put_object", {**where, "Key": "muons.parquet", "Body": b"forged"}),
        ("create_multipart_upload", {**where, "Key": "new"}),
        ("copy_object", {**where, "Key": "new", "CopySource": f"{bucket}/muons.parquet"}),
        ("delete_object", {**where, "Key": "muons.parquet"}),
        ("delete_bucket", where),
        ("get_bucket_policy", where),
        ("put_bucket_policy", {**where, "Policy": everybody}),
        ("delete_bucket_policy", where),
        ("put_bucket_acl", {**where, "ACL": "public-read"}),
        ("create_bucket", {"Bucket": str(uuid4())}),
    ):
        assert await refusal(running, alice, call, **arguments) == "AccessDenied", call
    assert await read(running, alice, bucket) == b"PAR1"


async def test_accounts_are_nobodys_to_make_but_the_stores_root(
    running: ObjectStore, store: Store
) -> None:
    alice = await store.keys("alice", await delivered(running))
    async with aiohttp.ClientSession() as http:
        with pytest.raises(RefusedError, match="refused"):
            await Store(http, running.url, alice).users()
        with pytest.raises(RefusedError, match="refused"):
            await Store(http, running.url, Keys(ROOT.access, "guess")).admit("mallory")
        async with http.patch(f"{running.url}/list-users") as answer:
            assert answer.status == 403
    assert await store.users() == {"alice"}


async def test_who_shows_no_keys_is_refused(running: ObjectStore, store: Store) -> None:
    bucket = await delivered(running)
    await store.keys("alice", bucket)
    async with aiohttp.ClientSession() as http:
        for path in ("", "/muons.parquet", "?policy"):
            async with http.get(f"{running.url}/{bucket}{path}") as answer:
                assert answer.status == 403


async def test_a_store_that_lost_its_accounts_has_them_again_at_the_next_call(
    running: ObjectStore, store: Store
) -> None:
    bucket = await delivered(running)
    before = await store.keys("alice", bucket)
    running.stop()
    with pytest.raises(RefusedError, match="does not answer"):
        await store.keys("alice", bucket)
    running.forget_accounts()
    running.start()
    code = await refusal(running, before, "list_objects_v2", Bucket=bucket)
    assert code == "InvalidAccessKeyId"
    assert await store.keys("alice", bucket) == before
    assert await read(running, before, bucket) == b"PAR1"


async def test_other_keys_of_the_store_make_other_keys_of_its_users(
    running: ObjectStore, store: Store
) -> None:
    bucket = await delivered(running)
    before = await store.keys("alice", bucket)
    running.stop()
    running.root = Keys("1e" * 16, "s" * 64)
    running.start()
    async with aiohttp.ClientSession() as http:
        after = await Store(http, running.url, running.root).keys("alice", bucket)
    assert await read(running, after, bucket) == b"PAR1"
    code = await refusal(running, before, "list_objects_v2", Bucket=bucket)
    assert code == "SignatureDoesNotMatch"


async def test_a_user_who_is_withdrawn_is_refused_at_once_and_may_come_back(
    running: ObjectStore, store: Store
) -> None:
    bucket = await delivered(running)
    keys = await store.keys("alice", bucket)
    assert await read(running, keys, bucket) == b"PAR1"
    await store.withdraw("alice")
    code = await refusal(running, keys, "list_objects_v2", Bucket=bucket)
    assert code == "InvalidAccessKeyId"
    await store.withdraw("alice")
    assert await store.keys("alice", bucket) == keys
    assert await read(running, keys, bucket) == b"PAR1"


async def test_a_bucket_that_was_tidied_away_is_no_fault(
    running: ObjectStore, store: Store
) -> None:
    bucket = str(uuid4())
    keys = await store.keys("alice", bucket)
    await running.deliver(bucket, "muons.parquet", b"PAR1")
    assert await store.keys("alice", bucket) == keys
    assert await read(running, keys, bucket) == b"PAR1"


async def test_the_front_door_hands_out_a_users_own_keys_and_never_the_stores(
    running: ObjectStore, door: Bed
) -> None:
    session = door.api.session("alice", "a")
    token = await door.access_token("alice", session)
    request = await add_request(door.database, "alice", "complete")
    await running.deliver(request, "muons.parquet", b"PAR1")
    door.app.answer = {
        "request_id": request,
        "minio-endpoint": "store:9000",
        "minio-access-key": ROOT.access,
        "minio-secret-key": ROOT.secret,
    }
    path = f"/servicex/transformation/{request}"
    answer = await door.client.get(path, headers=bearing(token))
    text = await answer.text()
    assert ROOT.access not in text
    assert ROOT.secret not in text
    told = json.loads(text)
    assert (told["request_id"], told["minio-endpoint"]) == (request, "store:9000")
    keys = Keys(told["minio-access-key"], told["minio-secret-key"])
    assert await read(running, keys, request) == b"PAR1"
    running.stop()
    answer = await door.client.get(path, headers=bearing(token))
    assert answer.status == 503
    assert ROOT.secret not in await answer.text()


async def test_who_has_no_session_any_more_has_no_account_any_more(
    running: ObjectStore, store: Store, door: Bed
) -> None:
    door.api.session("alice", "a")
    keys = {}
    for user in ("alice", "bob", "carol"):
        keys[user] = await store.keys(user, await delivered(running))
        await users.admit(door.database, user)
    old = "UPDATE users SET updated_at = updated_at - interval '1 hour' WHERE sub <> 'carol'"
    await door.database.run(old)
    settings = Transformers(namespace="casita-transformers")
    reaper = Reaper(door.cluster, door.database, door.sessions, settings, door.metrics, store)
    await reaper.round()
    # Carol came a moment ago: her session may have been made after the list of sessions.
    assert await store.users() == {"alice", "carol"}
    code = await refusal(running, keys["bob"], "list_buckets")
    assert code == "InvalidAccessKeyId"
    running.stop()
    running.forget_accounts()
    running.start()
    await reaper.round()
    assert await store.users() == {"alice", "carol"}
