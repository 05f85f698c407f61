"""A gateway as a route's proof meets it: TLS by SNI, with the certificate of whoever is behind."""

import asyncio
import contextlib
import ssl
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from casita.credentials.x509 import Role, issue_leaf, new_authority


@dataclass
class Gateway:
    """Listens on the loopback; a host that nobody is behind gets no answer but an end.

    Attributes:
        port: where it listens.
        met: hosts that were asked for, in order.
    """

    port: int = 0
    met: list[str] = field(default_factory=list)
    _behind: dict[str, ssl.SSLContext] = field(default_factory=dict)

    def route(self, host: str, files: Mapping[str, bytes]) -> None:
        """Let `host` lead to a scheduler that has the files of a session's scheduler Secret."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as folder:
            for file in ("tls.crt", "tls.key"):
                Path(folder, file).write_bytes(files[file])
            context.load_cert_chain(Path(folder, "tls.crt"), Path(folder, "tls.key"))
        context.load_verify_locations(cadata=files["ca.pem"].decode())
        context.verify_mode = ssl.CERT_REQUIRED
        self._behind[host] = context

    def close(self, host: str) -> None:
        """Let `host` lead nowhere."""
        self._behind.pop(host, None)

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator["Gateway"]:
        """Serve for as long as a block."""
        front = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        front.sni_callback = self._choose
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=front)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()

    def _choose(
        self, connection: ssl.SSLSocket | ssl.SSLObject, host: str | None, _: ssl.SSLContext
    ) -> int | None:
        self.met.append(host or "")
        context = self._behind.get(host or "")
        if context is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = context
        return None

    @staticmethod
    async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.read()
        writer.close()


def stranger_files(host: str) -> dict[str, bytes]:
    """Return what a scheduler of somebody else, with an authority of its own, would have."""
    now = datetime.now(UTC)
    authority = new_authority("somebody else", now, timedelta(days=1))
    leaf = issue_leaf(authority, Role.SCHEDULER, [host], now, timedelta(hours=1))
    return {
        "tls.crt": leaf.certificate_pem,
        "tls.key": leaf.key_pem,
        "ca.pem": authority.certificate_pem,
    }
