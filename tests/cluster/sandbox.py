"""The node's own world: network, mounts and process ids, apart from the host's.

One process, the sandbox's first, holds it all. When it dies, the kernel kills every process in
the sandbox, containers and their shims included, and drops mounts and network with them: nothing
stays behind, whatever else was killed when.
"""

from __future__ import annotations

import errno
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.cluster import process, wait
from tests.cluster.errors import ClusterError
from tests.cluster.locations import DATA, RUN
from tests.cluster.packages import find, search_path

NAME = "casita"
NAMED_NETWORK = Path("/run/netns") / NAME
NODE_IP = "172.30.0.2"
NODE_NETWORK = f"{NODE_IP}/24"
BRIDGE_FILTER = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
GATEWAY_PORTS = {443: 8443, 8786: 8786}
"""Ports of the gateway's Service (the hub's and the schedulers'), and those of the host's loopback
that lead there if they are free."""
MADE = RUN / "made"
"""List of the folders outside that had to be made."""
FIRST = re.compile(r"/casita/programs/pause-[0-9a-f]{16}/pause( \(deleted\))?$")
"""The first process's program; the pause of pods is another file, in their own root."""
PRIVATE = (Path("/var/log"), Path("/var/lib/cni"), Path("/var/lib/kubelet"))
"""Folders whose names are fixed in the kubelet and in CNI; the sandbox has empty ones instead."""

SETUP = f"""
set -e
# Sockets, locks and network names of containerd, CNI and iptables have fixed places under /run.
mount --bind {RUN} {DATA}/run
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p {RUN} /run/lock /run/netns
mount --move {DATA}/run {RUN}
{"".join(f"mount -t tmpfs -o mode=755 tmpfs {path}{chr(10)}" for path in PRIVATE)}
ip link set lo up
# A bridge rather than a dummy device: not every kernel has the latter.
ip link add node0 type bridge
ip address add {NODE_NETWORK} dev node0
ip link set node0 up
# Addresses of Services are rewritten only after a route for them was found.
ip route add default dev node0
echo 1 > /proc/sys/net/ipv4/ip_forward
# NetworkPolicies are rules on routed packets; between pods on one bridge there is no routing.
echo 1 > {BRIDGE_FILTER}
"""


def start(first: Path, log: Path) -> process.Process:
    """Make the sandbox.

    Args:
        first: the program `pause`, its first process, which does nothing but reap orphans.
        log: where it may write.

    Returns:
        That first process. Once it is no longer alive, nothing in the sandbox is: the kernel
        lets it go last.
    """
    _load_bridge_filter()
    for folder in (RUN, DATA / "run", DATA / "tmp"):
        folder.mkdir(parents=True, exist_ok=True)
    made = [folder for folder in (NAMED_NETWORK.parent, *PRIVATE) if not folder.exists()]
    MADE.write_text("".join(f"{folder}\n" for folder in made))
    for folder in made:
        folder.mkdir(parents=True)
    flags = ["--net", "--mount", "--propagation=private", "--pid", "--mount-proc", "--fork"]
    holder = process.start("holder", ["unshare", *flags, "--kill-child=KILL", str(first)], log)
    wait.until(
        lambda: _ready(holder, first.name) is not None,
        "sandbox: started",
        seconds=10,
        every=0.02,
        failed=lambda: None if holder.alive() else holder.last_lines(),
    )
    pid = _ready(holder, first.name) or 0
    inside = process.Process("sandbox", pid, process.start_time(pid) or 0, str(log))
    setup = subprocess.run(
        enter(inside, ["sh", "-c", SETUP]),
        env={"PATH": search_path()},
        capture_output=True,
        text=True,
        check=False,
    )
    if setup.returncode != 0:
        inside.kill()
        raise ClusterError(f"the node's namespaces could not be set up: {setup.stderr.strip()}")
    # A link instead of the bind mount of `ip netns add`: `ip netns exec` and nsenter follow it,
    # and it holds nothing alive.
    NAMED_NETWORK.unlink(missing_ok=True)
    NAMED_NETWORK.symlink_to(network(inside))
    return inside


def enter(first: process.Process, command: Sequence[str]) -> list[str]:
    """A command line that runs `command` in the sandbox."""
    # /tmp is the host's, since the programs may lie there; what they leave behind must not.
    settings = ["env", f"TMPDIR={DATA / 'tmp'}"]
    namespaces = ["--net", "--mount", "--pid"]
    return ["nsenter", f"--target={first.pid}", *namespaces, "--", *settings, *command]


def network(first: process.Process) -> Path:
    """The sandbox's network namespace."""
    return Path(f"/proc/{first.pid}/ns/net")


def strays() -> list[process.Process]:
    """First processes of sandboxes, on record or not: a start may have been killed in between."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            program = str((entry / "exe").readlink()) if entry.name.isdigit() else ""
        except OSError:  # a kernel thread, or just ended
            continue
        started = process.start_time(int(entry.name)) if FIRST.search(program) else None
        if started is not None:
            found.append(process.Process("sandbox", int(entry.name), started, os.devnull))
    return found


def remove_traces() -> None:
    """Remove what `start` made outside of the sandbox."""
    NAMED_NETWORK.unlink(missing_ok=True)
    for line in MADE.read_text().splitlines() if MADE.exists() else []:
        # Only if nobody else has put or mounted something there in the meantime.
        if Path(line).is_dir() and not any(Path(line).iterdir()):
            try:
                Path(line).rmdir()
            except OSError as error:
                if error.errno != errno.EBUSY:
                    raise


def _load_bridge_filter() -> None:
    if BRIDGE_FILTER.exists():
        return
    modprobe = find("modprobe")
    if modprobe is None or not process.succeeds([modprobe, "br_netfilter"]):
        raise ClusterError(
            "the kernel module br_netfilter, by which NetworkPolicies are enforced between pods, "
            "is not loaded, and `modprobe br_netfilter` does not load it"
        )


def _ready(holder: process.Process, program: str) -> int | None:
    """The holder's child, once it runs its own program: its namespaces are complete then."""
    for child in process.children(holder.pid):
        if process.name_of(child) == program:
            return child
    return None
