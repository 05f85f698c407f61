"""Condition types and their reasons: the words in which a session tells how it is."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class ConditionType(StrEnum):
    """What can be true or not of a session; `DESCRIPTIONS` says what each one means."""

    READY = "Ready"
    CREDENTIALS_READY = "CredentialsReady"
    SCHEDULER_READY = "SchedulerReady"
    ROUTE_READY = "RouteReady"
    WORKERS_READY = "WorkersReady"
    DATA_READY = "DataReady"
    SERVICES_READY = "ServicesReady"


DESCRIPTIONS: dict[ConditionType, str] = {
    ConditionType.READY: (
        "True: credentials are valid, the scheduler answers and its route leads to it; a client "
        "can connect. False: the reason and message are those of the first part that is missing."
    ),
    ConditionType.CREDENTIALS_READY: (
        "True: the session's authority, every certificate and every token exist, belong together "
        "and are valid. False: one is missing, damaged or could not be made."
    ),
    ConditionType.SCHEDULER_READY: (
        "True: the scheduler's pod is ready, its health endpoint answers. False: it starts, "
        "failed, or was refused."
    ),
    ConditionType.ROUTE_READY: (
        "True: the gateway accepted the route, and a TLS connection through the gateway by the "
        "session's host name met a certificate of this session's own authority; or no route is "
        "configured on this site. False: one of these was not seen."
    ),
    ConditionType.WORKERS_READY: (
        "Informs, does not enter Ready. True: every pool can be served, with the workers that it "
        "wants on their way or there. False: names the pool and what its back end says."
    ),
    ConditionType.DATA_READY: (
        "Informs, does not enter Ready. True: a file was really read through the site's data "
        "cache, by a token made as the session's is; or the session needs no data. False: it could "
        "not be read, and the reason says whether cache, token or origin is at fault. Unknown: "
        "nobody has tried yet, or the site names no file to try."
    ),
    ConditionType.SERVICES_READY: (
        "Informs, does not enter Ready. True: the site's services that the session may use, its "
        "profile's inference server, tracking and the delivery of columns, did what it needs of "
        "them; or there are none of the site's own. False: names each one that did not, where it "
        "is and what it says. Unknown: nobody has tried yet."
    ),
}


class ConditionStatus(StrEnum):
    """The three values that Kubernetes gives a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Reason(StrEnum):
    """Why a condition is as it is: machine-readable, documented in the reference."""

    READY = "Ready"
    ISSUED = "Issued"
    CONNECTED = "Connected"
    SERVED = "Served"
    READABLE = "Readable"
    ANSWERED = "Answered"
    NOT_CONFIGURED = "NotConfigured"
    UPDATE_PENDING = "UpdatePending"
    QUOTA_REACHED = "QuotaReached"

    STARTING = "Starting"
    ISSUING = "Issuing"
    WAITING_FOR_PREDECESSOR = "WaitingForPredecessor"
    AWAITING_SCHEDULER = "AwaitingScheduler"
    AWAITING_GATEWAY = "AwaitingGateway"
    SCALING = "Scaling"

    STOPPED = "Stopped"
    IDLE_STOPPED = "IdleStopped"
    LIFETIME_EXCEEDED = "LifetimeExceeded"

    SPEC_INVALID = "SpecInvalid"
    SPEC_REFUSED = "SpecRefused"
    UNKNOWN_PROFILE = "UnknownProfile"
    IMAGE_NOT_ALLOWED = "ImageNotAllowed"
    EXCEEDS_PROFILE = "ExceedsProfile"

    NAME_TAKEN = "NameTaken"
    FORBIDDEN = "Forbidden"
    API_ERROR = "ApiError"
    ROUTE_API_NOT_SERVED = "RouteApiNotServed"
    ROUTE_REFUSED = "RouteRefused"
    ROUTE_UNREACHABLE = "RouteUnreachable"
    HOST_TAKEN = "HostTaken"

    UNSCHEDULABLE = "Unschedulable"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    OUT_OF_MEMORY = "OutOfMemory"
    FAILED = "Failed"
    WORKERS_UNREACHABLE = "WorkersUnreachable"
    VERSION_MISMATCH = "VersionMismatch"
    JOBS_HELD = "JobsHeld"
    JOBS_WAIT = "JobsWait"
    JOBS_EVICTED = "JobsEvicted"
    JOBS_LOST = "JobsLost"
    SUBMIT_REFUSED = "SubmitRefused"

    SIGNING_KEY_UNUSABLE = "SigningKeyUnusable"
    SCHEDD_UNREACHABLE = "ScheddUnreachable"
    SCHEDD_REFUSED = "ScheddRefused"
    CACHE_UNREACHABLE = "CacheUnreachable"
    CACHE_REFUSED = "CacheRefused"
    ORIGIN_UNREACHABLE = "OriginUnreachable"
    INFERENCE_UNREACHABLE = "InferenceUnreachable"
    TRACKING_UNREACHABLE = "TrackingUnreachable"
    TRACKING_REFUSED = "TrackingRefused"
    COLUMNS_UNREACHABLE = "ColumnsUnreachable"
    COLUMNS_REFUSED = "ColumnsRefused"
    NOT_TRIED = "NotTried"


