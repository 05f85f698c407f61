"""What the operator tells a session's processes by environment variables."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from casita.api.names import DASHBOARD_PORT, HEALTH_PORT

TLS_DIRECTORY: Final = "/etc/casita/tls"
TOKENS_DIRECTORY: Final = "/etc/casita/tokens"


class SettingsError(Exception):
    """An environment variable is missing or malformed; the message names it and its value."""


@dataclass(frozen=True, slots=True)
class ReportTarget:
    """Where a scheduler reports, and as whom."""

    url: str
    """Of the session's own resource at the operator's endpoint."""
    namespace: str
    name: str
    run: str
    token_file: Path
    authority_file: Path
    heartbeat_seconds: float


@dataclass(frozen=True, slots=True)
class SchedulerSettings:
    """Settings of the scheduler's preload. Times are in seconds."""

    health_port: int
    dashboard_port: int
    reload_seconds: float
    dial_seconds: float
    dial_timeout_seconds: float
    tokens_directory: Path
    """Holds the token for data, if the session has one."""
    cache: str
    """``host:port`` of the site's data cache; empty where it has none."""
    runtime_directory: Path | None
    """As of the worker."""
    target_seconds: float
    """In which the work at hand should be done, by as many workers as that takes."""
    scale_down_seconds: float
    """Workers that were not needed for so long are given up."""
    report: ReportTarget | None
    """`None` where no operator listens, as in a test or a cluster made by hand."""


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Settings of the worker's preload. Times are in seconds."""

    health_port: int | None
    """`None` where no kubelet asks, and many workers share a machine."""
    reload_seconds: float
    drain_seconds: float
    lifetime_seconds: float | None
    """The worker drains itself before it is so old; `None` where nothing ends it."""
    contact_address: str
    """What others are told to dial, as of `casita.dask.addresses.advertise`; empty where that is
    what the worker listens at."""
    runtime_directory: Path | None
    """Memory volume for the token for data; `None` where the worker has to find a place itself."""


def scheduler_settings(environment: Mapping[str, str]) -> SchedulerSettings:
    """Read the scheduler's settings.

    Raises:
        SettingsError: a number is malformed, or reports are wanted but the session is not named.
    """
    return SchedulerSettings(
        health_port=_port(environment, "CASITA_HEALTH_PORT", HEALTH_PORT),
        dashboard_port=_port(environment, "CASITA_DASHBOARD_PORT", DASHBOARD_PORT),
        reload_seconds=reload_seconds(environment),
        dial_seconds=_seconds(environment, "CASITA_DIAL_SECONDS", 20),
        dial_timeout_seconds=_seconds(environment, "CASITA_DIAL_TIMEOUT_SECONDS", 5),
        tokens_directory=Path(environment.get("CASITA_TOKENS_DIRECTORY", TOKENS_DIRECTORY)),
        cache=environment.get("CASITA_XCACHE", ""),
        runtime_directory=_runtime_directory(environment),
        target_seconds=_seconds(environment, "CASITA_TARGET_SECONDS", 30),
        scale_down_seconds=_seconds(environment, "CASITA_SCALE_DOWN_SECONDS", 60),
        report=_report_target(environment),
    )


def worker_settings(environment: Mapping[str, str]) -> WorkerSettings:
    """Read the worker's settings.

    Raises:
        SettingsError: a number is malformed.
    """
    no_port = environment.get("CASITA_HEALTH_PORT", "").strip() == "0"
    lives = environment.get("CASITA_LIFETIME_SECONDS", "")
    return WorkerSettings(
        health_port=None if no_port else _port(environment, "CASITA_HEALTH_PORT", HEALTH_PORT),
        reload_seconds=reload_seconds(environment),
        drain_seconds=_seconds(environment, "CASITA_DRAIN_SECONDS", 300),
        contact_address=environment.get("CASITA_CONTACT_ADDRESS", ""),
        lifetime_seconds=_seconds(environment, "CASITA_LIFETIME_SECONDS", 1) if lives else None,
        runtime_directory=_runtime_directory(environment),
    )


def reload_seconds(environment: Mapping[str, str]) -> float:
    """Return how often the certificate's files are looked at.

    Raises:
        SettingsError: the number is malformed.
    """
    return _seconds(environment, "CASITA_RELOAD_SECONDS", 5)


def _runtime_directory(environment: Mapping[str, str]) -> Path | None:
    # Not XDG_RUNTIME_DIR: on a batch node it may be a user's, shared by all of their processes.
    text = environment.get("CASITA_RUNTIME_DIRECTORY", "")
    return Path(text) if text else None


def _report_target(environment: Mapping[str, str]) -> ReportTarget | None:
    base = environment.get("CASITA_REPORT_URL", "").rstrip("/")
    if not base:
        return None
    if not base.startswith("https://"):
        raise SettingsError(f"CASITA_REPORT_URL must be an https:// address, got {base!r}")
    namespace = _required(environment, "CASITA_SESSION_NAMESPACE")
    name = _required(environment, "CASITA_SESSION_NAME")
    directory = Path(environment.get("CASITA_TLS_DIRECTORY", TLS_DIRECTORY))
    return ReportTarget(
        url=f"{base}/v1/namespaces/{namespace}/sessions/{name}/report",
        namespace=namespace,
        name=name,
        run=_required(environment, "CASITA_RUN"),
        token_file=directory / "report-token",
        authority_file=directory / "report-ca.pem",
        heartbeat_seconds=_seconds(environment, "CASITA_REPORT_HEARTBEAT_SECONDS", 60),
    )


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise SettingsError(f"{name} must be set where CASITA_REPORT_URL is")
    return value


def _seconds(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name, "")
    try:
        value = float(text) if text else default
    except ValueError as error:
        raise SettingsError(f"{name} must be a number of seconds, got {text!r}") from error
    if not 0 < value < float("inf"):
        raise SettingsError(f"{name} must be a positive number of seconds, got {text!r}")
    return value


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, "")
    try:
        value = int(text) if text else default
    except ValueError as error:
        raise SettingsError(f"{name} must be a port, got {text!r}") from error
    if not 1 <= value <= 65535:
        raise SettingsError(f"{name} must be a port, got {value}")
    return value
