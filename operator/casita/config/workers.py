"""What workers of all sessions share."""

from pydantic import Field

from casita.config.base import SiteModel


class Workers(SiteModel):
    """What the pods of all sessions share."""

    drain_seconds: int = Field(default=300, ge=10)
    """How long a retiring worker may take to finish its tasks and hand over its data."""
    cpu_request_percent: int = Field(default=100, ge=1, le=100)
    """Share of its cores that a session's pod reserves; below 100 lets a site overcommit."""
    target_seconds: int = Field(default=30, ge=1)
    """Adaptive sessions have as many workers as do the work at hand in about so long."""
    scale_down_seconds: int = Field(default=60, ge=1)
    """An adaptive session gives up what it has not needed for so long."""


class Quotas(SiteModel):
    """The most cores that workers may have, over all pools and sessions; `None` is no limit."""

    user_cores: int | None = Field(default=None, ge=0)
    """Of each user."""
    site_cores: int | None = Field(default=None, ge=0)
    """Of all users; shared fairly between them when they ask for more."""
