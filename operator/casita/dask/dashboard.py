"""The scheduler's dashboard, over TLS, for holders of a certificate of the session alone."""

import ipaddress
import ssl

from distributed import Scheduler
from tornado.httpserver import HTTPServer

from casita.dask.certificates import LeafFiles
from casita.dask.server import PreloadError


def serve_dashboard(scheduler: Scheduler, files: LeafFiles, port: int) -> ssl.SSLContext:
    """Open the dashboard on every address of `port`; return its context, for renewals.

    Stock distributed asks no certificate of a browser (``distributed/node.py``), and it listens
    from its constructor on, long before a preload can say otherwise. So it must be told to listen
    on loopback, and that server is closed for one that takes its place.

    Raises:
        PreloadError: the stock server listens on more than loopback.
        OSError: the port is taken, or the leaf's files cannot be read.
    """
    stock = scheduler.http_server
    if not ipaddress.ip_address(stock.address).is_loopback:
        raise PreloadError(
            f"the dashboard listens on {stock.address}:{stock.port} without asking a certificate; "
            "start the scheduler with --dashboard-address 127.0.0.1:0"
        )
    stock.stop()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=files.authority)
    context.load_cert_chain(files.certificate, files.key)
    context.verify_mode = ssl.CERT_REQUIRED
    server = HTTPServer(scheduler.http_application, ssl_options=context)
    server.listen(port)
    # Where distributed looks for it: the links that clients show, and what is stopped at the end.
    server.address, server.port = "0.0.0.0", port  # noqa: S104 - clients must present a certificate
    scheduler.http_server = scheduler.services["dashboard"] = server
    return context
