"""One connection to ServiceX's database, which comes back after the server was away."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Final, LiteralString

import psycopg

from casita.columns.refusal import Reason, RefusedError
from casita.columns.settings import DatabaseAddress

logger: Final = logging.getLogger("casita.columns")

_STATEMENT: Final = "-c statement_timeout=10000"
"""Milliseconds."""
_CONNECT_SECONDS: Final = 5

Row = tuple[Any, ...]


class Database:
    """ServiceX's database. Statements run one after another."""

    def __init__(self, address: DatabaseAddress, password: str) -> None:
        self._address = address
        self._password = password
        self._opening = asyncio.Lock()
        self._connection: psycopg.AsyncConnection[Row] | None = None

    async def run(self, statement: LiteralString, *values: Any) -> Sequence[Row]:
        """Run a statement, and return its rows; a connection that broke is made anew, once.

        Raises:
            RefusedError: the database does not answer, or has no tables yet.
        """
        for again in (True, False):
            try:
                cursor = await (await self._connected()).execute(statement, values)
                return await cursor.fetchall() if cursor.description else ()
            except psycopg.errors.UndefinedTable as error:
                raise _away("ServiceX is starting") from error
            except psycopg.OperationalError as error:
                await self.close()
                if not again:
                    logger.warning("the database does not answer: %s", type(error).__name__)
                    raise _away("ServiceX's database does not answer") from error
            except psycopg.Error as error:
                # The text of an error may have values of a statement in it.
                words = f"ServiceX's database refused ({type(error).__name__})"
                raise _away(words) from None
        raise AssertionError("unreachable")

    async def close(self) -> None:
        """Close the connection; the next statement opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _connected(self) -> psycopg.AsyncConnection[Row]:
        async with self._opening:
            if self._connection is None or self._connection.closed:
                self._connection = await psycopg.AsyncConnection.connect(
                    host=self._address.host,
                    port=self._address.port,
                    dbname=self._address.name,
                    user=self._address.user,
                    password=self._password,
                    connect_timeout=_CONNECT_SECONDS,
                    options=_STATEMENT,
                    autocommit=True,
                )
            return self._connection


def _away(words: str) -> RefusedError:
    return RefusedError(503, Reason.UNAVAILABLE, f"{words}; try again soon")
