"""Arguments of clusters that are made elsewhere: what code written for those may pass here."""

import warnings
from collections.abc import Mapping
from typing import Any, Final

_KNOWN: Final = frozenset(
    {
        "autoscale",
        "check_ports",
        "cores",
        "dashboard_port",
        "death_timeout",
        "disk",
        "env_extra",
        "force_tcp",
        "job_extra",
        "job_extra_directives",
        "job_script_prologue",
        "local_directory",
        "log_directory",
        "max_scale",
        "memory",
        "min_scale",
        "nanny",
        "nanny_port",
        "processes",
        "python",
        "scheduler_options",
        "scheduler_port",
        "security",
        "silence_logs",
        "submit_command_extra",
        "worker_extra_args",
        "worker_image",
    }
)
"""Of `CoffeaCasaCluster` and of dask-jobqueue: here the session's spec decides them."""


def check_elsewhere(arguments: Mapping[str, Any]) -> None:
    """Warn of arguments that have no meaning here, for the caller of the caller.

    Raises:
        TypeError: there is one that has a meaning nowhere.
    """
    unknown = sorted(arguments.keys() - _KNOWN)
    if unknown:
        raise TypeError(f"Cluster() takes no argument {', '.join(unknown)}")
    if arguments:
        names = ", ".join(sorted(arguments))
        warnings.warn(f"the session's own spec decides {names}: ignored here", stacklevel=3)
