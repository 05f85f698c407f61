"""Requests in ServiceX's database: whose they are, and which are over.

``TransformRequest`` of its ``servicex_app/models.py``; ``status`` holds the names of its
``TransformStatus``.
"""

from collections.abc import Collection

from casita.columns.database import Database

_OWNER = """
SELECT users.sub FROM requests JOIN users ON users.id = requests.submitted_by
WHERE requests.request_id = %s
"""
_OPEN = """
SELECT request_id FROM requests WHERE request_id = ANY(%s) AND (
    status::text NOT IN ('complete', 'fatal', 'canceled')
    OR finish_time > (now() AT TIME ZONE 'UTC') - make_interval(secs => %s)
)
"""
_EXPIRE = """
UPDATE requests
SET status = 'fatal', finish_time = now() AT TIME ZONE 'UTC', failure_description = %s
WHERE status::text NOT IN ('complete', 'fatal', 'canceled')
AND submit_time < (now() AT TIME ZONE 'UTC') - make_interval(secs => %s)
RETURNING request_id
"""


async def owner(database: Database, request: str) -> str | None:
    """Return who made a request; `None` if there is no such."""
    rows = await database.run(_OWNER, request)
    return str(rows[0][0]) if rows else None


async def still_open(
    database: Database, requests: Collection[str], grace_seconds: float
) -> frozenset[str]:
    """Return those of `requests` that are not over, or not for `grace_seconds` yet."""
    rows = await database.run(_OPEN, list(requests), grace_seconds)
    return frozenset(row[0] for row in rows)


async def expire(database: Database, seconds: float) -> list[str]:
    """Let every request fail that is not done after so long; return them."""
    words = f"it was not done within {int(seconds)} seconds, the most that this site allows"
    return [row[0] for row in await database.run(_EXPIRE, words, seconds)]
