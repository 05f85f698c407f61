"""Users' rows in ServiceX's database (``UserModel`` of its ``servicex_app/models.py``).

ServiceX takes an access token if a row has its ``sub`` and is not pending. Its migrations make
``email`` alone unique, so that both are the user's name. The row stays when the user's last session
has ended, pending again: the user's requests keep their owner by it.
"""

from collections.abc import Collection

from casita.columns.database import Database

_ADMIT = """
INSERT INTO users (sub, email, name, admin, pending, created_at, updated_at)
VALUES (%s, %s, %s, false, false, now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC')
ON CONFLICT (email) DO UPDATE
SET sub = excluded.sub, admin = false, pending = false, refresh_token = NULL,
    updated_at = excluded.updated_at
RETURNING id
"""
_NUMBER = "SELECT id FROM users WHERE sub = %s AND NOT pending"
_WITHDRAW = """
UPDATE users SET pending = true, admin = false, refresh_token = NULL
WHERE pending IS NOT TRUE AND NOT sub = ANY(%s)
AND updated_at < (now() AT TIME ZONE 'UTC') - make_interval(secs => %s)
RETURNING sub
"""
_COUNT = "SELECT count(*) FROM users WHERE NOT pending"
_ADMITTED = "SELECT sub FROM users WHERE NOT pending"


async def admit(database: Database, user: str) -> int:
    """Let ServiceX know the user, with no right of an admin; return the number of the row."""
    ((number,),) = await database.run(_ADMIT, user, user, user)
    return int(number)


async def number(database: Database, user: str) -> int | None:
    """Return the number of the user's row; `None` if ServiceX does not let the user in."""
    rows = await database.run(_NUMBER, user)
    return int(rows[0][0]) if rows else None


async def withdraw(database: Database, living: Collection[str], seconds: float) -> list[str]:
    """Let in nobody any more but `living`, and who came within the last `seconds`.

    Whoever came just now may have a session that was not there when `living` was asked for.
    """
    return [row[0] for row in await database.run(_WITHDRAW, list(living), seconds)]


async def count(database: Database) -> int:
    """Return how many users ServiceX lets in."""
    ((found,),) = await database.run(_COUNT)
    return int(found)


async def admitted(database: Database) -> frozenset[str]:
    """Return whom ServiceX lets in."""
    return frozenset(row[0] for row in await database.run(_ADMITTED))
