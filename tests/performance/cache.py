"""Warm reads through the cache against the same file from its origin, both over TLS.

``python -m tests.performance.cache [--pairs 12]`` on the cluster that is up, with casita on it.
"""

import argparse
import base64
import json
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from casita.api.names import SESSION_LABEL
from casita.credentials.macaroon import derive_key, mint
from casita.credentials.token import SigningKey
from tests import origin
from tests.cluster.access import image_references
from tests.facility import NAMESPACE as SYSTEM
from tests.support import kubectl
from tests.support.xrootd import Client, client, secret

NAMESPACE = "casita"
BUDGET = 0.8
READ = """
import json, os, pathlib, subprocess, sys, time
given = json.load(sys.stdin)
os.umask(0o077)
seconds = {name: [] for name in given["sources"]}
def read(name):
    url, token = given["sources"][name]
    folder = pathlib.Path("/tmp") / name
    folder.mkdir(exist_ok=True)
    (folder / "bt_u1000").write_text(token)
    command = ["xrdcp", "--silent", "--force", url, "/dev/null"]
    began = time.monotonic()
    subprocess.run(command, check=True, env={**os.environ, "XDG_RUNTIME_DIR": str(folder)})
    return time.monotonic() - began
for name in seconds:
    read(name)
for pair in range(given["pairs"]):
    for name in sorted(seconds, reverse=pair % 2 == 1):
        seconds[name].append(read(name))
print(json.dumps(seconds))
"""
"""Reads in alternating order, each source once before it counts."""


def measure(pairs: int) -> dict[str, list[float]]:
    """Return the seconds of each read, from the `cache` and from the `origin`."""
    session = f"bench-{uuid4().hex[:6]}"
    authorities = (
        secret(SYSTEM, "casita-xcache-tls")["ca.pem"]
        + secret(origin.NAMESPACE, origin.NAME)["ca.pem"]
    )
    image = image_references()["xcache"]
    with _way_to_the_origin(session), client(NAMESPACE, image, authorities, session) as reader:
        sources = {
            "cache": (f"root://xcache/{origin.HUGE_FILE}", _macaroon()),
            "origin": (
                f"root://{origin.HOST}:{origin.PORT}/{origin.HUGE_FILE}",
                secret(SYSTEM, origin.TOKEN_SECRET)["token"].decode(),
            ),
        }
        return _run(reader, json.dumps({"pairs": pairs, "sources": sources}))


def _run(reader: Client, given: str) -> dict[str, list[float]]:
    target = ("-n", reader.namespace, "exec", "-i", reader.pod, "--")
    answer = kubectl.run(*target, "python3", "-c", READ, stdin=given, timeout=600)
    return dict(json.loads(answer))


def _macaroon() -> str:
    key = derive_key(base64.b64decode(secret(SYSTEM, "casita-macaroon-key")["key"]))
    hour = timedelta(hours=1)
    now = datetime.now(UTC)
    return mint(SigningKey(key, "bench"), "casita", "bench", "/store/", hour, now, uuid4()).text


@contextmanager
def _way_to_the_origin(session: str) -> Iterator[None]:
    """Let one session's pods connect to the origin, which no user's can."""
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": session, "namespace": NAMESPACE},
        "spec": {
            "podSelector": {"matchLabels": {SESSION_LABEL: session}},
            "policyTypes": ["Egress"],
            "egress": [
                {
                    "to": [
                        {
                            "namespaceSelector": {
                                "matchLabels": {"kubernetes.io/metadata.name": origin.NAMESPACE}
                            }
                        }
                    ]
                }
            ],
        },
    }
    kubectl.run("apply", "-f", "-", stdin=json.dumps(policy))
    try:
        yield
    finally:
        kubectl.run("-n", NAMESPACE, "delete", "networkpolicy", session)


def main() -> int:
    """Measure and print; the exit status tells whether the budget is kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.performance.cache", description=__doc__)
    parser.add_argument("--pairs", type=int, default=12)
    seconds = measure(parser.parse_args().pairs)
    size = origin.HUGE_BYTES / 1e6
    for name, each in seconds.items():
        rates = ", ".join(f"{size / one:.0f}" for one in each)
        print(f"{name}: {size / statistics.median(each):.0f} MB/s (median of {rates})")
    pairs = zip(seconds["cache"], seconds["origin"], strict=True)
    ratio = statistics.median(there / here for here, there in pairs)
    print(f"cache / origin, median of the pairs: {ratio:.2f} (budget: at least {BUDGET})")
    return int(ratio < BUDGET)


if __name__ == "__main__":
    sys.exit(main())
