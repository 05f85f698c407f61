"""Protected data through the cache: who may read, what is kept, and what happens without origin."""

import base64
import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from casita.credentials.macaroon import derive_key, mint
from casita.credentials.token import SigningKey
from tests import origin
from tests.cluster.access import image_references
from tests.e2e.conftest import NAMESPACE
from tests.facility import NAMESPACE as SYSTEM
from tests.support import kubectl, macaroons
from tests.support.cluster import eventually
from tests.support.xrootd import Client, client, secret

CACHE = "deployment/casita-xcache"
METRICS = f"/api/v1/namespaces/{SYSTEM}/services/casita-xcache-metrics:9100/proxy/metrics"
NOT_LET_IN = "Auth failed"
NOT_ALLOWED = "permission denied"


@dataclass(frozen=True)
class Minter:
    """Makes macaroons by the key that the cache has."""

    material: bytes

    def __call__(
        self, path: str = "/store/", life: timedelta = timedelta(hours=1), user: str = "alice"
    ) -> str:
        key = SigningKey(self.material, "test")
        return mint(key, "casita", user, path, life, datetime.now(UTC), uuid4()).text

    def of_caveats(self, *caveats: str, location: str = "casita") -> str:
        return macaroons.forge(self.material, location, str(uuid4()), caveats)


@pytest.fixture(scope="module")
def minter() -> Minter:
    text = secret(SYSTEM, "casita-macaroon-key")["key"]
    return Minter(derive_key(base64.b64decode(text)))


@pytest.fixture(scope="module")
def reader() -> Iterator[Client]:
    """A pod of alice's session."""
    authority = secret(SYSTEM, "casita-xcache-tls")["ca.pem"]
    with client(
        NAMESPACE, image_references()["xcache"], authority, f"alice-{uuid4().hex[:6]}"
    ) as it:
        yield it


@pytest.fixture(scope="module", autouse=True)
def filled(reader: Client, minter: Minter) -> list[str]:
    """Read more than the cache keeps; it takes two looks, of a minute each, to purge it."""
    paths = [f"/store/large/{number}" for number in range(origin.LARGE_FILES)]
    for path in paths:
        reader.fetch(url(path), minter())
    return paths


@pytest.fixture
def fresh() -> Callable[[], str]:
    """Gives paths of files that the cache does not have."""
    return _fresh


def _fresh() -> str:
    """Add a file to the origin's, and return its path."""
    path = f"/store/small/{uuid4().hex}"
    script = "import pathlib, os, sys; pathlib.Path(sys.argv[1]).write_bytes(os.urandom(300_000))"
    _in_origin("python3", "-c", script, f"/files{path}")
    return path


def _in_origin(*command: str) -> bytes:
    target = ("exec", f"deployment/{origin.NAME}", "-c", origin.NAME, "--")
    return kubectl.run("-n", origin.NAMESPACE, *target, *command)


def _in_cache(*command: str) -> bytes:
    return kubectl.run("-n", SYSTEM, "exec", CACHE, "-c", "xcache", "--", *command)


def url(path: str) -> str:
    return f"root://xcache/{path}"


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def at_origin(path: str) -> str:
    return _in_origin("sha256sum", f"/files{path}").split()[0].decode()


def metric(name: str) -> float:
    lines = kubectl.run("get", "--raw", METRICS).decode().splitlines()
    (line,) = (line for line in lines if line.startswith(f"casita_xcache_{name} "))
    return float(line.rpartition(" ")[2])


def later(life: timedelta) -> str:
    return f"before:{(datetime.now(UTC) + life).strftime('%Y-%m-%dT%H:%M:%SZ')}"


def test_alice_reads_what_the_origin_has(reader: Client, minter: Minter) -> None:
    content = reader.read(url(origin.SHARED_FILE), minter())
    assert content.startswith(b"root")
    assert digest(content) == at_origin(origin.SHARED_FILE)


def test_without_a_good_macaroon_nothing_is_read_though_it_is_cached(
    reader: Client, minter: Minter
) -> None:
    good = minter()
    reader.fetch(url(origin.SHARED_FILE), good)
    name, download, store = "name:alice", "activity:DOWNLOAD,LIST", "path:/store/"
    hour = later(timedelta(hours=1))
    foreign = secret(SYSTEM, origin.TOKEN_SECRET)["token"].decode()
    refused = {
        "none": "",
        "expired": minter.of_caveats(name, download, store, later(timedelta(seconds=-5))),
        "truncated": good[:-20],
        "garbage": "x" * 200,
        "widened": macaroons.replace(good, "path:/store/", "path:/"),
        "extended": macaroons.replace(good, "before:", "before:9"),
        "signed by another key": Minter(derive_key(b"x" * 64))(),
        "beyond maxduration": minter.of_caveats(name, download, store, later(timedelta(days=2))),
        "unknown caveat": minter.of_caveats(name, download, store, hour, "ip:127.0.0.1"),
        "of another server": foreign,
    }
    said = {what: reader.refused(url(origin.SHARED_FILE), token) for what, token in refused.items()}
    assert {what: words for what, words in said.items() if NOT_LET_IN not in words} == {}


