"""The batch system: an HTCondor pool, and the workers that are jobs of it."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from casita.config.base import Label, SiteModel


def _named_key(key_id: str) -> str:
    if key_id == "POOL":
        raise ValueError("POOL is the pool's own key: name another one, made for casita")
    return key_id


TrustDomain = Annotated[str, Field(pattern=r"^[^\s,]+$", max_length=255)]
UidDomain = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$", max_length=255)]
KeyId = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_-]+$", max_length=64), AfterValidator(_named_key)
]
SubmitText = Annotated[str, Field(pattern=r"^[^\n\r]*$", max_length=4096)]
Cidr = Annotated[str, Field(pattern=r"^[0-9a-fA-F.:]+/[0-9]{1,3}$")]
SubmitCommand = Annotated[str, Field(pattern=r"^[+A-Za-z][A-Za-z0-9_.]*$", max_length=128)]


class Universe(StrEnum):
    """How a job finds its Python: on the machine, or in the session's image."""

    VANILLA = "vanilla"
    CONTAINER = "container"


class BatchWorkers(SiteModel):
    """Workers that are jobs. What is free-form here ends in submit files: the admin's alone."""

    universe: Universe = Universe.VANILLA
    python: Annotated[str, Field(pattern=r"^/[A-Za-z0-9._/+-]+$")] = "/opt/casita/bin/python3"
    """With casita[dask,data], on the machine or in the image."""
    requirements: SubmitText = ""
    """ANDed with what a session asks for."""
    queue_seconds: int = Field(default=86_400, ge=60)
    """A job that waits longer is removed; asked for anew while there is work."""
    wall_seconds: int = Field(default=86_400, ge=300)
    """A worker that runs longer drains and ends."""
    long_idle_seconds: int = Field(default=600, ge=10)
    """A job that waits longer is told of."""
    first_port: int = Field(default=40_000, ge=1024, le=65_535)
    last_port: int = Field(default=40_099, ge=1024, le=65_535)
    contact_address: SubmitText = ""
    """What workers tell others to dial, where that is not the address of their machine."""
    ranges: tuple[Cidr, ...] = ()
    """Addresses of a pool outside the cluster, for the sessions' NetworkPolicies."""
    environment: dict[str, SubmitText] = Field(default_factory=dict)
    directives: dict[SubmitCommand, SubmitText] = Field(default_factory=dict)
    """Further lines of every submit file."""

    @model_validator(mode="after")
    def _ports(self) -> "BatchWorkers":
        if self.first_port > self.last_port:
            raise ValueError(f"firstPort {self.first_port} is above lastPort {self.last_port}")
        return self


class Batch(SiteModel):
    """The HTCondor pool that sessions get an IDTOKEN for."""

    collector: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]+:[0-9]{1,5}$")]
    schedd: Annotated[str, Field(pattern=r"^[A-Za-z0-9.@_-]+$")]
    trust_domain: TrustDomain
    """Issuer of every IDTOKEN: the pool's ``TRUST_DOMAIN``, byte for byte."""
    uid_domain: UidDomain
    """What stands after the ``@`` of an identity: the pool's ``UID_DOMAIN``."""
    key_id: KeyId = "casita"
    """Name of the signing key on the pool's daemons."""
    key_file: Path = Path("/etc/casita/idtoken-key/key")
    pool_namespace: Label | None = None
    """Where the operator keeps the token of the execute machines, with `pool_token_secret`."""
    pool_token_secret: str | None = None
    workers: BatchWorkers = BatchWorkers()
