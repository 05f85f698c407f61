"""The services beside sessions: the hub, inference, tracking, and columns."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from casita.api.session import unique_by
from casita.config.base import Label, Prefix, SiteModel

HttpUrl = Annotated[
    str, Field(pattern=r"^https?://[A-Za-z0-9.:-]+(/[A-Za-z0-9._/-]*)?$", max_length=2048)
]
ServerName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,22}[a-z0-9])?$")]
"""Of an inference server; it becomes part of the names of Services."""


class Hub(SiteModel):
    """The chart's own JupyterHub."""

    namespace: Label
    secret: Label
    """What hub and proxy know alone, in that namespace: made once, by the operator."""


class InferenceServer(SiteModel):
    """A Triton server that sessions of some profiles may use."""

    name: ServerName
    url: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]+:[0-9]{1,5}$")]
    """Where sessions reach it, by gRPC."""
    health_url: HttpUrl | None = None
    """Where it tells of its health by HTTP; only the chart's own servers are asked."""


class Inference(SiteModel):
    """The site's inference servers."""

    servers: Annotated[tuple[InferenceServer, ...], unique_by("name")] = ()
    namespace: Label | None = None
    """Of the chart's own servers."""

    def server(self, name: str) -> InferenceServer | None:
        """Return the named server, or `None` if there is no such."""
        return next((server for server in self.servers if server.name == name), None)


class SiteService(SiteModel):
    """A service that sessions reach by HTTP; the chart's own, if it has a Secret."""

    url: HttpUrl
    namespace: Label | None = None
    secret: Label | None = None
    """What the service's parts alone know, in its namespace: made by the operator. Without one
    the service is another's, and sessions get no token for it."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.namespace is None) != (self.secret is None):
            raise ValueError("namespace and secret are given together, or neither")
        return self

    @property
    def own(self) -> bool:
        """Whether it is the chart's own, so that sessions get tokens for it."""
        return self.secret is not None


class Tracking(SiteService):
    """The tracking server of experiments: MLflow."""


class TransformersData(SiteModel):
    """What ServiceX's transformers may read through the cache, as one service for all users."""

    namespace: Label
    """Of the transformers."""
    secret: Label
    """The token for it, in that namespace: made and renewed by the operator."""
    path_prefix: Prefix


class Columns(SiteService):
    """The delivery of columns: ServiceX."""

    data: TransformersData | None = None
