"""What a server's pod has for the site's services: inference, tracking, columns. Pure."""

from casita.access.columns import VARIABLE
from casita.api.names import INFERENCE_LABEL
from casita.config import InferenceServer, Site
from casita.hub.notebook import SERVICEX

TRACKING_PLUGIN = "casita"
"""Of MLflow's client, which brings the session's token (`casita.access.tracking`)."""


def service_environment(site: Site, profile: str) -> dict[str, str]:
    """Return the variables that lead the clients of a profile's servers."""
    found: dict[str, str] = {}
    if server := _inference(site, profile):
        found["TRITON_URL"] = server.url
    if site.tracking:
        found["MLFLOW_TRACKING_URI"] = site.tracking.url
        if site.tracking.own:
            found["MLFLOW_TRACKING_AUTH"] = TRACKING_PLUGIN
    if site.columns and site.columns.own:
        found[VARIABLE] = SERVICEX
    return found


def service_labels(site: Site, profile: str) -> dict[str, str]:
    """Return the labels by which policies let the pod reach what its profile may use."""
    server = _inference(site, profile)
    return {} if server is None else {INFERENCE_LABEL: server.name}


def _inference(site: Site, name: str) -> InferenceServer | None:
    profile = site.profile(name)
    return site.inference_server(profile) if profile else None