def test_a_macaroon_allows_its_path_and_activity_alone(reader: Client, minter: Minter) -> None:
    own = minter("/store/users/alice/")
    assert reader.read(url("/store/users/alice/own"), own) == b"for alice"
    hour = later(timedelta(hours=1))
    lister = minter.of_caveats("name:alice", "activity:LIST", "path:/store/", hour)
    reader.fetch(url("/store/users/bob/own"), minter())
    refused = {
        "bob's": ("/store/users/bob/own", own),
        "bob's, by the way": ("/store/users/alice/../bob/own", own),
        "a name that goes on": ("/store/users/alicetoo", own),
        "beside the export": ("/storeevil/secret", minter()),
        "listing alone": (origin.SHARED_FILE, lister),
    }
    said = {what: reader.refused(url(path), token) for what, (path, token) in refused.items()}
    told = (NOT_ALLOWED, "not allowed", "disallowed", "is invalid")
    assert {what: words for what, words in said.items() if not any(t in words for t in told)} == {}


def test_a_holder_may_give_away_less_than_he_has(reader: Client, minter: Minter) -> None:
    less = macaroons.narrow(minter(), "path:/store/users/alice/")
    assert reader.read(url("/store/users/alice/own"), less) == b"for alice"
    assert NOT_ALLOWED in reader.refused(url("/store/users/bob/own"), less)
    more = macaroons.narrow(minter("/store/users/alice/"), "path:/store/")
    assert NOT_ALLOWED in reader.refused(url("/store/users/bob/own"), more)


async def test_a_second_read_needs_no_origin_and_the_metrics_say_so(
    reader: Client, minter: Minter, fresh: Callable[[], str]
) -> None:
    path = fresh()
    hits, misses = metric('accesses_total{result="hit"}'), metric('accesses_total{result="miss"}')
    cold = reader.read(url(path), minter())
    await eventually(
        lambda: metric('accesses_total{result="miss"}') > misses, 20, what="a miss", pause=0.5
    )
    warm = reader.read(url(path), minter())
    await eventually(
        lambda: metric('accesses_total{result="hit"}') > hits, 20, what="a hit", pause=0.5
    )
    assert digest(cold) == digest(warm) == at_origin(path)
    await eventually(lambda: metric("authenticated_total") >= 2, 20, what="logins", pause=0.5)


def test_the_users_token_stays_between_user_and_cache(
    reader: Client, minter: Minter, fresh: Callable[[], str]
) -> None:
    token, path = minter(), fresh()
    reader.fetch(url(path), token)
    told = origin.log()
    assert path in told
    cache = kubectl.run("-n", SYSTEM, "logs", CACHE, "-c", "xcache", "--tail=-1").decode()
    identifier = dict(macaroons.decoded(token))[b"identifier"].decode()
    assert identifier in cache
    for text in (token, token[:60], "authz", identifier):
        assert text not in told
    assert token[:60] not in cache


async def test_without_its_origin_the_cache_serves_what_it_has_and_says_what_it_has_not(
    reader: Client, minter: Minter, fresh: Callable[[], str]
) -> None:
    cached, missing = fresh(), fresh()
    content = reader.read(url(cached), minter())
    up = f'origin_up{{origin="{origin.HOST}:{origin.PORT}"}}'
    origin.scale(0)
    try:
        assert reader.read(url(cached), minter()) == content
        began = time.monotonic()
        assert "Unable to open" in reader.refused(url(missing), minter())
        assert time.monotonic() - began < 30
        await eventually(lambda: metric(up) == 0, 45, what="the origin is seen down", pause=1)
        told = kubectl.run("-n", SYSTEM, "logs", CACHE, "-c", "metrics").decode()
        assert f"WARNING origin {origin.HOST}:{origin.PORT}:" in told
    finally:
        origin.scale(1)
    another = fresh()  # the origin's files are made anew when it starts
    expected = at_origin(another)

    def back() -> bool:
        try:
            return digest(reader.read(url(another), minter())) == expected
        except kubectl.KubectlError as error:
            raise AssertionError(str(error)) from error

    await eventually(back, 60, what="the cache reads from its origin again", pause=1)
    await eventually(lambda: metric(up) == 1, 45, what="the origin is seen up", pause=1)


def test_a_reader_goes_on_when_the_cache_starts_anew(reader: Client, minter: Minter) -> None:
    path = origin.HUGE_FILE
    reading = reader.start(url(path), minter(), "--xrate", "50m")
    assert reading.stdout is not None
    head = b""
    while len(head) < 20 * 2**20:
        more = reading.stdout.read(2**20)
        assert more, "the reader has ended"
        head += more
    before = _server()
    _in_cache("sh", "-c", "kill -HUP 1")  # as when the key or the origin's token changed
    rest, words = reading.communicate(timeout=90)
    assert reading.returncode == 0, words
    assert digest(head + rest) == at_origin(path)
    assert _server() != before


def _server() -> bytes:
    return _in_cache("cat", "/tmp/xrd/xrootd.pid")


async def test_a_full_cache_makes_room(reader: Client, minter: Minter, filled: list[str]) -> None:
    """Files of 600 MB went through a cache that keeps 450 MB (tests/cluster/values.yaml)."""
    await eventually(lambda: _cached() < 450 * 2**20, 200, what="files are purged", pause=3)
    left = _in_cache("find", "/cache/files/store/large", "-size", "+1M").decode().split()
    assert len(left) < len(filled)
    assert digest(reader.read(url(filled[0]), minter())) == at_origin(filled[0])


def _cached() -> int:
    return int(_in_cache("du", "--summarize", "--bytes", "/cache/files").split()[0])
