"""The site's catalogue as the hub's form: kubespawner's ``profile_list``. Pure.

kubespawner draws the form, and takes nothing from it that the list does not offer: a profile that a
user's groups do not allow is not in the user's list, so a forged form cannot choose it.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from casita.config import Notebook, PodOverrides, Profile, Site

Json = dict[str, Any]

PROFILE: Final = "session_profile"
"""Trait of the spawner that a choice sets."""


def allowed_profiles(site: Site, groups: Collection[str], *, admin: bool) -> tuple[Profile, ...]:
    """Return the profiles that a user may choose, the default one first if it is among them."""
    found = [p for p in site.profiles if admin or not p.groups or set(p.groups) & set(groups)]
    return tuple(sorted(found, key=lambda profile: profile.name != site.default_profile))


def profile_list(site: Site, groups: Collection[str], *, admin: bool) -> list[Json]:
    """Return the entries of the form for a user.

    Args:
        site: the site, with its catalogue.
        groups: those of the user, as the hub knows them.
        admin: whether the user is an admin of the hub, who may choose everything.
    """
    profiles = allowed_profiles(site, groups, admin=admin)
    return [_entry(profile, default=profile is profiles[0]) for profile in profiles]


def _entry(profile: Profile, *, default: bool) -> Json:
    notebook = profile.notebook
    options = {
        name: choice
        for name, choice in (
            ("cores", _cores(notebook)),
            ("memory", _memory(notebook)),
        )
        if choice
    }
    return {
        "slug": profile.name,
        "display_name": profile.title or profile.name,
        "description": profile.description,
        "default": default,
        "kubespawner_override": {
            PROFILE: profile.name,
            "image": profile.image,
            **_cpu(notebook.cores),
            **_bytes(notebook.memory_mi_b),
            **_devices(notebook.extended_resources),
            **_placement(notebook.overrides),
        },
        **({"profile_options": options} if options else {}),
    }


def _cores(notebook: Notebook) -> Json:
    return _choice("Cores", _steps(notebook.cores, notebook.max_cores), str, _cpu)


def _memory(notebook: Notebook) -> Json:
    steps = _steps(notebook.memory_mi_b, notebook.max_memory_mi_b)
    return _choice("Memory", steps, _in_words, _bytes)


def _choice(title: str, steps: tuple[int, ...], words: Any, override: Any) -> Json:
    if len(steps) < 2:
        return {}
    choices = {
        str(step): {
            "display_name": words(step),
            "default": number == 0,
            "kubespawner_override": override(step),
        }
        for number, step in enumerate(steps)
    }
    return {"display_name": title, "choices": choices}


def _steps(least: int, most: int) -> tuple[int, ...]:
    """Return sizes to choose from: each twice the one before, and the most at the end."""
    steps = [least]
    while 2 * steps[-1] < most:
        steps.append(2 * steps[-1])
    return (*steps, most) if most > steps[-1] else tuple(steps)


def _cpu(cores: int) -> Json:
    return {"cpu_limit": float(cores)}


def _bytes(mebibytes: int) -> Json:
    return {"mem_limit": f"{mebibytes}M", "mem_guarantee": f"{mebibytes}M"}


def _in_words(mebibytes: int) -> str:
    return f"{mebibytes / 1024:g} GiB"


def _devices(resources: Mapping[str, int]) -> Json:
    if not resources:
        return {}
    wanted = {name: str(number) for name, number in resources.items()}
    return {"extra_resource_limits": wanted, "extra_resource_guarantees": wanted}


def _placement(overrides: PodOverrides) -> Json:
    found: Json = {}
    if overrides.node_selector:
        found["node_selector"] = dict(overrides.node_selector)
    if overrides.tolerations:
        found["tolerations"] = list(overrides.tolerations)
    if overrides.priority_class_name:
        found["priority_class_name"] = overrides.priority_class_name
    return found
