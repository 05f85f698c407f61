"""A client of the session's inference server, which outlives a server that does not.

``TRITON_URL`` says where it is. A server may be stopped, moved or scaled at any time, so a request
that it did not answer is sent again, by gRPC or by what is here: whoever calls `client` need not.
tritonclient is imported when it is used, for images without it.
"""

import functools
import json
import os
import random
import re
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from tritonclient.grpc import InferenceServerClient

URL_VARIABLE: Final = "TRITON_URL"
PATIENCE: Final = 120.0
"""Seconds for which a gateway's errors are taken for a server that is about to be back."""
_PAUSE: Final = 5.0

_SERVICE: Final = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            # Not for all calls: what Triton refuses, such as to load a model, is UNAVAILABLE too.
            "name": [{"service": "inference.GRPCInferenceService", "method": "ModelInfer"}],
            "retryPolicy": {
                "maxAttempts": 5,  # gRPC's own limit
                "initialBackoff": "1s",
                "maxBackoff": "30s",
                "backoffMultiplier": 4,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
}
"""gRPC's service config: tries for about 50 s, over all addresses that the name has."""

_LARGEST: Final = 2**31 - 1

CHANNEL: Final[Mapping[str, int | str]] = {
    "grpc.service_config": json.dumps(_SERVICE),
    # What does not fit in here is sent once and not again; by default that is 256 KiB.
    "grpc.per_rpc_retry_buffer_size": 2**28,
    "grpc.max_send_message_length": _LARGEST,
    "grpc.max_receive_message_length": _LARGEST,
    # A server or gateway that vanished with its node is noticed while an answer is waited for.
    "grpc.keepalive_time_ms": 60_000,
    "grpc.keepalive_timeout_ms": 20_000,
}
"""gRPC's channel arguments."""

_GATEWAY: Final = re.compile(r"http2 header with status: 50[0-4]$|Received RST_STREAM with error")
"""What gRPC says of an answer that is HTTP's, or that broke off. Once an answer has begun gRPC
tries no more (response headers "commit" a call), though it be the gateway's own."""

T = TypeVar("T")


class NoInferenceError(RuntimeError):
    """The session has no inference server."""


def client(**options: Any) -> "InferenceServerClient":
    """Return a client of this session's inference server.

    Its `infer` is sent again if the server was lost; that changes nothing, unless a model keeps a
    state between requests.

    Args:
        options: those of ``tritonclient.grpc.InferenceServerClient``. A `url` is asked in place of
            the session's server; `channel_args` are added to casita's and win over them.

    Raises:
        NoInferenceError: there is no ``TRITON_URL``.
    """
    url = options.pop("url", None) or os.environ.get(URL_VARIABLE)
    if not url:
        raise NoInferenceError(
            f"{URL_VARIABLE} is not set: this session's profile has no inference server. "
            "Choose a profile that has one, or ask your admin."
        )
    from tritonclient.grpc import InferenceServerClient

    arguments = dict(CHANNEL) | dict(options.pop("channel_args", None) or ())
    found = InferenceServerClient(url=url, channel_args=list(arguments.items()), **options)
    found.infer = patient(found.infer)
    return found


def patient(
    call: Callable[..., T],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Callable[..., T]:
    """Return `call`, tried again while a gateway says that there is no server."""

    @functools.wraps(call)
    def trying(*args: Any, **options: Any) -> T:
        end = clock() + PATIENCE
        while True:
            try:
                return call(*args, **options)
            except Exception as error:
                if not _GATEWAY.search(str(error)) or clock() >= end:
                    raise
            # Not all workers at once.
            sleep(random.uniform(_PAUSE / 2, _PAUSE))  # noqa: S311 - no secret

    return trying
