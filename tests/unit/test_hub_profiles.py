"""The catalogue as a user's form."""

from typing import Any

from casita.config import Site
from casita.hub.profiles import profile_list


def site(*profiles: dict[str, Any], default: str = "default") -> Site:
    entries = [{"image": "example.org/notebook:1", **profile} for profile in profiles]
    return Site.model_validate(
        {"domain": "af.test", "defaultProfile": default, "profiles": entries}
    )


CATALOGUE = site(
    {"name": "gpu", "groups": ["ml"], "notebook": {"extendedResources": {"nvidia.com/gpu": 1}}},
    {"name": "default", "title": "Ordinary"},
    {"name": "big", "groups": ["cms", "ml"], "notebook": {"maxCores": 6, "maxMemoryMiB": 8192}},
)


def offered(*groups: str, admin: bool = False) -> list[str]:
    return [entry["slug"] for entry in profile_list(CATALOGUE, groups, admin=admin)]


def test_a_user_sees_what_the_groups_allow_and_an_admin_everything() -> None:
    assert offered() == ["default"]
    assert offered("cms") == ["default", "big"]
    assert offered("ml", "other") == ["default", "gpu", "big"]
    assert offered(admin=True) == ["default", "gpu", "big"]


def test_who_may_choose_nothing_is_offered_nothing() -> None:
    closed = site({"name": "default", "groups": ["cms"]})
    assert profile_list(closed, [], admin=False) == []


def test_exactly_one_is_the_default() -> None:
    entries = profile_list(CATALOGUE, ["ml"], admin=False)
    assert [entry["default"] for entry in entries] == [True, False, False]
    assert entries[0]["display_name"] == "Ordinary"


def test_sizes_are_chosen_within_the_profiles_bounds() -> None:
    big = profile_list(CATALOGUE, ["cms"], admin=False)[1]
    options = big["profile_options"]
    assert list(options["cores"]["choices"]) == ["1", "2", "4", "6"]
    assert list(options["memory"]["choices"]) == ["2048", "4096", "8192"]
    most = options["memory"]["choices"]["8192"]
    assert most["display_name"] == "8 GiB"
    assert most["kubespawner_override"]["mem_limit"] == "8192M"


def test_without_bounds_there_is_no_choice() -> None:
    assert "profile_options" not in profile_list(CATALOGUE, [], admin=False)[0]


def test_devices_are_asked_for() -> None:
    gpu = profile_list(CATALOGUE, ["ml"], admin=False)[1]
    assert gpu["kubespawner_override"]["extra_resource_limits"] == {"nvidia.com/gpu": "1"}
