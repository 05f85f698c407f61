"""Clients of other servers: the only importers of third-party client libraries."""
