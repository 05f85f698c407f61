"""Help for tests on a real API server."""
