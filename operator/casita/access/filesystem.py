"""``root://`` for fsspec, hence uproot and coffea: reads that outlive the token they began with.

The stock file system with three differences, all for the site's cache alone, which is called
``xcache`` in URLs; other hosts are read as ever.

- It logs in anew once the token was renewed (`casita.access.login`).
- It asks a second time, by a new login, where the first was refused or its connection broken.
- It reads from ``$CASITA_XCACHE``, as ``host:port``, where that is set: ``xcache`` is a name of the
  session's namespace, and a worker in a batch job runs elsewhere.
"""

import functools
import os
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from fsspec_xrootd import XRootDFile
from fsspec_xrootd import XRootDFileSystem as StockFileSystem
from XRootD import client

from casita.access.login import Logins, token_file

CACHE: Final = "xcache"
CACHE_PORT: Final = 1094
ADDRESS_VARIABLE: Final = "CASITA_XCACHE"

_REFUSED: Final = re.compile(r"\[3010\]")
"""kXR_NotAuthorized (``src/XProtocol/XProtocol.hh``)."""

_LOST: Final = re.compile(
    r"Auth failed|Socket disconnected|Stream disconnect|Invalid session"
    r"|\[\d{4}\] .*connection refused"
)
"""Said of a login, or by a cache of its connection to the origin, where another one may do.

From ``src/XrdCl/XrdClStatus.cc``. Not of a server that cannot be reached: XRootD's client has tried
for minutes before it says so.
"""

T = TypeVar("T")

logins: Final = Logins(lambda: token_file(os.environ))
"""Of this process, as the connections are."""


def _twice(operation: Callable[..., Awaitable[T]]) -> Callable[..., Awaitable[T]]:
    """Let a method of the stock file system be tried again, by a new login, where that may help."""

    @functools.wraps(operation)
    async def trying(self: "XRootDFileSystem", *args: Any, **options: Any) -> T:
        login = logins.current()
        try:
            return await operation(self, *args, **options)
        except OSError as error:
            if not self.is_worth_another_try(error, login):
                raise
        return await operation(self, *args, **options)

    return trying


class XRootDFileSystem(StockFileSystem):  # type: ignore[misc] # the stock one has no types
    """Files of XRootD servers."""

    def __init__(self, hostid: str, **options: Any) -> None:
        """Take the options of the stock file system.

        Args:
            hostid: ``[user[:password]@]host[:port]``.
            options: as there; `locate_all_sources` is off for the cache, which names no others.
        """
        self._asked = hostid
        self._clients: tuple[str, Any] | None = None
        if is_cache(hostid, _told()):
            options = {"locate_all_sources": False, **options}
        super().__init__(hostid, **options)

    @staticmethod
    def _get_kwargs_from_urls(u: str) -> dict[str, str]:
        hostid = client.URL(u).hostid
        # Whoever hands back a name that was made here must not pin its login.
        return {"hostid": _place(hostid) if is_cache(hostid, _told()) else hostid}

    @property
    def hostid(self) -> str:
        """Whom to connect to as what is opened now; the stock one makes every URL from it."""
        return address(self._asked, _told(), logins.current())

    @hostid.setter
    def hostid(self, _: str) -> None:
        """Leave it: the stock constructor sets what it was given."""

    @property
    def _myclient(self) -> Any:
        hostid = self.hostid
        if self._clients is None or self._clients[0] != hostid:
            self._clients = hostid, client.FileSystem(f"root://{hostid}")
        return self._clients[1]

    @_myclient.setter
    def _myclient(self, _: Any) -> None:
        """Leave it, as above."""

    # What reads: by these uproot opens, sizes and reads its files.
    _info = _twice(StockFileSystem._info)
    _exists = _twice(StockFileSystem._exists)
    _ls = _twice(StockFileSystem._ls)
    _cat_file = _twice(StockFileSystem._cat_file)
    _cat_vector_read = _twice(StockFileSystem._cat_vector_read)
    _get_file = _twice(StockFileSystem._get_file)

    def _open(self, path: str, *args: Any, **options: Any) -> XRootDFile:
        login = logins.current()
        try:
            return super()._open(path, *args, **options)
        except OSError as error:
            if not self.is_worth_another_try(error, login):
                raise
        return super()._open(path, *args, **options)

    def is_worth_another_try(self, error: OSError, login: int) -> bool:
        """Say whether what failed by this login may succeed by the one that is current now."""
        if not is_cache(self._asked, _told()):
            return False
        if _REFUSED.search(str(error)):
            return logins.refused(login)
        return bool(_LOST.search(str(error))) and logins.lost(login)


def address(hostid: str, told: str, login: int) -> str:
    """Return whom to connect to.

    Args:
        hostid: who was asked for.
        told: where the cache is if its name means nothing here, as ``host:port``; or nothing.
        login: number of the login.
    """
    if not is_cache(hostid, told):
        return hostid
    return f"t{login}@{told or _place(hostid)}"


def is_cache(hostid: str, told: str) -> bool:
    """Say whether a URL's host is the site's cache, by its short name or by the one told."""
    return _place(hostid) in {CACHE, f"{CACHE}:{CACHE_PORT}", told}


def _place(hostid: str) -> str:
    return hostid.rpartition("@")[2]


def _told() -> str:
    return os.environ.get(ADDRESS_VARIABLE, "")
