"""casita on a cluster: ``python -m tests.facility install``, as an admin would by hand."""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests import origin
from tests.cluster.access import gateway_address, helm, image_references, kubeconfig
from tests.cluster.locations import REPOSITORY, state
from tests.cluster.steps import Steps
from tests.support import hub_certificate

RELEASE = "casita"
NAMESPACE = "casita-system"
VALUES = REPOSITORY / "tests/cluster/values.yaml"


def image_values(reference: str) -> dict[str, str]:
    """Split an image's reference into the values that the chart takes."""
    registry, _, rest = reference.partition("/")
    repository, _, tag = rest.rpartition(":")
    return {"registry": registry, "repository": repository, "tag": tag}


def overrides(references: dict[str, str], address: str | None) -> dict[str, Any]:
    """Return the values that only this cluster knows: its images, and the gateway's address."""
    notebook = {"image": image_values(references["notebook"])}
    service = {"service": {"type": "ClusterIP", "externalIPs": [address]}} if address else {}
    return {
        "operator": {
            "image": image_values(references["operator"]),
            "profiles": {"default": notebook, "closed": notebook},
        },
        "traefik": {"image": image_values(references["traefik"]), **service},
        "jupyterhub": {
            "hub": {"image": image_values(references["hub"])},
            "proxy": {"chp": {"image": image_values(references["proxy"])}},
        },
        "htcondor": {
            "image": image_values(references["htcondor"]),
            "execute": {"image": image_values(references["htcondor-execute"])},
        },
        "xcache": {
            "image": image_values(references["xcache"]),
            "metrics": {"image": image_values(references["operator"])},
        },
    }


def install(steps: Steps) -> None:
    """Install or upgrade the chart, and wait until its parts are ready."""
    found = state() / "values.yaml"
    found.write_text(yaml.safe_dump(overrides(image_references(), gateway_address())))
    with steps.step("a test origin for the cache"):
        origin.install(image_references()["origin"], NAMESPACE)
    with steps.step("casita: helm upgrade --install"):
        run_helm(
            *("upgrade", "--install", RELEASE, str(REPOSITORY / "charts/casita")),
            *("--namespace", NAMESPACE, "--create-namespace"),
            *("--values", str(VALUES), "--values", str(found)),
            *("--wait", "--timeout", "5m"),
        )
    hub_certificate.install()


def run_helm(*arguments: str) -> str:
    """Run helm on the cluster that is up; its own words are the error."""
    command = [str(helm()), "--kubeconfig", str(kubeconfig()), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"helm {arguments[0]} failed:\n{done.stderr}")
    return done.stdout


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["install"])
    parser.parse_args()
    install(Steps())
    print(f"casita is installed; KUBECONFIG={Path(kubeconfig())}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
