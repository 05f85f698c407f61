"""What a site adds to the Deployments that ServiceX makes for its transformers."""

from collections.abc import Mapping
from typing import Any


def merged(base: Any, patch: Any) -> Any:
    """`base` with `patch` over it, both as JSON; neither is changed.

    Maps are merged key by key, and None removes a key. Lists of things with names (containers,
    environment, volumes) are merged by name, and what is new comes last. All else is replaced.
    """
    if isinstance(base, Mapping) and isinstance(patch, Mapping):
        changed = {key: merged(base.get(key), value) for key, value in patch.items()}
        return {key: value for key, value in {**base, **changed}.items() if value is not None}
    if _all_named(base) and _all_named(patch):
        changed = {item["name"]: item for item in patch}
        known = {item["name"] for item in base}
        kept = [merged(item, changed.get(item["name"], {})) for item in base]
        return kept + [merged({}, item) for item in patch if item["name"] not in known]
    # Also where there was nothing: a None inside must not reach Kubernetes.
    return merged({}, patch) if isinstance(patch, Mapping) else patch


def _all_named(items: Any) -> bool:
    return isinstance(items, list) and all(
        isinstance(item, Mapping) and "name" in item for item in items
    )
