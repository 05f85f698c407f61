"""How a session's workers stand, in words and numbers for its user."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

Facts = Mapping[str, Any]
"""The answer to `casita.dask.hand.STATUS`."""


def describe(facts: Facts) -> str:
    """Return how the workers stand, and why there are not more, in lines."""
    lines = [
        f"{facts['workers']} workers with {facts['cores']} cores",
        f"asked for: {facts['asked']}; the work at hand could use {facts['usefulCores']} cores",
    ]
    lines += [pool_line(pool) for pool in facts["pools"]]
    if facts["message"]:
        lines.append(str(facts["message"]))
    if facts["trouble"]:
        lines.append(f"the operator cannot be told: {facts['trouble']}")
    elif not facts["mode"]:
        lines.append("the operator has not answered yet")
    lines += [f"versions differ: {line}" for line in facts["mismatches"]]
    return "\n".join(lines)


def pool_line(pool: Facts) -> str:
    """Return how one pool stands."""
    text = f"pool {pool['pool']} ({pool['backend']}): {pool['ready']} ready"
    if pool["requested"] != pool["ready"] or pool["desired"] != pool["requested"]:
        text += f", {pool['requested']} requested, {pool['desired']} wanted"
    return f"{text}, {pool['min']} to {pool['max']} allowed"


def departure_lines(departures: Iterable[Facts]) -> list[str]:
    """Return who left when and why, a line each."""
    return [
        f"{datetime.fromtimestamp(left['time'], UTC):%Y-%m-%d %H:%M:%S}Z {left['name']} "
        f"at {left['address']}: {left['reason']}"
        for left in departures
    ]
