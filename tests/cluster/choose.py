"""Which kind of cluster to use: CLUSTER=auto|kind|current|embedded."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from tests.cluster import embedded, kind
from tests.cluster.current import Current
from tests.cluster.embedded import Embedded
from tests.cluster.errors import ClusterError
from tests.cluster.kind import Kind
from tests.cluster.locations import DOMAIN, state
from tests.cluster.steps import Steps


class Cluster(Protocol):
    """What can be asked of any kind of cluster."""

    def up(self) -> None:
        """Make it run with this checkout's images."""
        ...

    def down(self) -> None:
        """Remove it."""
        ...

    def healthy(self) -> bool:
        """Whether it runs and answers."""
        ...

    def status(self) -> list[str]:
        """Lines that say what runs."""
        ...


def cluster(steps: Steps) -> Cluster:
    """The cluster that the environment asks for.

    Raises:
        ClusterError: CLUSTER has an unknown value, or another kind of cluster is up here.
    """
    return _makers(steps)[choice(_asked(), up_already(), kind.usable)]()


def choice(asked: str, already: str | None, kind_usable: Callable[[], bool]) -> str:
    """Decide on a kind of cluster.

    Args:
        asked: the value of CLUSTER.
        already: the kind of the cluster that is up, if one is.
        kind_usable: whether kind can be used; asked only if it matters, since it takes time.

    Raises:
        ClusterError: `asked` is unknown, or contradicts `already`.
    """
    known = ("auto", "kind", "current", "embedded")
    if asked not in known:
        raise ClusterError(f"CLUSTER is {asked!r}; it may be {', '.join(known)}")
    if already is None:
        return asked if asked != "auto" else ("kind" if kind_usable() else "embedded")
    if asked not in {"auto", already}:
        raise ClusterError(
            f"CLUSTER is {asked!r}, but this checkout's cluster is {already!r}; end that first: "
            f"CLUSTER={already} python -m tests.cluster down"
        )
    return already


def up_already() -> str | None:
    """The kind of the cluster that is up: this checkout's, or else the machine's embedded one.

    The latter may be another checkout's; it does not matter to who asks for another kind.
    """
    if _record().exists():
        return _record().read_text().strip()
    return "embedded" if _asked() in {"auto", "embedded"} and embedded.record() else None


def remember(made: Cluster) -> None:
    """Note the kind of the cluster that is being brought up."""
    _record().parent.mkdir(parents=True, exist_ok=True)
    _record().write_text(f"{type(made).__name__.lower()}\n")


def forget() -> None:
    """Note that no cluster is up."""
    _record().unlink(missing_ok=True)


def _makers(steps: Steps) -> dict[str, Callable[[], Cluster]]:
    return {
        "embedded": lambda: Embedded(DOMAIN, steps),
        "kind": lambda: Kind(DOMAIN, steps),
        "current": lambda: Current(steps),
    }


def _asked() -> str:
    return os.environ.get("CLUSTER") or "auto"


def _record() -> Path:
    return state() / "kind-of-cluster"
