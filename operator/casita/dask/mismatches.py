"""Versions of Python and Dask that do not fit together, told by what Dask exchanges anyway."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from distributed import Scheduler

MAX_LINES: Final = 5
_PACKAGES: Final = ("dask", "distributed")

Versions = Mapping[str, str]


def versions_of(said: Mapping[str, Any]) -> dict[str, str]:
    """Return the versions that matter, of what ``distributed.versions.get_versions`` says.

    Of Python its minor release: functions travel as byte code, which holds for one of them.
    """
    host = {str(key): value for key, value in _pairs(said.get("host"))}
    packages = {str(key): value for key, value in _pairs(said.get("packages"))}
    found = {name: str(packages[name]) for name in _PACKAGES if packages.get(name)}
    python = ".".join(str(host.get("python", "")).split(".")[:2])
    return {"python": python, **found} if python else found


def _pairs(said: object) -> Iterable[tuple[Any, Any]]:
    # Dask sends a mapping of packages, and of the host a list of pairs.
    if isinstance(said, Mapping):
        return said.items()
    return [pair for pair in said if len(pair) == 2] if isinstance(said, list | tuple) else []


def mismatch_lines(
    scheduler: Versions,
    clients: Mapping[str, Versions],
    workers: Mapping[str, Versions],
) -> tuple[str, ...]:
    """Return at most `MAX_LINES` lines, one for each difference; clients, by name, come first."""
    lines = []
    for kind, peers in (("client", clients), ("worker", workers)):
        names: dict[tuple[str, str], list[str]] = {}
        for name, versions in sorted(peers.items()):
            for package, version in versions.items():
                if scheduler.get(package, version) != version:
                    names.setdefault((package, version), []).append(name)
        for (package, version), who in names.items():
            others = f" and {len(who) - 1} more" if len(who) > 1 else ""
            lines.append(
                f"{kind} {who[0]}{others}: {package} {version}, scheduler has {scheduler[package]}"
            )
    return tuple(line[:200] for line in lines[:MAX_LINES])


def look_for_mismatches(scheduler: Scheduler, own: Versions) -> tuple[str, ...]:
    """Compare all who are registered with the scheduler's `own` versions."""
    return mismatch_lines(
        own,
        {name: versions_of(client.versions) for name, client in scheduler.clients.items()},
        {str(worker.name): versions_of(worker.versions) for worker in scheduler.workers.values()},
    )
