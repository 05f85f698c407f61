"""The services beside sessions: which a site has, and which its profiles may use."""

from typing import Any

import pytest
from pydantic import ValidationError

from casita.config import Site

PROFILE = {"name": "default", "image": "example.org/notebook:1"}
OWN = {"name": "taggers", "url": "gateway:8001", "healthUrl": "http://triton-taggers:8000"}


def site(**sections: Any) -> Site:
    values = {"domain": "af.test", "profiles": [{**PROFILE, "inference": "taggers"}], **sections}
    return Site.model_validate(values)


def test_a_profile_leads_to_its_inference_server() -> None:
    found = site(inference={"servers": [{"name": "other", "url": "x:1"}, OWN]})
    server = found.inference_server(found.profiles[0])
    assert server is not None
    assert (server.name, server.url) == ("taggers", "gateway:8001")


@pytest.mark.parametrize(
    ("servers", "known"), [([], "none"), ([{"name": "other", "url": "x:1"}], "other")]
)
def test_a_profile_that_names_no_server_of_the_site_is_an_error_in_words(
    servers: list[dict[str, str]], known: str
) -> None:
    told = f"profile default: inference is taggers, but the site's inference servers are {known}"
    with pytest.raises(ValidationError, match=told):
        site(inference={"servers": servers})


def test_a_site_without_inference_lets_its_profiles_name_what_they_like() -> None:
    found = site()
    assert found.inference_server(found.profiles[0]) is None


def test_a_profile_without_inference_has_none() -> None:
    found = site(profiles=[PROFILE], inference={"servers": [OWN]})
    assert found.inference_server(found.profiles[0]) is None


def test_no_two_servers_have_one_name() -> None:
    with pytest.raises(ValidationError, match="taggers"):
        site(inference={"servers": [OWN, OWN]})


@pytest.mark.parametrize("part", ["tracking", "columns"])
def test_a_service_is_the_charts_own_if_it_has_a_secret(part: str) -> None:
    url = {"url": "https://service.example.org/path"}
    assert getattr(site(**{part: url}), part).own is False
    assert getattr(site(**{part: {**url, "namespace": "a", "secret": "b"}}), part).own is True
    with pytest.raises(ValidationError, match="given together"):
        site(**{part: {**url, "secret": "b"}})


@pytest.mark.parametrize("url", ["ftp://a", "http://a b", "a:5000", "http://a/\nmore"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="tracking"):
        site(tracking={"url": url})


def test_transformers_read_within_what_the_cache_exports() -> None:
    def columns(prefix: str) -> dict[str, Any]:
        data = {"namespace": "readers", "secret": "data", "pathPrefix": prefix}
        return {"url": "http://columns.af.test:5000", "data": data}

    cache = {"host": "xcache.af.test", "pathPrefix": "/store/"}
    found = site(cache=cache, columns=columns("/store/open/"))
    assert found.columns is not None
    assert found.columns.data is not None
    with pytest.raises(ValidationError, match="/other/ is not within /store/"):
        site(cache=cache, columns=columns("/other/"))
    with pytest.raises(ValidationError, match="the site has none"):
        site(columns=columns("/store/"))
