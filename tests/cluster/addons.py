"""What a bare Kubernetes needs before the facility's chart can be installed."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from string import Template

from tests.cluster.binaries import module_folder
from tests.cluster.kubectl import Kubectl

MANIFESTS = Path(__file__).parent / "manifests"


def gateway_api() -> Path:
    """Folder with the Gateway API's standard CRDs."""
    module = module_folder("crds", "sigs.k8s.io/gateway-api")
    return module / "config" / "crd" / "standard"


def traefik_kinds() -> list[Path]:
    """Traefik's own CRDs, for sites whose gateway predates TLSRoute: it wants all of them there."""
    module = module_folder("traefik", "github.com/traefik/traefik/v3")
    folder = module / "docs" / "content" / "reference" / "dynamic-configuration"
    return sorted(folder.glob("traefik.io_*.yaml"))


def install_crds(kubectl: Kubectl) -> None:
    """Install the CRDs of the Gateway API and of Traefik, and wait for them."""
    files = [f"--filename={path}" for path in (gateway_api(), *traefik_kinds())]
    kubectl("apply", "--server-side", *files)
    kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")


def manifest(name: str, **values: str) -> str:
    """A file of the manifests folder with its placeholders filled in.

    Raises:
        KeyError: a placeholder has no value.
    """
    return Template((MANIFESTS / f"{name}.yaml").read_text()).substitute(values)


def dns(image: str, *, address: str, gateway: str, domain: str) -> str:
    """CoreDNS, which sends the facility's names to the gateway.

    Args:
        image: full name of the CoreDNS image.
        address: the DNS Service's cluster IP.
        gateway: IP address that `hub.<domain>` and `*.dask.<domain>` have.
        domain: the facility's zone.
    """
    names = textwrap.indent(zone(domain, gateway, port=5353), "    ").strip()
    return manifest("coredns", image=image, address=address, zone=names)


def zone(domain: str, gateway: str, *, port: int) -> str:
    """A server block for CoreDNS: `hub.<domain>` and `*.dask.<domain>` are the gateway."""
    return f"""{domain}:{port} {{
  errors
  template IN A {{
    match ^(hub|[^.]+\\.dask)\\.{re.escape(domain)}\\.$
    answer "{{{{ .Name }}}} 60 IN A {gateway}"
    fallthrough
  }}
  # No other record under the facility's zone: an empty answer, as an IPv4-only host gives.
  template IN ANY {{
    rcode NOERROR
  }}
}}
"""
