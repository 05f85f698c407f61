"""The bare client: prepared requests, 32 sessions in flight, nothing decided, nothing watched.

    python -m tests.performance.client --config site.yaml --namespace N --count N [--whole]

A process of its own. It prepares everything, says ``ready``, waits for a line on standard input,
sends, and prints its own CPU seconds and how many requests failed, as JSON.
"""

import argparse
import asyncio
import json
import resource
import sys
from collections import deque
from pathlib import Path
from typing import Final

import aiohttp

from casita.clients.kubernetes import open_session
from casita.config import load_site
from casita.operator.connection import find_connection
from tests.performance.workload import (
    PLACEHOLDER_UID,
    Write,
    prepare,
    session_name,
    session_write,
)

IN_FLIGHT: Final = 32
AGENT: Final = "casita-bench"
"""How the server's audit log tells this client from the operator."""


async def send(session: aiohttp.ClientSession, server: str, write: Write, uid: bytes) -> bytes:
    """Send one request; return the answer.

    Raises:
        aiohttp.ClientResponseError: the server refused.
    """
    body = write.body.replace(PLACEHOLDER_UID.encode(), uid) if uid else write.body
    headers = {**write.headers, "User-Agent": AGENT}
    async with session.request(
        write.method, server + write.path, data=body, headers=headers
    ) as answer:
        content = await answer.read()
        answer.raise_for_status()
        return content


async def send_all(
    session: aiohttp.ClientSession, server: str, sessions: deque[list[Write]]
) -> None:
    """Send the writes of each session one after the other, `IN_FLIGHT` sessions at a time."""

    async def work() -> None:
        while sessions:
            first, *others = sessions.popleft()
            answer = await send(session, server, first, b"")
            uid = json.loads(answer)["metadata"]["uid"].encode() if others else b""
            for write in others:
                await send(session, server, write, uid)

    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(work())


async def run(options: argparse.Namespace) -> float:
    """Prepare, wait for the word, send; return the CPU seconds of the sending."""
    if options.whole:
        sessions = await prepare(load_site(options.config), options.namespace, options.count)
    else:
        names = map(session_name, range(options.count))
        sessions = [[session_write(options.namespace, name)] for name in names]
    connection = find_connection()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    before = _cpu_seconds()
    async with open_session(connection) as session:
        await send_all(session, connection.server.rstrip("/"), deque(sessions))
    return _cpu_seconds() - before


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--whole", action="store_true", help="write the children and status too")
    sys.stdout.write(json.dumps({"cpu_seconds": asyncio.run(run(parser.parse_args()))}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
