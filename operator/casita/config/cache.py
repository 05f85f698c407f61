"""The data cache: XCache."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from casita.api.paths import within
from casita.config.base import MIN_LEAF_SECONDS, DataFile, Domain, Prefix, SiteModel

CLOCK_MARGIN_SECONDS = 600
"""How far a clock of the cache may be behind the operator's."""

SiteName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$", max_length=255)]


class DataCache(SiteModel):
    """The XCache that sessions get a macaroon for."""

    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]+$")]
    port: int = Field(default=1094, ge=1, le=65535)
    site_name: SiteName = "casita"
    path_prefix: Prefix = "/store/"
    """What the cache exports."""
    max_duration_seconds: int = Field(default=86_400, ge=2 * MIN_LEAF_SECONDS)
    """``macaroons.maxduration`` of the cache, which refuses what lives longer."""
    probe_path: DataFile | None = None
    """File that is really read to know that data can be read."""
    key_file: Path = Path("/etc/casita/macaroon-key/key")
    authority_file: Path = Path("/etc/casita/cache-authority/ca.pem")
    """Signs the cache's certificate."""
    tls_secret: str | None = None
    """Secret in the operator's namespace with the certificate of the chart's own cache, which the
    operator keeps valid."""
    tls_names: tuple[Domain, ...] = ()
    """Names in that certificate."""

    @property
    def longest_seconds(self) -> int:
        """The longest life of a macaroon that the cache takes for certain.

        The cache refuses a macaroon that ends later than `max_duration_seconds` from now, by its
        own clock: ten minutes are left for a clock that is late. Where so little time is given that
        ten minutes would be most of it, a quarter is left.
        """
        return self.max_duration_seconds - min(CLOCK_MARGIN_SECONDS, self.max_duration_seconds // 4)

    @model_validator(mode="after")
    def _probe_within(self) -> "DataCache":
        if self.probe_path is not None and not within(self.probe_path, self.path_prefix):
            raise ValueError(f"probePath {self.probe_path} is not below {self.path_prefix}")
        return self
