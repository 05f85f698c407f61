"""The control group below which the embedded node's pods live, on cgroup v1 and v2."""

from __future__ import annotations

from pathlib import Path

from tests.cluster import wait

MOUNT = Path("/sys/fs/cgroup")
NAME = "casita"


def create() -> None:
    """Make the group in every hierarchy, with all controllers; the kubelet insists on both."""
    for hierarchy in hierarchies():
        (hierarchy / NAME).mkdir(exist_ok=True)
    controllers = MOUNT / "cgroup.controllers"
    if controllers.exists():  # cgroup v2, where a group has what its parent passes on
        for controller in controllers.read_text().split():
            (MOUNT / "cgroup.subtree_control").write_text(f"+{controller}")


def memory_bytes(mount: Path = MOUNT) -> int | None:
    """Memory of all pods together, without what the kernel can drop at once; None if unknown.

    It is what the kubelet calls the working set.
    """
    for folder, usage, cached in (
        (mount / NAME, "memory.current", "inactive_file"),
        (mount / "memory" / NAME, "memory.usage_in_bytes", "total_inactive_file"),
    ):
        if (folder / usage).exists():
            figures = dict(
                line.split() for line in (folder / "memory.stat").read_text().splitlines()
            )
            return int((folder / usage).read_text()) - int(figures[cached])
    return None


def remove() -> None:
    """Remove the group and all below it; nothing must run in it any more."""
    wait.until(_removed, "control groups: removed", seconds=10)


def _removed() -> bool:
    for hierarchy in hierarchies():
        top = hierarchy / NAME
        groups = [path for path in top.rglob("*") if path.is_dir()] if top.is_dir() else []
        for group in sorted([*groups, top], key=lambda path: len(path.parts), reverse=True):
            try:
                group.rmdir()
            except FileNotFoundError:
                continue
            except OSError:  # its last process has ended but is still being cleared away
                return False
    return True


def hierarchies(mount: Path = MOUNT) -> list[Path]:
    """The root of each hierarchy: one on cgroup v2, several on v1, all of them where both are."""
    if (mount / "cgroup.controllers").exists():
        return [mount]
    return sorted({path.resolve() for path in mount.iterdir() if (path / "cgroup.procs").exists()})
