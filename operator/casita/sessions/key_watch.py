"""Keys that are replaced while sessions live: every session gets new tokens, without a restart."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from casita.credentials.errors import SigningKeyError
from casita.sessions.token_keys import Material

PAUSE_SECONDS: Final = 10.0
"""A look is a `stat` of each file; kubelets take a minute or two to bring a new key anyway."""


class KeyWatch:
    """Looks at the site's keys again and again.

    Args:
        read: returns what the files hold now; may raise `SigningKeyError`.
        changed: called when that is another than before: other keys, or other trouble with them.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        read: Callable[[], Material],
        changed: Callable[[], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._read = read
        self._changed = changed
        self._sleep = sleep

    async def run(self) -> None:
        """Look until cancelled."""
        before = self._look()
        while True:
            await self._sleep(PAUSE_SECONDS)
            now = self._look()
            if now != before:
                before = now
                self._changed()

    def _look(self) -> Material | str:
        try:
            return self._read()
        except SigningKeyError as error:
            return str(error)
