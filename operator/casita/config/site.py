"""One site's whole configuration, and how it is read."""

from pathlib import Path

import yaml
from pydantic import Field, ValidationError, model_validator

from casita.api.paths import within
from casita.config.base import MIN_LEAF_SECONDS, ConfigurationError, Domain, Label, SiteModel
from casita.config.batch import Batch
from casita.config.cache import DataCache
from casita.config.credentials import Credentials
from casita.config.gateway import Gateway, Reporting
from casita.config.profiles import Profile
from casita.config.services import Columns, Hub, Inference, InferenceServer, Tracking
from casita.config.workers import Quotas, Workers


class Site(SiteModel):
    """One site's whole configuration."""

    domain: Domain
    cluster_domain: Domain = "cluster.local"
    operator_namespace: Label = "casita-system"
    session_namespaces: tuple[Label, ...] = Field(default=("casita",), min_length=1)
    image_pull_secrets: tuple[str, ...] = ()
    gateway: Gateway = Gateway()
    reporting: Reporting = Reporting()
    root_key_file: Path = Path("/etc/casita/root-key/key")
    """Holds the site's root key: report tokens and the seals of authorities' keys come from it."""
    credentials: Credentials = Credentials()
    batch: Batch | None = None
    cache: DataCache | None = None
    hub: Hub | None = None
    inference: Inference | None = None
    tracking: Tracking | None = None
    columns: Columns | None = None
    workers: Workers = Workers()
    quotas: Quotas = Quotas()
    default_profile: Label = "default"
    profiles: tuple[Profile, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _catalogue(self) -> "Site":
        names = [profile.name for profile in self.profiles]
        if len(set(names)) != len(names):
            raise ValueError(f"profiles: names must be unique, got {names}")
        if self.default_profile not in names:
            raise ValueError(f"defaultProfile {self.default_profile!r} is not one of {names}")
        return self

    @model_validator(mode="after")
    def _data(self) -> "Site":
        if self.cache is None:
            return self
        asked, longest = self.credentials.macaroon_seconds, self.cache.longest_seconds
        if asked and not MIN_LEAF_SECONDS <= asked <= longest:
            raise ValueError(
                f"credentials.macaroonSeconds is {asked}, it must be 0 or from {MIN_LEAF_SECONDS} "
                f"to {longest}: the cache refuses what lives longer than its maxDurationSeconds, "
                f"{self.cache.max_duration_seconds}, and clocks differ"
            )
        for profile in self.profiles:
            prefix = self.data_grant(profile)
            if prefix and not within(prefix, self.cache.path_prefix):
                raise ValueError(
                    f"profile {profile.name}: dataPathPrefix {prefix} is not within "
                    f"{self.cache.path_prefix}, which is all that the cache exports"
                )
        return self

    @model_validator(mode="after")
    def _transformers(self) -> "Site":
        data = self.columns.data if self.columns else None
        if data and self.cache is None:
            raise ValueError("columns.data is a token for the cache, and the site has none")
        if data and self.cache and not within(data.path_prefix, self.cache.path_prefix):
            raise ValueError(
                f"columns.data.pathPrefix {data.path_prefix} is not within "
                f"{self.cache.path_prefix}, which is all that the cache exports"
            )
        return self

    @model_validator(mode="after")
    def _inference(self) -> "Site":
        if self.inference is None:
            return self
        names = [server.name for server in self.inference.servers]
        for profile in self.profiles:
            if profile.inference and profile.inference not in names:
                raise ValueError(
                    f"profile {profile.name}: inference is {profile.inference}, but the site's "
                    f"inference servers are {', '.join(names) or 'none'}"
                )
        return self

    @property
    def macaroon_seconds(self) -> int:
        """Life of a macaroon; 0 on a site without a cache."""
        if self.cache is None:
            return 0
        return self.credentials.macaroon_seconds or self.cache.longest_seconds

    def data_grant(self, profile: Profile) -> str | None:
        """Return what sessions of a profile may read, or `None` if that is nothing."""
        if self.cache is None:
            return None
        if profile.data_path_prefix == "None":
            return None
        return profile.data_path_prefix or self.cache.path_prefix

    def inference_server(self, profile: Profile) -> InferenceServer | None:
        """Return the inference server that sessions of a profile may use, if any."""
        if self.inference is None or not profile.inference:
            return None
        return self.inference.server(profile.inference)

    def profile(self, name: str | None) -> Profile | None:
        """Return the named profile, the default one for `None`, or `None` if there is no such."""
        wanted = name or self.default_profile
        return next((profile for profile in self.profiles if profile.name == wanted), None)


def load_site(path: Path) -> Site:
    """Read the site's configuration.

    Raises:
        ConfigurationError: the file cannot be read or breaks the model; the message names the
            file and each offending value.
    """
    try:
        return Site.model_validate(yaml.safe_load(path.read_text()))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
