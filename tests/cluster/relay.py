"""Connections from the host into the node's network namespace, which has no link to the outside.

Run as a process of its own: it listens while still in the host's namespace, moves into the
node's, and from then on every connection it opens starts there. A socket stays in the namespace
it was made in, so the listeners keep serving the host. It ends when the namespace's process does.

    python -m tests.cluster.relay PID 6443=127.0.0.1:6443 ...
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

CLONE_NEWNET = 0x40000000  # linux/sched.h
CHUNK = 1 << 16


@dataclass(frozen=True)
class Rule:
    """One port of the host's loopback and where it leads inside the namespace."""

    port: int
    host: str
    host_port: int

    @classmethod
    def parse(cls, text: str) -> Rule:
        """Read ``port=host:port``."""
        port, _, target = text.partition("=")
        host, _, host_port = target.rpartition(":")
        return cls(int(port), host, int(host_port))

    def __str__(self) -> str:
        return f"{self.port}={self.host}:{self.host_port}"


def main(pid: int, rules: list[Rule]) -> None:
    """Serve until the process `pid`, in whose network the rules' targets are, has ended."""
    listeners = [socket.create_server(("127.0.0.1", rule.port), backlog=512) for rule in rules]
    other = os.pidfd_open(pid)
    enter_network(Path(f"/proc/{pid}/ns/net"))
    asyncio.run(_serve(rules, listeners, other))


def enter_network(namespace: Path) -> None:
    """Move the calling thread into a network namespace (`os.setns` is new in Python 3.12)."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(descriptor, CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(namespace))
    finally:
        os.close(descriptor)


async def _serve(rules: list[Rule], listeners: list[socket.socket], other: int) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(other, ended.set)  # a pidfd is readable at the end
    for rule, listener in zip(rules, listeners, strict=True):
        await asyncio.start_server(partial(_relay, rule), sock=listener)
    await ended.wait()


async def _relay(rule: Rule, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        far_reader, far_writer = await asyncio.open_connection(rule.host, rule.host_port)
    except OSError:
        # Nobody listens there (yet): the caller sees its connection closed, as with a refusal.
        writer.transport.abort()
        return
    await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes on until the end, then say the end; a broken side breaks the other."""
    try:
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
        with suppress(OSError):  # the far side may have closed already
            writer.write_eof()
    except OSError:
        writer.transport.abort()


if __name__ == "__main__":
    main(int(sys.argv[1]), [Rule.parse(text) for text in sys.argv[2:]])
