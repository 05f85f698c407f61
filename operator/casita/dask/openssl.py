"""One broken connection must not break the others of its process.

OpenSSL keeps one queue of errors per thread. CPython from 3.13.2 on raises the operating system's
error of a TLS socket, a broken pipe for instance, without emptying that queue (``Modules/_ssl.c``,
``PySSL_SetError``, the branch for ``ERR_LIB_SYS``); the next read or write of any other connection
in the thread then fails with the same error. A notebook's kernel that is killed with an answer on
its way so takes a scheduler's workers down. Tornado's streams read and write TLS sockets directly,
so here the queue is emptied where such an error is raised.
"""

import _ssl
import ctypes
import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from tornado.iostream import SSLIOStream

P = ParamSpec("P")
R = TypeVar("R")


def contain_broken_connections() -> None:
    """Make every TLS stream of this process keep its errors to itself. May be called again."""
    for name in ("read_from_fd", "write_to_fd"):
        stock = getattr(SSLIOStream, name)
        if not hasattr(stock, "__wrapped__"):
            setattr(SSLIOStream, name, _clearing(stock))


def _clearing(operation: Callable[P, R]) -> Callable[P, R]:
    @functools.wraps(operation)
    def contained(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return operation(*args, **kwargs)
        except OSError:
            _library().ERR_clear_error()
            raise

    return contained


@functools.cache
def _library() -> Any:
    """The OpenSSL that Python's own module is linked with."""
    library = ctypes.CDLL(_ssl.__file__)
    library.ERR_clear_error.restype = None
    library.ERR_clear_error.argtypes = []
    return library
