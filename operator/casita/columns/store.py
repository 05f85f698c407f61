"""Users' own accounts at the chart's object store, each of which reads its user's buckets alone.

ServiceX knows the store's root keys only, and would hand them to everybody. The store may forget
its accounts, for instance when its pod is made anew: so each is made sure of whenever it is handed
out, and all of them by the reaper's rounds.
"""

import logging
from typing import Final

import aiohttp
from yarl import URL

from casita.columns import s3
from casita.columns.refusal import Reason, RefusedError
from casita.columns.s3 import Keys

logger: Final = logging.getLogger("casita.columns")

_TIMEOUT: Final = aiohttp.ClientTimeout(total=10, sock_connect=3)
_KEPT: Final = 10_000


class Store:
    """The chart's object store, as its root.

    Args:
        http: an open HTTP session.
        url: address of the store.
        root: its root keys.
    """

    def __init__(self, http: aiohttp.ClientSession, url: str, root: Keys) -> None:
        self._http = http
        self._url = url
        self._root = root
        self._sure: set[str] = set()
        self._opened: set[str] = set()

    async def keys(self, user: str, bucket: str) -> Keys:
        """Return a user's own keys, with which the bucket can be listed and read.

        Raises:
            RefusedError: the store does not answer, or refused.
        """
        keys = await self.admit(user)
        if bucket not in self._opened:
            # The store's tidying may have taken a bucket that ServiceX still knows.
            policy = s3.reader(bucket, keys.access)
            status, _ = await self._call("PUT", f"/{bucket}?policy", policy, also=404)
            if status != 404:
                if len(self._opened) >= _KEPT:
                    self._opened.clear()
                self._opened.add(bucket)
        return keys

    async def admit(self, user: str) -> Keys:
        """Make sure that a user has an account, and that its keys are those of now.

        Raises:
            RefusedError: the store does not answer, or refused.
        """
        keys = s3.own_keys(self._root, user)
        status, _ = await self._call("PATCH", "/create-user", s3.account(keys), also=409)
        if status == 409 and user not in self._sure:
            # It may have been made when the store had other keys.
            await self._call("PATCH", f"/update-user?access={keys.access}", s3.changes(keys))
        self._sure.add(user)
        return keys

    async def withdraw(self, user: str) -> None:
        """Delete a user's account; the user's buckets stay.

        Raises:
            RefusedError: the store does not answer, or refused.
        """
        self._sure.discard(user)
        access = s3.own_keys(self._root, user).access
        await self._call("PATCH", f"/delete-user?access={access}")

    async def users(self) -> frozenset[str]:
        """Return who has an account.

        Raises:
            RefusedError: the store does not answer, or refused.
        """
        _, listed = await self._call("PATCH", "/list-users")
        return s3.users(listed)

    async def _call(
        self, method: str, path: str, body: bytes = b"", also: int = 0
    ) -> tuple[int, bytes]:
        """Call as root; an answer of the code `also` is none of refusal."""
        url = self._url + path
        what = f"{method} {path.partition('?')[0]}"
        try:
            async with self._http.request(
                method,
                URL(url, encoded=True),
                data=body,
                headers=s3.signed(self._root, method, url, body),
                timeout=_TIMEOUT,
                allow_redirects=False,
            ) as answer:
                read = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            logger.warning("%s: the object store: %s", what, type(error).__name__)
            raise _away("does not answer") from error
        if answer.status >= 300 and answer.status != also:
            logger.warning("%s: the object store answered %s", what, answer.status)
            raise _away(f"refused ({answer.status})")
        return answer.status, read


def _away(words: str) -> RefusedError:
    return RefusedError(503, Reason.UNAVAILABLE, f"the object store {words}; try again soon")
