"""What a scheduler is told in answer to its report: the state of its own session's pools."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from casita.api.conditions import ConditionType
from casita.api.session import ScalingMode, SessionSpec
from casita.config import Site
from casita.sessions.cache import SessionRecord
from casita.sessions.refusal import pools_of


def answer_of(record: SessionRecord | None, site: Site) -> dict[str, Any]:
    """Return a session's mode, pools and counts by its last status; nothing of it is secret."""
    try:
        spec = SessionSpec.model_validate(record.spec if record else {})
    except ValidationError:
        # Its status says why; it is gone, or written for another release.
        return {"mode": ScalingMode.ADAPTIVE, "message": _message(record), "pools": []}
    profile = site.profile(spec.profile)
    counts = _counts(record)
    pools = [
        {
            "pool": pool.pool,
            "backend": pool.backend,
            "min": pool.min,
            "max": pool.max,
            **{name: counts.get(pool.pool, {}).get(name, 0) for name in _COUNTED},
        }
        for pool in (pools_of(spec, profile) if profile else ())
    ]
    return {"mode": spec.scaling.mode, "message": _message(record), "pools": pools}


_COUNTED = ("desired", "requested", "ready")


def _counts(record: SessionRecord | None) -> dict[str, Mapping[str, Any]]:
    entries = record.status.get("workers") or () if record else ()
    return {entry["pool"]: entry for entry in entries}


def _message(record: SessionRecord | None) -> str:
    for condition in (record.status.get("conditions") or ()) if record else ():
        if condition["type"] == ConditionType.WORKERS_READY:
            return str(condition.get("message", ""))
    return ""
