"""What the front door is told by the chart: where everything is, and what users may ask for."""

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, ValidationError

from casita.config.base import ConfigurationError, Domain, Label, SiteModel

Seconds = Annotated[int, Field(ge=1)]


class DatabaseAddress(SiteModel):
    """ServiceX's own PostgreSQL database, in which its users and requests are."""

    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65535)] = 5432
    name: Annotated[str, Field(min_length=1)] = "servicex"
    user: Annotated[str, Field(min_length=1)] = "servicex"


class SubmissionLimits(SiteModel):
    """The most that one request may ask for."""

    request_bytes: Annotated[int, Field(ge=1024)] = 1_048_576
    files: Annotated[int, Field(ge=1)] = 10_000
    workers: Annotated[int, Field(ge=1)] = 20


class Transformers(SiteModel):
    """Where transformers run, and how long they may stay."""

    namespace: Label
    max_seconds: Seconds = 86_400
    """A request that is not done after so long has failed."""
    reap_after_seconds: Seconds = 600
    """What belongs to a request that is over, or that nobody knows, stays so long."""
    autoscaling: bool = False
    image_pull_secrets: tuple[Label, ...] = ()


class Settings(SiteModel):
    """All that the front door is told."""

    app: Annotated[str, Field(pattern=r"^http://[A-Za-z0-9.:-]+$")]
    issuer: Domain
    """The site's domain, which every token names as its issuer."""
    session_namespaces: Annotated[tuple[Label, ...], Field(min_length=1)]
    database: DatabaseAddress
    transformers: Transformers
    object_store: Annotated[str, Field(pattern=r"^http://[A-Za-z0-9.:-]+$")] | None = None
    """The chart's own; of a store of the site's own, users get the keys that ServiceX has."""
    code_generators: Annotated[tuple[str, ...], Field(min_length=1)]
    images: tuple[str, ...] = ()
    """Science images that a request may name, by shell pattern."""
    limits: SubmissionLimits = SubmissionLimits()
    access_seconds: Seconds = 900
    """Life of an access token; the client asks for a new one by itself."""


def load(path: Path) -> Settings:
    """Read the settings.

    Raises:
        ConfigurationError: the file cannot be read, or is not what it must be.
    """
    try:
        return Settings.model_validate(yaml.safe_load(path.read_text()))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise ConfigurationError(f"{path}: {error}") from error


def secret(name: str, folder: Path) -> bytes:
    """Return one key of the Secret that is mounted at `folder`, byte for byte.

    Raises:
        ConfigurationError: there is none, or it is empty.
    """
    path = folder / name
    try:
        found = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    if not found:
        raise ConfigurationError(f"{path} is empty")
    return found
