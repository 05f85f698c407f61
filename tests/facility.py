"""casita on a cluster: ``python -m tests.facility install``, as an admin would by hand."""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from casita.config import Site
from tests import origin, prometheus, services
from tests.cluster.access import gateway_address, helm, image_references, kubeconfig
from tests.cluster.binaries import KUBERNETES_VERSION
from tests.cluster.images import SERVICEX as SERVICEX_IMAGES
from tests.cluster.images import services_wanted
from tests.cluster.locations import REPOSITORY, state
from tests.cluster.steps import Steps
from tests.support import hub_certificate, kubectl

RELEASE = "casita"
NAMESPACE = "casita-system"
CHART = REPOSITORY / "charts/casita"
VALUES = REPOSITORY / "tests/cluster/values.yaml"
SERVICES = REPOSITORY / "tests/cluster/services.yaml"
"""Over `VALUES` where SERVICES=1 asks for the services around sessions."""
SERVICEX = REPOSITORY / "tests/cluster/servicex.yaml"
"""Over `SERVICES` where ServiceX's images were made."""


def image_values(reference: str) -> dict[str, str]:
    """Split an image's reference into the values that the chart takes."""
    registry, _, rest = reference.partition("/")
    repository, _, tag = rest.rpartition(":")
    return {"registry": registry, "repository": repository, "tag": tag}


def values_files() -> list[Path]:
    """Return the files of values of the facility that is wanted on the cluster that is up."""
    references = image_references()
    own = state() / "values.yaml"
    own.write_text(yaml.safe_dump(overrides(references, gateway_address())))
    services = [SERVICES, *([SERVICEX] if has_servicex(references) else [])]
    return [VALUES, *(services if services_wanted() else []), own]


def has_servicex(references: dict[str, str]) -> bool:
    """Whether the images of ServiceX are there, which need its source."""
    return references.keys() >= SERVICEX_IMAGES


def overrides(references: dict[str, str], address: str | None) -> dict[str, Any]:
    """Return the values that only this cluster knows: its images, and the gateway's address."""
    operator = {"image": image_values(references["operator"])}
    notebook = {"image": image_values(references["notebook"])}
    service = {"service": {"type": "ClusterIP", "externalIPs": [address]}} if address else {}
    services = service_overrides(references) if services_wanted() else {}
    return {
        "operator": {
            **operator,
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
            "metrics": operator,
        },
        **services,
    }


def service_overrides(references: dict[str, str]) -> dict[str, Any]:
    """Return the images of the services around sessions."""
    return {
        "triton": {
            "servers": {"default": {"image": image_values(references["triton"])}},
            "metrics": {"image": image_values(references["operator"])},
        },
        "mlflow": {"image": image_values(references["mlflow"])},
        **({"servicex": servicex_overrides(references)} if has_servicex(references) else {}),
    }


def servicex_overrides(references: dict[str, str]) -> dict[str, Any]:
    """Return the images of ServiceX and what it stands on."""
    image = {name: {"image": image_values(reference)} for name, reference in references.items()}
    science = {"scienceImage": image_values(references["servicex-transformer"])}
    return {
        "frontDoor": image["operator"],
        "app": image["servicex"],
        "codeGenerators": {
            name: {**image["servicex"], **science} for name in ("uproot-raw", "uproot")
        },
        "didFinders": {"xrootd": image["servicex"]},
        "transformers": {"sidecarImage": image_values(references["servicex-transformer"])},
        "database": image["postgresql"],
        "broker": image["rabbitmq"],
        "objectStore": image["objectstore"],
    }


def install(steps: Steps) -> None:
    """Install or upgrade the chart, and wait until its parts are ready."""
    with steps.step("a test origin for the cache"):
        origin.install(image_references()["origin"], NAMESPACE)
    if services_wanted():
        services.prepare(image_references(), steps)
    with steps.step("casita: helm upgrade --install"):
        files = [word for file in values_files() for word in ("--values", str(file))]
        run_helm(
            *("upgrade", "--install", RELEASE, str(CHART)),
            *("--namespace", NAMESPACE, "--create-namespace", *files),
            *("--wait", "--timeout", "5m"),
        )
    hub_certificate.install()
    if services_wanted():
        prometheus.take_rules()


def installed_site() -> Site:
    """Return the site's configuration, as the operator that is installed reads it."""
    where = ("-n", NAMESPACE, "get", "configmap", f"{RELEASE}-operator", "-o", "json")
    found = json.loads(kubectl.run(*where))
    return Site.model_validate(yaml.safe_load(found["data"]["site.yaml"]))


def template(values: dict[str, Any]) -> str:
    """Return what the chart renders with further values, its hooks left out."""
    with _file_of(values) as file:
        files = [word for one in (*values_files(), file) for word in ("--values", str(one))]
        where = ("--namespace", NAMESPACE)
        version = ("--kube-version", KUBERNETES_VERSION)  # helm's own is far behind
        return run_helm("template", RELEASE, str(CHART), *where, *version, "--no-hooks", *files)


def upgrade(values: dict[str, Any], *, wait: bool = True) -> None:
    """Change the facility's values, as an admin does; `wait` until all pods are ready."""
    waiting = ("--wait", "--timeout=4m") if wait else ()
    with _file_of(values) as file:
        run_helm(
            *("upgrade", RELEASE, str(CHART), "--namespace", NAMESPACE),
            *("--reset-then-reuse-values", "--values", file, *waiting),
        )


def rollback() -> None:
    """Take back the last change of values."""
    run_helm("rollback", RELEASE, "--namespace", NAMESPACE, "--wait", "--timeout=4m")


@contextmanager
def _file_of(values: dict[str, Any]) -> Iterator[str]:
    """Have values in a file for as long as the block."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(values, file)
        file.flush()
        yield file.name


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
