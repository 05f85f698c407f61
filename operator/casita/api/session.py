"""``spec`` of an AnalysisSession: what a user, the hub or an admin asks for.

The models are the schema: the CRD is generated from them (`casita.api.crd`), so a bound stands in
one place. Rules in CEL that pydantic cannot say ride along as ``x-kubernetes-validations``.
"""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict

from casita.api.names import MAX_POOL_WORKERS, POOL_PATTERN, RESERVED_USERS, USER_PATTERN
from casita.api.paths import DIRECTORY_PATTERN, MAX_PATH

Integer = Annotated[int, Field(strict=True)]
"""A whole number and nothing that could be read as one, as the API server sees it."""

MAX_POOLS = 16
IMAGE_PATTERN = r"^[a-z0-9][a-zA-Z0-9._/:@-]*$"
PROFILE_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"


class Lifecycle(StrEnum):
    """Whether the session should run."""

    RUNNING = "Running"
    STOPPED = "Stopped"


class Backend(StrEnum):
    """Where a pool's workers run."""

    KUBERNETES = "Kubernetes"
    HTCONDOR = "HTCondor"


class ScalingMode(StrEnum):
    """Who decides the number of workers."""

    ADAPTIVE = "Adaptive"
    MANUAL = "Manual"


class ApiModel(BaseModel):
    """Base of every API model: camelCase on the wire, immutable, closed."""

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, extra="forbid"
    )


def map_list(key: str) -> JsonDict:
    """Return what a list says in the schema if its entries are told apart by the field `key`."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}


def unique_by(key: str) -> AfterValidator:
    """Refuse a list with two entries of the same `key`, as the API server does by `map_list`."""

    def check(entries: tuple[ApiModel, ...]) -> tuple[ApiModel, ...]:
        keys = [str(getattr(entry, key)) for entry in entries]
        if len(set(keys)) != len(keys):
            raise ValueError(f"{key} must be unique in the list, got {keys}")
        return entries

    return AfterValidator(check)


def _rules(*rules: tuple[str, str]) -> dict[str, Any]:
    return {"x-kubernetes-validations": [{"rule": rule, "message": text} for rule, text in rules]}


class Scaling(ApiModel):
    """How the number of workers is decided."""

    mode: ScalingMode = Field(
        default=ScalingMode.ADAPTIVE,
        description="Adaptive: from the work at hand, between each pool's min and max. "
        "Manual: spec.replicas workers, set by hand or by kubectl scale.",
    )


class SchedulerResources(ApiModel):
    """Size of the scheduler's pod."""

    cores: Integer = Field(default=1, ge=1, le=64, description="CPU cores, the limit of the pod.")
    memory_mi_b: Integer = Field(
        default=2048, ge=256, le=1_048_576, alias="memoryMiB", description="Memory in MiB."
    )


_BATCH_ONLY = (
    "self.backend == 'HTCondor' || !(has(self.requirements) || has(self.accountingGroup))",
    "requirements and accountingGroup are for pools on HTCondor",
)


class WorkerPool(ApiModel):
    """A pool of equal workers on one back end."""

    model_config = ConfigDict(
        json_schema_extra=_rules(
            ("self.min <= self.max", "min must not be greater than max"),
            _BATCH_ONLY,
        )
    )
    """Whatever these rules say, the validators below say too."""

    pool: str = Field(
        pattern=POOL_PATTERN, max_length=16, description="Name of the pool, unique in the session."
    )
    backend: Backend = Field(
        default=Backend.KUBERNETES, description="Where the workers run: Kubernetes or HTCondor."
    )
    min: Integer = Field(
        default=0, ge=0, le=MAX_POOL_WORKERS, description="Workers kept even when there is no work."
    )
    max: Integer = Field(
        ge=0, le=MAX_POOL_WORKERS, description="Most workers that the pool may have."
    )
    cores: Integer = Field(
        default=1, ge=1, le=256, description="CPU cores (threads) of one worker."
    )
    memory_mi_b: Integer = Field(
        default=2048,
        ge=128,
        le=4_194_304,
        alias="memoryMiB",
        description="Memory of one worker in MiB.",
    )
    disk_mi_b: Integer = Field(
        default=1024,
        ge=64,
        le=16_777_216,
        alias="diskMiB",
        description="Scratch space of one worker in MiB.",
    )
    requirements: str | None = Field(
        default=None,
        min_length=1,
        max_length=1024,
        # Printable ASCII but "$": HTCondor expands $ENV() and the like, and a newline would begin
        # another command of the submit file.
        pattern=r"^[ -#%-~]+$",
        description="HTCondor requirements expression, ANDed with the site's; printable ASCII "
        "without '$'.",
    )
    accounting_group: str | None = Field(
        default=None,
        max_length=128,
        pattern=r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$",
        description="HTCondor accounting group.",
    )

    @model_validator(mode="after")
    def _bounds(self) -> "WorkerPool":
        if self.min > self.max:
            raise ValueError(f"pool {self.pool}: min {self.min} is greater than max {self.max}")
        return self

    @model_validator(mode="after")
    def _batch_only(self) -> "WorkerPool":
        batch = self.requirements is not None or self.accounting_group is not None
        if batch and self.backend is not Backend.HTCONDOR:
            raise ValueError(f"pool {self.pool}: {_BATCH_ONLY[1]}")
        return self


