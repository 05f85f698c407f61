"""Batch systems: jobs submitted, looked at and removed as their user, a fresh process each time."""
