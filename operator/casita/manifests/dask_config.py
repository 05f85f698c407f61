"""Dask's configuration for a session's clients: what ``DASK_CONFIG`` points to in a notebook."""

from typing import Any


def client_config(address: str, directory: str = "/etc/cmsaf-secrets") -> dict[str, Any]:
    """Return the content of ``dask.yaml``, with which ``distributed.Client()`` just connects.

    The keys are those of Dask's own configuration (``distributed/distributed.yaml``); nothing but
    TLS is spoken, and the certificate is loaded again when the mounted Secret changes.

    Args:
        address: the scheduler's address as ``tls://host:port``; the host must be a name where a
            gateway routes by it.
        directory: where the client's Secret is mounted.
    """
    return {
        "scheduler-address": address,
        "distributed": {
            "client": {"preload": ["casita.dask.client"]},
            "comm": {
                "default-scheme": "tls",
                "require-encryption": True,
                "tls": {
                    "ca-file": f"{directory}/ca.pem",
                    # One file holds the certificate and its key.
                    "client": {"cert": f"{directory}/usercert.pem", "key": None},
                },
            },
            "dashboard": {"link": "https://{host}:{port}/status"},
        },
        # Else the first cell of a notebook begins with lines about what is loaded.
        "logging": {"distributed.preloading": "warning"},
    }
