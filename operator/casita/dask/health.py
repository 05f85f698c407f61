"""``GET /healthz`` for the kubelet's probes: plain HTTP, and no other content."""

from collections.abc import Callable
from http import HTTPStatus

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders, HTTPServerRequest, ResponseStartLine


def serve_health(port: int, healthy: Callable[[], bool]) -> HTTPServer:
    """Answer on every address of `port`, from this event loop: one that hangs answers nothing.

    Raises:
        OSError: the port is taken.
    """

    def answer(request: HTTPServerRequest) -> None:
        status = _status(request, healthy)
        request.connection.write_headers(
            ResponseStartLine("HTTP/1.1", status.value, status.phrase),
            HTTPHeaders({"Content-Length": "0"}),
        )
        request.connection.finish()

    server = HTTPServer(answer)
    server.listen(port)
    return server


def _status(request: HTTPServerRequest, healthy: Callable[[], bool]) -> HTTPStatus:
    if request.path != "/healthz":
        return HTTPStatus.NOT_FOUND
    if request.method != "GET":
        return HTTPStatus.METHOD_NOT_ALLOWED
    return HTTPStatus.OK if healthy() else HTTPStatus.SERVICE_UNAVAILABLE
