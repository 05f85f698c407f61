"""Tests of the Helm chart: what it renders, refuses and documents, without a cluster."""
