"""Kubernetes clusters to run the facility and its tests on.

``python -m tests.cluster up`` gives a whole one; `tests.cluster.control_plane` gives an API
server with its controllers, without nodes, in seconds. See docs/development/cluster.md.
"""
