"""Measurements against the budgets; no tests: they print figures, and only counts can fail."""
