"""``status`` of an AnalysisSession: what was seen; the operator is its only writer."""

from typing import Annotated

from pydantic import Field
from pydantic.config import JsonDict

from casita.api.conditions import Condition
from casita.api.names import MAX_POOL_WORKERS
from casita.api.session import MAX_POOLS, ApiModel, Integer, map_list, unique_by

DATE: JsonDict = {"format": "date-time"}

MAX_COUNT = 10 * MAX_POOLS * MAX_POOL_WORKERS
"""Bound of every count of workers: beyond what can be, as retiring workers are counted too."""


class SchedulerStatus(ApiModel):
    """Where the scheduler is."""

    address: str = Field(max_length=300, description="For clients inside the cluster.")
    external_address: str | None = Field(
        default=None, max_length=300, description="For clients outside, through the gateway."
    )
    dashboard_address: str = Field(
        max_length=300,
        description="Dashboard, for the session's own notebook with its certificate.",
    )


class CredentialStatus(ApiModel):
    """One credential's name, number and times; never its material."""

    name: str = Field(
        max_length=32, description="authority, scheduler, worker, client, idtoken or macaroon."
    )
    id: str = Field(
        max_length=64,
        description="Serial number of a certificate, hexadecimal; jti of an IDTOKEN; identifier of "
        "a macaroon, which the cache writes into its log.",
    )
    issued_at: str = Field(max_length=32, json_schema_extra=DATE, description="When it was made.")
    not_after: str = Field(max_length=32, json_schema_extra=DATE, description="When it expires.")
    renewal_time: str | None = Field(
        default=None,
        max_length=32,
        json_schema_extra=DATE,
        description="From when on it is renewed; absent for what lasts as long as the run.",
    )


class PoolStatus(ApiModel):
    """Counts of one pool's workers."""

    pool: str = Field(max_length=16, description="Name of the pool.")
    desired: Integer = Field(
        ge=0, le=MAX_COUNT, description="Workers wanted, clamped to what is allowed."
    )
    requested: Integer = Field(
        ge=0, le=MAX_COUNT, description="Workers asked of the back end and not ended."
    )
    ready: Integer = Field(
        ge=0, le=MAX_COUNT, description="Workers registered at the scheduler and reachable."
    )


class SessionStatus(ApiModel):
    """The state that was observed."""

    conditions: Annotated[tuple[Condition, ...], unique_by("type")] = Field(
        default=(),
        max_length=16,
        json_schema_extra=map_list("type"),
        description="What is true of the session and what is not. All types are there from the "
        "first sight on; what each means stands at its type.",
    )
    observed_generation: Integer = Field(ge=0, description="Generation that this status speaks of.")
    run_id: str | None = Field(default=None, max_length=64, description="spec.runId acted upon.")
    scheduler: SchedulerStatus | None = Field(
        default=None, description="Where the scheduler is; absent while the session is stopped."
    )
    credentials_secret_name: str | None = Field(
        default=None, max_length=253, description="Secret that the user's notebook mounts."
    )
    tokens_secret_name: str | None = Field(
        default=None,
        max_length=253,
        description="Secret with the session's tokens, which the user's notebook mounts too; "
        "absent where the site gives none.",
    )
    credentials: Annotated[tuple[CredentialStatus, ...], unique_by("name")] = Field(
        default=(),
        max_length=16,
        description="The session's certificates and tokens: names and times, never the material.",
        json_schema_extra=map_list("name"),
    )
    workers: Annotated[tuple[PoolStatus, ...], unique_by("pool")] = Field(
        default=(),
        max_length=MAX_POOLS,
        description="Workers of each pool, as counted.",
        json_schema_extra=map_list("pool"),
    )
    replicas: Integer = Field(
        default=0, ge=0, le=MAX_COUNT, description="Workers that are ready, over all pools."
    )
    selector: str = Field(
        default="", max_length=256, description="Label selector of the worker pods, for scaling."
    )
