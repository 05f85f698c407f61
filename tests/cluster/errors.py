"""The one kind of error that the command line reports without a traceback."""

from __future__ import annotations


class ClusterError(Exception):
    """Something the user can act on; the message says what was wrong and what to do."""
