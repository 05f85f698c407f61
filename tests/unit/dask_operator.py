"""The operator's side of a report, in a thread: keeps what it is told, answers what a test says."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from casita.credentials.x509 import Role
from tests.unit.dask_session import Session, authority, leaf, mount

RUN = "0123456789abcdef"


def pool(name: str, *, desired: int = 0, requested: int = 0, ready: int = 0) -> dict[str, Any]:
    return {
        "pool": name,
        "backend": "Kubernetes",
        "min": 0,
        "max": 8,
        "desired": desired,
        "requested": requested,
        "ready": ready,
    }


@dataclass
class Operator:
    answer: dict[str, Any] = field(default_factory=dict)
    reports: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    def last(self) -> dict[str, Any]:
        return self.reports[-1] if self.reports else {}

    def demand(self) -> dict[str, Any]:
        return dict(self.last().get("demand") or {})

    def environment(self, **more: str) -> dict[str, str]:
        """Return what a session's scheduler is told of this operator."""
        return {
            "CASITA_REPORT_URL": self.url,
            "CASITA_SESSION_NAMESPACE": "casita",
            "CASITA_SESSION_NAME": "demo",
            "CASITA_RUN": RUN,
            **more,
        }


@contextmanager
def operating(session: Session) -> Iterator[Operator]:
    """Serve an operator that `session`'s scheduler trusts once it is given the environment."""
    system, operator = authority("system"), Operator()
    session.scheduler_mount.write_leaf(
        session.authority,
        leaf(session.authority, Role.SCHEDULER),
        **{"report-token": b"t" * 43, "report-ca.pem": system.certificate_pem},
    )
    files = mount(session.directory / "endpoint", system, Role.ENDPOINT).directory
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files / "tls.crt", files / "tls.key")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            operator.reports.append(json.loads(body))
            answer = json.dumps(operator.answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as called
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        operator.url = f"https://localhost:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield operator
        finally:
            server.shutdown()
            thread.join()
