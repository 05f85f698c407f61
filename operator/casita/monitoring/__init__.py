"""Metrics of servers that have none of their own, for Prometheus."""
