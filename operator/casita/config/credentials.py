"""How long lives what sessions are given."""

from pydantic import Field

from casita.config.base import MIN_LEAF_SECONDS, SiteModel


class Credentials(SiteModel):
    """Lives of what sessions are given, in seconds."""

    leaf_seconds: int = Field(default=604_800, ge=MIN_LEAF_SECONDS)
    authority_margin_seconds: int = Field(default=86_400, ge=0)
    """How much longer than the session's ``maxLifetimeSeconds`` its authority is valid."""
    idtoken_seconds: int = Field(default=43_200, ge=MIN_LEAF_SECONDS)
    macaroon_seconds: int = Field(default=0, ge=0)
    """0 is as long as the cache accepts."""
    service_seconds: int = Field(default=43_200, ge=MIN_LEAF_SECONDS)
    """Of the tokens for tracking and for columns."""
