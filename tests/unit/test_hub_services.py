"""A server's pod has what its profile may use, and nothing leads it where nothing is."""

from typing import Any

import pytest

from casita.config import Site
from casita.hub.notebook import deliverer
from casita.hub.services import service_environment, service_labels

INFERENCE = {"servers": [{"name": "taggers", "url": "gateway:8001"}]}
OWN = {"url": "http://service:5000", "namespace": "n", "secret": "s"}


def site(**sections: Any) -> Site:
    profiles = [
        {"name": "default", "image": "example.org/notebook:1"},
        {"name": "ml", "image": "example.org/notebook:1", "inference": "taggers"},
    ]
    return Site.model_validate({"domain": "af.test", "profiles": profiles, **sections})


def test_a_site_without_services_adds_nothing() -> None:
    assert service_environment(site(), "ml") == {}
    assert service_labels(site(), "ml") == {}


def test_a_profile_leads_to_its_inference_server_and_others_do_not() -> None:
    found = site(inference=INFERENCE)
    assert service_environment(found, "ml") == {"TRITON_URL": "gateway:8001"}
    assert service_labels(found, "ml") == {"casita.dev/inference": "taggers"}
    assert service_environment(found, "default") == service_labels(found, "default") == {}


@pytest.mark.parametrize("profile", ["default", "ml"])
def test_every_profile_has_tracking_with_the_sessions_token(profile: str) -> None:
    assert service_environment(site(tracking=OWN), profile) == {
        "MLFLOW_TRACKING_URI": "http://service:5000",
        "MLFLOW_TRACKING_AUTH": "casita",
    }


def test_somebody_elses_services_get_no_token() -> None:
    found = site(tracking={"url": "https://other"}, columns={"url": "https://other"})
    assert service_environment(found, "default") == {"MLFLOW_TRACKING_URI": "https://other"}


def test_columns_are_where_the_sidecar_delivers_them() -> None:
    path = service_environment(site(columns=OWN), "default")["CASITA_SERVICEX"]
    args = deliverer("example.org/notebook:1")["args"]
    folder = args[args.index("--to") + 1]
    assert f"servicex.yaml={path.removeprefix(folder + '/')}" in args
