"""What the configuration's models are made of, and the one way to say that they do not fit."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from casita.api.paths import FILE_PATTERN, MAX_PATH, PREFIX_PATTERN
from casita.api.session import PROFILE_PATTERN

MIN_LEAF_SECONDS = 300
"""Kubelets deliver a changed Secret only after a minute or two: no shorter lives."""

Label = Annotated[str, Field(pattern=PROFILE_PATTERN)]
Domain = Annotated[
    str, Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$")
]
Prefix = Annotated[str, Field(pattern=PREFIX_PATTERN, max_length=MAX_PATH)]
"""A directory, with a slash at its end."""
DataFile = Annotated[str, Field(pattern=FILE_PATTERN, max_length=MAX_PATH)]


class ConfigurationError(Exception):
    """The site's configuration cannot be used; the message says which value and why."""


class SiteModel(BaseModel):
    """Base of every configuration model: camelCase in the file, immutable, closed."""

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, extra="forbid"
    )
