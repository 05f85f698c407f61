"""The object store as its image runs it, versitygw, in a folder of the test's own."""

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aioboto3

from casita.columns.s3 import Keys
from tests.cluster import ports
from tests.cluster.binaries import binary
from tests.cluster.steps import Steps

ROOT = Keys("0f" * 16, "r" * 64)
START_SECONDS = 20


@dataclass
class ObjectStore:
    """A server that may be ended and started again.

    Attributes:
        folder: of its buckets and its accounts; must take extended attributes.
        root: the root keys with which it is started the next time.
    """

    folder: Path
    port: int
    root: Keys = ROOT
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        buckets, accounts = (self.folder / name for name in ("buckets", "accounts"))
        for each in (buckets, accounts):
            each.mkdir(exist_ok=True)
        environment = {
            "VGW_PORT": f"127.0.0.1:{self.port}",
            "VGW_HEALTH": "/health",
            "VGW_IAM_DIR": str(accounts),
            "ROOT_ACCESS_KEY": self.root.access,
            "ROOT_SECRET_KEY": self.root.secret,
        }
        command = [str(binary("versitygw", Steps(quiet=True))), "posix", str(buckets)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        end = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            if self._process.poll() is not None or time.monotonic() > end:
                raise AssertionError((self.folder / "log").read_text())
            time.sleep(0.05)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def forget_accounts(self) -> None:
        """Lose the accounts, as a pod that is made anew does; to be called while it is ended."""
        shutil.rmtree(self.folder / "accounts")

    def client(self, keys: Keys) -> Any:
        """Return an S3 client with somebody's keys, of the library that ServiceX's client uses."""
        session = aioboto3.Session(aws_access_key_id=keys.access, aws_secret_access_key=keys.secret)
        return session.client("s3", endpoint_url=self.url, region_name="us-east-1")

    async def deliver(self, bucket: str, name: str, content: bytes) -> None:
        """Put an object into a bucket, made if need be, as ServiceX and its transformers do."""
        async with self.client(self.root) as client:
            with contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou):
                await client.create_bucket(Bucket=bucket)
            await client.put_object(Bucket=bucket, Key=name, Body=content)


@contextlib.contextmanager
def object_store() -> Iterator[ObjectStore]:
    """Run one."""
    with tempfile.TemporaryDirectory(prefix="casita-objectstore-", dir="/var/tmp") as name:
        (port,) = ports.free(1)
        store = ObjectStore(Path(name), port)
        store.start()
        try:
            yield store
        finally:
            store.stop()
