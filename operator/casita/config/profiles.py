"""The catalogue: defaults, limits and additions for kinds of sessions."""

from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import Field

from casita.api.session import MAX_POOLS, WorkerPool, unique_by
from casita.config.base import Label, Prefix, SiteModel
from casita.config.pods import Mount, PodOverrides
from casita.config.services import ServerName

DataGrant = Literal["", "None"] | Prefix


class Limits(SiteModel):
    """The most that a session of a profile may ask for."""

    workers: int = Field(default=100, ge=0)
    """Over all pools."""
    worker_cores: int = Field(default=16, ge=1)
    worker_memory_mi_b: int = Field(default=65_536, ge=128, alias="workerMemoryMiB")
    scheduler_cores: int = Field(default=4, ge=1)
    scheduler_memory_mi_b: int = Field(default=16_384, ge=256, alias="schedulerMemoryMiB")


class InstantWorker(SiteModel):
    """A worker in the scheduler's own pod, there as soon as the scheduler is.

    A first task waits for nothing. It belongs to no pool and is not scaled.
    """

    cores: int = Field(default=1, ge=0)
    """0 is none."""
    memory_mi_b: int = Field(default=2048, ge=256, alias="memoryMiB")


class Notebook(SiteModel):
    """A user's server beside a session, as the hub makes it."""

    cores: int = Field(default=1, ge=1)
    memory_mi_b: int = Field(default=2048, ge=256, alias="memoryMiB")
    max_cores: int = Field(default=0, ge=0)
    """The most that a user may choose; 0 leaves no choice."""
    max_memory_mi_b: int = Field(default=0, ge=0, alias="maxMemoryMiB")
    """Likewise."""
    extended_resources: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    """Devices, by the name of their resource, such as `nvidia.com/gpu`."""
    overrides: PodOverrides = PodOverrides()


class Profile(SiteModel):
    """An entry of the catalogue: defaults, limits and additions for a kind of session."""

    name: Label
    title: str = ""
    """What people choose; the name if empty."""
    description: str = ""
    groups: tuple[str, ...] = ()
    """Groups of the hub whose users may choose it; empty is everybody."""
    notebook: Notebook = Notebook()
    image: str
    allowed_images: tuple[str, ...] = ()
    """Further images, by shell pattern, that a session may name."""
    pools: Annotated[tuple[WorkerPool, ...], Field(max_length=MAX_POOLS), unique_by("pool")] = ()
    """Pools of a session that names none."""
    limits: Limits = Limits()
    data_path_prefix: DataGrant = ""
    """What a session of this profile may read through the cache: empty is all that the cache
    exports, `None`, as a word, is nothing."""
    inference: Literal[""] | ServerName = ""
    """The inference server that its sessions may use; empty is none."""
    instant_worker: InstantWorker = InstantWorker(cores=0)
    scheduler_overrides: PodOverrides = PodOverrides()
    worker_overrides: PodOverrides = PodOverrides()
    mounts: Annotated[tuple[Mount, ...], Field(max_length=16), unique_by("name")] = ()

    def allows_image(self, image: str) -> bool:
        """Say whether a session of this profile may run `image`."""
        return image == self.image or any(fnmatchcase(image, p) for p in self.allowed_images)