REASONS: dict[Reason, str] = {
    Reason.READY: "Everything that the condition asks for was seen.",
    Reason.ISSUED: "All certificates and tokens are there and valid.",
    Reason.CONNECTED: "A connection through the gateway met this session's scheduler.",
    Reason.SERVED: "Every pool has the workers that it wants.",
    Reason.READABLE: "A file was read through the cache with a token as the session's is.",
    Reason.ANSWERED: "Every service that the session may use did what it needs of it.",
    Reason.NOT_CONFIGURED: "This site has nothing of the kind; who asks for it is told so.",
    Reason.UPDATE_PENDING: "It works; a newer template takes effect at the next start.",
    Reason.QUOTA_REACHED: "More workers are asked for than a quota or the profile allows.",
    Reason.STARTING: "The pod was made and is not ready yet.",
    Reason.ISSUING: "Certificates and tokens are being made.",
    Reason.WAITING_FOR_PREDECESSOR: "Objects of a deleted session of this name are still going.",
    Reason.AWAITING_SCHEDULER: "The route can be proven only once the scheduler answers.",
    Reason.AWAITING_GATEWAY: "The gateway has not answered about the route yet.",
    Reason.SCALING: "Workers are starting or draining.",
    Reason.STOPPED: "spec.lifecycle is Stopped; set it to Running to start anew.",
    Reason.IDLE_STOPPED: "No client and no task for idleTimeoutSeconds; change spec.runId.",
    Reason.LIFETIME_EXCEEDED: "Older than maxLifetimeSeconds; change spec.runId to start anew.",
    Reason.SPEC_INVALID: "The specification breaks the schema of this operator's release.",
    Reason.SPEC_REFUSED: "Not tried, because the specification was refused; see Ready.",
    Reason.UNKNOWN_PROFILE: "The site has no profile of this name.",
    Reason.IMAGE_NOT_ALLOWED: "The profile does not allow this image.",
    Reason.EXCEEDS_PROFILE: "A size, a count or a directory is beyond what the profile allows.",
    Reason.NAME_TAKEN: "An object that is not this session's has the name that a child needs.",
    Reason.FORBIDDEN: "The operator may not do what is needed; the message has the server's words.",
    Reason.API_ERROR: "The Kubernetes API refused or failed; the message has its words.",
    Reason.ROUTE_API_NOT_SERVED: "The cluster does not serve the route API that is configured.",
    Reason.ROUTE_REFUSED: "The gateway did not accept the route; the message has its words.",
    Reason.ROUTE_UNREACHABLE: "No TLS connection through the gateway; the message says why.",
    Reason.HOST_TAKEN: "The session's host name leads to somebody else's server.",
    Reason.UNSCHEDULABLE: "No node has room for the pod.",
    Reason.IMAGE_PULL_FAILED: "The node cannot get the image.",
    Reason.OUT_OF_MEMORY: "The process was killed for using more memory than its limit.",
    Reason.FAILED: "Pod or jobs ended by themselves; the message has the last state. They are made "
    "again.",
    Reason.WORKERS_UNREACHABLE: "The scheduler cannot dial these workers; results would hang.",
    Reason.VERSION_MISMATCH: "Client, scheduler and workers run different versions of Dask or "
    "Python; the message names them.",
    Reason.JOBS_HELD: "HTCondor holds jobs of the pool; the message has its reason.",
    Reason.JOBS_WAIT: "No machine has taken a job of the pool for long; the message has HTCondor's "
    "last word.",
    Reason.JOBS_EVICTED: "HTCondor took machines away from jobs of the pool, which wait again.",
    Reason.JOBS_LOST: "Jobs of the pool run for HTCondor, but their workers have left the "
    "scheduler: their machines may be gone. They are replaced.",
    Reason.SUBMIT_REFUSED: "The schedd refused a submission; the message has its words.",
    Reason.SIGNING_KEY_UNUSABLE: "A signing key of the site cannot be used; the message says why.",
    Reason.SCHEDD_UNREACHABLE: "The pool's collector or schedd does not answer.",
    Reason.SCHEDD_REFUSED: "The schedd answers and refuses our tokens: key, domains or rights.",
    Reason.CACHE_UNREACHABLE: "The data cache does not answer, or not with its certificate.",
    Reason.CACHE_REFUSED: "The data cache answers and refuses our tokens: key, site or clock.",
    Reason.ORIGIN_UNREACHABLE: "The data cache answers and cannot get the file from its origin.",
    Reason.INFERENCE_UNREACHABLE: "The inference server does not answer, or is not ready; the "
    "message says why its pods are not up.",
    Reason.TRACKING_UNREACHABLE: "The tracking server does not answer, or cannot work.",
    Reason.TRACKING_REFUSED: "The tracking server answers and refuses our tokens: key or clock.",
    Reason.COLUMNS_UNREACHABLE: "ServiceX does not answer, or cannot work.",
    Reason.COLUMNS_REFUSED: "ServiceX answers and refuses our tokens: key, user or clock.",
    Reason.NOT_TRIED: "Nobody has looked yet, or the site has named nothing to look at.",
}


def _bullets(meanings: Mapping[ConditionType, str] | Mapping[Reason, str]) -> str:
    return "\n".join(f"- {word}: {text}" for word, text in meanings.items())


class Condition(BaseModel):
    """One thing that is true of the session or not, in the form that all of Kubernetes uses."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, extra="forbid")

    type: ConditionType = Field(
        description="What the condition speaks of:\n" + _bullets(DESCRIPTIONS)
    )
    status: ConditionStatus = Field(
        description="True, False, or Unknown while nothing was seen yet."
    )
    reason: str = Field(
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z][A-Za-z0-9]*$",
        description="Why the status is as it is, in one word for programs:\n" + _bullets(REASONS),
    )
    message: str = Field(
        default="", max_length=1024, description="Why the status is as it is, for people."
    )
    last_transition_time: str = Field(
        alias="lastTransitionTime",
        max_length=32,
        json_schema_extra={"format": "date-time"},
        description="When the status last changed; a new reason or message does not count.",
    )
    observed_generation: Annotated[int, Field(strict=True)] = Field(
        alias="observedGeneration",
        ge=0,
        description="Generation of the session that this condition speaks of.",
    )
