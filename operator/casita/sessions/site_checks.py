"""What there is to check on this site, each time with a token that is made for it and soon ends."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from casita.api.names import PROBE_USER
from casita.clients.checking.request import CacheCheck, CheckRequest, ScheddCheck
from casita.config import Batch, DataCache, Site
from casita.credentials import idtoken, keys, macaroon
from casita.sessions.checks import CACHE, SCHEDD
from casita.sessions.tokens import pool_of

LIFE: Final = timedelta(minutes=5)
"""Of a check's token: longer than any check, and than clocks are apart."""

ABSENT: Final = "casita-probe-of-the-origin"
"""A name beside the probe file that nobody gives a file: only the origin can say that it has none,
while the cache gives a file that it holds although the origin is down."""

Randomness = Callable[[int], bytes]
Clock = Callable[[], datetime]


def site_checks(
    site: Site, clock: Clock, random: Randomness
) -> dict[str, Callable[[], CheckRequest]]:
    """Return the checks of what the site has, by name, as `casita.sessions.checks` takes them.

    Args:
        site: the site; a cache without a probe path is not checked.
        clock: the time, with a time zone.
        random: returns so many bytes of randomness (`os.urandom`).
    """
    found: dict[str, Callable[[], CheckRequest]] = {}
    if site.cache and site.cache.probe_path:
        found[CACHE] = _cache_check(site.cache, site.cache.probe_path, clock, random)
    if site.batch:
        found[SCHEDD] = _schedd_check(site.batch, clock, random)
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
