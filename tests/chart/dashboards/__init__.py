"""Grafana's dashboards, which the chart has as JSON: made here, where they can be read.

``python -m tests.chart.dashboards`` writes them; a test fails when the two differ.
"""
