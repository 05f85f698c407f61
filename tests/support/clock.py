"""A clock that a test moves."""

from datetime import UTC, datetime, timedelta


class Clock:
    """The time, and what a test added to it; whole units are given by name, as to `timedelta`."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        """Return the time, UTC."""
        return datetime.now(UTC) + self._ahead

    def forward(self, **units: float) -> None:
        """Move on, e.g. ``forward(days=5)``."""
        self._ahead += timedelta(**units)