class DataAccess(ApiModel):
    """What the session may read through the site's cache."""

    path_prefix: str = Field(
        max_length=MAX_PATH,
        pattern=DIRECTORY_PATTERN,
        description="Directory below which files may be read and listed, within what the profile "
        "grants; parts are of letters, digits, '.', '_' and '-', and none begins with a dot.",
    )


_RESERVED_LIST = "[" + ", ".join(f"'{user}'" for user in RESERVED_USERS) + "]"


class SessionSpec(ApiModel):
    """What is asked for: whose session, how large, where its workers run."""

    user: str = Field(
        pattern=USER_PATTERN,
        max_length=32,
        description="Whose session this is: the local part of the user's identity at the site's "
        "services. Cannot be changed; names with rights of their own (root, condor, ...) are "
        "refused.",
        json_schema_extra=_rules(
            ("self == oldSelf", "user cannot be changed; delete the session and make a new one"),
            (f"!(self in {_RESERVED_LIST})", "this user name is reserved"),
        ),
    )
    profile: str | None = Field(
        default=None,
        max_length=63,
        pattern=PROFILE_PATTERN,
        description="Entry of the site's catalogue that gives defaults and limits; the site's "
        "default profile if absent.",
    )
    image: str | None = Field(
        default=None,
        max_length=512,
        pattern=IMAGE_PATTERN,
        description="Image of scheduler and workers; must be one that the profile allows.",
    )
    lifecycle: Lifecycle = Field(
        default=Lifecycle.RUNNING,
        description="Running, or Stopped: pods and credentials are withdrawn, the object stays.",
    )
    run_id: str | None = Field(
        default=None,
        max_length=64,
        pattern=r"^[A-Za-z0-9._-]+$",
        description="Opaque. A change starts a session that stopped by itself, and gives a running "
        "one new credentials and a new scheduler.",
    )
    max_lifetime_seconds: Integer = Field(
        default=604_800,
        ge=300,
        le=2_592_000,
        description="The session stops this long after its start; bounds its authority's life.",
    )
    idle_timeout_seconds: Integer | None = Field(
        default=None,
        ge=60,
        le=2_592_000,
        description="The session stops after this long with no client and no task.",
    )
    replicas: Integer = Field(
        default=0,
        ge=0,
        le=MAX_POOL_WORKERS,
        description="Workers wanted in Manual mode, over all pools, which fill in list order; "
        "without effect in Adaptive mode.",
    )
    scaling: Scaling = Field(default=Scaling(), description="How the number of workers is decided.")
    scheduler: SchedulerResources = Field(
        default=SchedulerResources(), description="Size of the scheduler's pod."
    )
    workers: (
        Annotated[tuple[WorkerPool, ...], Field(max_length=MAX_POOLS), unique_by("pool")] | None
    ) = Field(
        default=None,
        description="The session's pools, filled in this order; the profile's pools if absent.",
        json_schema_extra=map_list("pool"),
    )
    data_access: DataAccess | None = Field(
        default=None,
        description="What the session may read through the site's cache; all that the profile "
        "grants if absent.",
    )

    @model_validator(mode="after")
    def _unreserved(self) -> "SessionSpec":
        if self.user in RESERVED_USERS:
            raise ValueError(f"user {self.user!r} is reserved")
        return self
