"""Scoring through the gateway against straight to the inference server.

``python -m tests.performance.inference [--pairs 12]`` on the cluster that is up, with the services
around sessions (SERVICES=1).
"""

import argparse
import json
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from casita.api.names import API_VERSION, INFERENCE_LABEL, KIND
from tests.cluster.access import image_references
from tests.services import INFERENCE
from tests.support import kubectl
from tests.support.notebook import notebook_pod

NAMESPACE = "casita"
SERVER = "default"
BUDGET = 0.9
SCORE = """
import json, os, sys, time
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from tritonclient.grpc import InferInput, InferenceServerClient
given = json.load(sys.stdin)
ways = {"gateway": os.environ["TRITON_URL"], "straight": given["straight"]}
clients = {name: InferenceServerClient(url) for name, url in ways.items()}
events = np.full((given["events"], 2), 40.0, dtype=np.float32)
inputs = []
for name in ("pt", "eta", "phi", "mass"):
    column = InferInput(name, list(events.shape), "FP32")
    column.set_data_from_numpy(events / 40)
    inputs.append(column)
def score(name):
    return clients[name].infer(given["model"], inputs).as_numpy("score").shape[0]
def rate(name):
    began = time.monotonic()
    with ThreadPoolExecutor(given["at_once"]) as threads:
        scored = sum(threads.map(score, [name] * given["requests"]))
    return scored / (time.monotonic() - began)
found = {name: [] for name in ways}
for name in ways:
    rate(name)
for pair in range(given["pairs"]):
    for name in sorted(ways, reverse=pair % 2 == 1):
        found[name].append(rate(name))
print(json.dumps(found))
"""
"""Rounds in alternating order, each way once before it counts."""

Json = dict[str, Any]


def measure(
    pairs: int, model: str, events: int, requests: int, at_once: int
) -> dict[str, list[float]]:
    """Return events per second of each round, by the `gateway` and `straight`."""
    name = f"bench-{uuid4().hex[:6]}"
    given = {
        "straight": f"casita-triton-{SERVER}.{INFERENCE}.svc:8001",
        "pairs": pairs,
        "model": model,
        "events": events,
        "requests": requests,
        "at_once": at_once,
    }
    pod = notebook_pod(NAMESPACE, name, image_references()["notebook"], name)
    with _one_pod(), _way_to_the_server(name), _applied(_session(name)), _applied(pod):
        for what in (f"asess/{name}", f"pod/{name}"):
            kubectl.run("-n", NAMESPACE, "wait", "--for=condition=Ready", what, "--timeout=90s")
        target = ("-n", NAMESPACE, "exec", "-i", name, "--")
        answer = kubectl.run(*target, "python", "-c", SCORE, stdin=json.dumps(given), timeout=600)
    return dict(json.loads(answer))


@contextmanager
def _one_pod() -> Iterator[None]:
    """Keep the server at one pod: the straight way would lead to the first of several alone."""
    scaled = f"scaledobject/casita-triton-{SERVER}"
    pause = ("-n", INFERENCE, "annotate", "--overwrite", scaled)
    kubectl.run(*pause, "autoscaling.keda.sh/paused-replicas=1")
    try:
        one = "--for=jsonpath={.status.replicas}=1"
        server = f"deployment/casita-triton-{SERVER}"
        kubectl.run("-n", INFERENCE, "wait", one, server, "--timeout=120s")
        yield
    finally:
        kubectl.run(*pause, "autoscaling.keda.sh/paused-replicas-")


def _session(name: str) -> Json:
    spec = {"user": "bench", "scaling": {"mode": "Manual"}, "scheduler": {"memoryMiB": 1024}}
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec}


@contextmanager
def _applied(manifest: Json) -> Iterator[None]:
    """Have an object for as long as the block."""
    text = json.dumps(manifest)
    kubectl.run("apply", "-f", "-", stdin=text)
    try:
        yield
    finally:
        kubectl.run("delete", "-f", "-", "--now", "--wait=false", stdin=text)


@contextmanager
def _way_to_the_server(name: str) -> Iterator[None]:
    """Let the pods of server `SERVER`'s sessions connect to it past the gateway."""
    here = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}}
    there = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": INFERENCE}}}
    users = {"matchLabels": {INFERENCE_LABEL: SERVER}}
    out = {"podSelector": users, "policyTypes": ["Egress"], "egress": [{"to": [there]}]}
    let_in = {
        "podSelector": {},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [{**here, "podSelector": users}], "ports": [{"port": 8001}]}],
    }
    policies = {
        "apiVersion": "v1",
        "kind": "List",
        "items": [_policy(NAMESPACE, name, out), _policy(INFERENCE, name, let_in)],
    }
    with _applied(policies):
        yield


def _policy(namespace: str, name: str, spec: Json) -> Json:
    metadata = {"name": name, "namespace": namespace}
    kinds = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
    return {**kinds, "metadata": metadata, "spec": spec}


def main() -> int:
    """Measure and print; the exit status tells whether the budget is kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.performance.inference")
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--model", default="dense", help="dense, or dimuon that is done at once")
    parser.add_argument("--events", type=int, default=2048, help="in one request")
    parser.add_argument("--requests", type=int, default=60, help="in one round")
    parser.add_argument("--at-once", type=int, default=4)
    options = parser.parse_args()
    rates = measure(options.pairs, options.model, options.events, options.requests, options.at_once)
    for name, each in rates.items():
        told = ", ".join(f"{one / 1e3:.0f}" for one in each)
        print(f"{name}: {statistics.median(each) / 1e3:.0f} thousand events/s (median of {told})")
    pairs = zip(rates["gateway"], rates["straight"], strict=True)
    ratio = statistics.median(through / straight for through, straight in pairs)
    print(f"gateway / straight, median of the pairs: {ratio:.2f} (budget: at least {BUDGET})")
    return int(ratio < BUDGET)


if __name__ == "__main__":
    sys.exit(main())
