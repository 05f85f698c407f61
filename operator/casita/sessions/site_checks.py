"""What there is to check on this site, each time with a token that is made for it and soon ends."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

from casita.api.names import PROBE_USER
from casita.clients.checking.request import (
    CacheCheck,
    CheckRequest,
    Pods,
    ScheddCheck,
    ServiceCheck,
)
from casita.config import Batch, DataCache, Inference, Site
from casita.credentials import idtoken, keys, macaroon, mlflow, servicex
from casita.credentials.token import SigningKey
from casita.sessions.checks import CACHE, COLUMNS, SCHEDD, TRACKING, inference_part
from casita.sessions.tokens import pool_of

LIFE: Final = timedelta(minutes=5)
"""Of a check's token: longer than any check, and than clocks are apart."""

ABSENT: Final = "casita-probe-of-the-origin"
"""A name beside the probe file that nobody gives a file: only the origin can say that it has none,
while the cache gives a file that it holds although the origin is down."""

Randomness = Callable[[int], bytes]
Clock = Callable[[], datetime]


def site_checks(
    site: Site, clock: Clock, random: Randomness, root_key: bytes = b""
) -> dict[str, Callable[[], CheckRequest]]:
    """Return the checks of what the site has, by name, as `casita.sessions.checks` takes them.

    Args:
        site: the site; a cache without a probe path is not checked, nor are services that are
            somebody else's.
        clock: the time, with a time zone.
        random: returns so many bytes of randomness (`os.urandom`).
        root_key: the site's root key, which only a site with services of its own needs here.
    """
    found: dict[str, Callable[[], CheckRequest]] = {}
    if site.cache and site.cache.probe_path:
        found[CACHE] = _cache_check(site.cache, site.cache.probe_path, clock, random)
    if site.batch:
        found[SCHEDD] = _schedd_check(site.batch, clock, random)
    if site.inference:
        found.update(_inference_checks(site.inference))
    if site.tracking and site.tracking.own:
        key = mlflow.derive_key(root_key)
        found[TRACKING] = _tracking_check(site.tracking.url, site.domain, key, clock, random)
    if site.columns and site.columns.own:
        key = servicex.derive_key(root_key)
        asks = f"{site.operator_namespace}/{PROBE_USER}/probe"  # in place of a session
        holder = servicex.Holder(site.domain, PROBE_USER, asks)
        found[COLUMNS] = _columns_check(site.columns.url, holder, key, clock, random)
    return found


def _cache_check(
    cache: DataCache, path: str, clock: Clock, random: Randomness
) -> Callable[[], CheckRequest]:
    key_file = keys.macaroon_key_file(cache.key_file)
    authority_file = keys.authority_file(cache.authority_file)

    def request() -> CheckRequest:
        token = macaroon.mint(
            key_file.read(),
            cache.site_name,
            PROBE_USER,
            cache.path_prefix,
            LIFE,
            clock(),
            UUID(bytes=random(16), version=4),
        )
        authority = authority_file.read().decode()
        absent = f"{path.rpartition('/')[0]}/{ABSENT}"
        return CacheCheck(cache.host, cache.port, token.text, authority, path, absent)

    return request


def _schedd_check(batch: Batch, clock: Clock, random: Randomness) -> Callable[[], CheckRequest]:
    key_file = keys.idtoken_key_file(batch.key_file, batch.key_id)

    def request() -> CheckRequest:
        number = random(16).hex()
        token = idtoken.probe_token(key_file.read(), pool_of(batch), LIFE, clock(), number)
        return ScheddCheck(batch.collector, batch.schedd, token.text, idtoken.PROBE_SCOPE)

    return request


def _inference_checks(inference: Inference) -> dict[str, Callable[[], CheckRequest]]:
    """Return the checks of the chart's own servers; Triton is ready when all its models are."""
    found: dict[str, Callable[[], CheckRequest]] = {}
    for server in inference.servers:
        if server.health_url is None:
            continue
        labels = {"app.kubernetes.io/name": "triton", "app.kubernetes.io/component": server.name}
        check = ServiceCheck(
            f"the inference server {server.name}",
            f"{server.health_url}/v2/health/ready",
            pods=Pods(inference.namespace, labels) if inference.namespace else None,
        )
        found[inference_part(server.name)] = partial(_same, check)
    return found


def _same(check: ServiceCheck) -> CheckRequest:
    return check


def _tracking_check(
    url: str, domain: str, key: SigningKey, clock: Clock, random: Randomness
) -> Callable[[], CheckRequest]:
    """Return the check of the tracking server: a search proves that it has its database, too."""

    def request() -> CheckRequest:
        token = mlflow.mint(key, domain, PROBE_USER, LIFE, clock(), random(16).hex())
        asked = f"{url}/api/2.0/mlflow/experiments/search?max_results=1"
        return ServiceCheck("the tracking server", asked, token=token.text)

    return request


def _columns_check(
    url: str, holder: servicex.Holder, key: SigningKey, clock: Clock, random: Randomness
) -> Callable[[], CheckRequest]:
    def request() -> CheckRequest:
        one, other = (UUID(bytes=random(16), version=4) for _ in range(2))
        token = servicex.mint(key, holder, LIFE, clock(), one, other)
        return ServiceCheck("ServiceX", f"{url}/token/refresh", method="POST", token=token.text)

    return request
