"""Preload of a session's clients: a notebook's `Client` outlives the certificate it began with.

Named under ``distributed.client.preload`` in the ``dask.yaml`` of the session's Secret.
"""

import logging
import os
import ssl
from typing import Final

from distributed import Client
from tornado.ioloop import PeriodicCallback

from casita.access.registration import register_root
from casita.dask.certificates import LeafWatch
from casita.dask.openssl import contain_broken_connections
from casita.dask.server import PreloadError, leaf_files
from casita.dask.settings import reload_seconds

logger: Final = logging.getLogger("distributed.casita")

_NAME: Final = "casita-leaf"


def dask_setup(client: Client) -> None:
    """Load the client's certificate whenever its file changes, until the client closes.

    And let ``root://`` be casita's (`casita.access.filesystem`) in this process. The first is not
    done for a client that has no certificate in a file, such as one of a local cluster, nor where
    the operating system cannot keep a key off the disk (it is Linux that can).
    """
    register_root()
    context = client.connection_args.get("ssl_context")
    callbacks = client._periodic_callbacks
    if not isinstance(context, ssl.SSLContext) or _NAME in callbacks:
        return
    contain_broken_connections()
    if not hasattr(os, "memfd_create"):
        return
    try:
        files = leaf_files(client.security, "client")
    except PreloadError:
        return  # its material was given in memory: there is no file to watch
    watch = LeafWatch(files, lambda: [context], serves=False, logger=logger)
    callbacks[_NAME] = PeriodicCallback(watch.poll, reload_seconds(os.environ) * 1000)
    callbacks[_NAME].start()
