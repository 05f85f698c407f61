"""The site's configuration: one typed model, read from the file that the chart mounts.

The chart renders the file (`charts/casita/charts/operator/templates/configmap.yaml`); operator and
hub read the same one. Everything free-form that ends in a pod comes from here, never from a user.
"""

from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from casita.api.paths import FILE_PATTERN, MAX_PATH, PREFIX_PATTERN, within
from casita.api.session import MAX_POOLS, PROFILE_PATTERN, WorkerPool, unique_by

MIN_LEAF_SECONDS = 300
"""Kubelets deliver a changed Secret only after a minute or two: no shorter lives."""

CLOCK_MARGIN_SECONDS = 600
"""How far a clock of the cache may be behind the operator's."""


def _named_key(key_id: str) -> str:
    if key_id == "POOL":
        raise ValueError("POOL is the pool's own key: name another one, made for casita")
    return key_id


Label = Annotated[str, Field(pattern=PROFILE_PATTERN)]
Domain = Annotated[
    str, Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$")
]


TrustDomain = Annotated[str, Field(pattern=r"^[^\s,]+$", max_length=255)]
UidDomain = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$", max_length=255)]
KeyId = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_-]+$", max_length=64), AfterValidator(_named_key)
]
SiteName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$", max_length=255)]
Prefix = Annotated[str, Field(pattern=PREFIX_PATTERN, max_length=MAX_PATH)]
"""A directory, with a slash at its end."""
DataGrant = Literal["", "None"] | Prefix
SubmitText = Annotated[str, Field(pattern=r"^[^\n\r]*$", max_length=4096)]
Cidr = Annotated[str, Field(pattern=r"^[0-9a-fA-F.:]+/[0-9]{1,3}$")]
SubmitCommand = Annotated[str, Field(pattern=r"^[+A-Za-z][A-Za-z0-9_.]*$", max_length=128)]
DataFile = Annotated[str, Field(pattern=FILE_PATTERN, max_length=MAX_PATH)]


class ConfigurationError(Exception):
    """The site's configuration cannot be used; the message says which value and why."""


class SiteModel(BaseModel):
    """Base of every configuration model: camelCase in the file, immutable, closed."""

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, extra="forbid"
    )


class RouteApi(StrEnum):
    """How a session's host reaches its scheduler; set by the admin, never guessed."""

    TLS_ROUTE = "TLSRoute"
    INGRESS_ROUTE_TCP = "IngressRouteTCP"
    NONE = "None"


class DnsMode(StrEnum):
    """Who answers for a session's host: one wildcard record, or external-dns per route."""

    WILDCARD = "Wildcard"
    EXTERNAL_DNS = "ExternalDNS"


class Dns(SiteModel):
    """Names of session hosts."""

    mode: DnsMode = DnsMode.WILDCARD
    annotation_prefix: str = "external-dns.kubernetes.io/"
    target: str | None = None
    """Address for external-dns with IngressRouteTCP, which has no status to read one from."""
    ttl_seconds: int = Field(default=60, ge=1)


class Gateway(SiteModel):
    """The gateway that session routes hang on."""

    route_api: RouteApi = RouteApi.TLS_ROUTE
    name: Label = "casita"
    namespace: Label = "casita-system"
    listener: Label = "dask"
    entry_point: Label = "dask"
    """Traefik's name for the port, used by IngressRouteTCP alone."""
    probe_address: str = "casita-gateway.casita-system.svc"
    """Where the operator connects to prove a route; a name or an address of the gateway."""
    port: int = Field(default=8786, ge=1, le=65535)
    """Port of the passthrough listener, in external addresses."""
    pod_labels: dict[str, str] = Field(
        default_factory=lambda: {"app.kubernetes.io/name": "traefik"}
    )
    """Labels of the gateway's pods, for the sessions' NetworkPolicies."""
    dns: Dns = Dns()


class Reporting(SiteModel):
    """Where schedulers report what they see of their workers."""

    url: str = "https://casita-operator.casita-system.svc:8443"
    authority_directory: Path = Path("/etc/casita/system-authority")
    """Holds ``tls.crt`` and ``tls.key`` of the system authority, and signs the endpoint's leaf."""


class Credentials(SiteModel):
    """Lives of what sessions are given, in seconds."""

    leaf_seconds: int = Field(default=604_800, ge=MIN_LEAF_SECONDS)
    authority_margin_seconds: int = Field(default=86_400, ge=0)
    """How much longer than the session's ``maxLifetimeSeconds`` its authority is valid."""
    idtoken_seconds: int = Field(default=43_200, ge=MIN_LEAF_SECONDS)
    macaroon_seconds: int = Field(default=0, ge=0)
    """0 is as long as the cache accepts."""


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


class DataCache(SiteModel):
    """The XCache that sessions get a macaroon for."""

    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]+$")]
    port: int = Field(default=1094, ge=1, le=65535)
    site_name: SiteName = "casita"
    path_prefix: Prefix = "/store/"
    """What the cache exports."""
    max_duration_seconds: int = Field(default=86_400, ge=2 * MIN_LEAF_SECONDS)
    """``macaroons.maxduration`` of the cache, which refuses what lives longer."""
    probe_path: DataFile | None = None
    """File that is really read to know that data can be read."""
    key_file: Path = Path("/etc/casita/macaroon-key/key")
    authority_file: Path = Path("/etc/casita/cache-authority/ca.pem")
    """Signs the cache's certificate."""
    tls_secret: str | None = None
    """Secret in the operator's namespace with the certificate of the chart's own cache, which the
    operator keeps valid."""
    tls_names: tuple[Domain, ...] = ()
    """Names in that certificate."""

    @property
    def longest_seconds(self) -> int:
        """The longest life of a macaroon that the cache takes for certain.

        The cache refuses a macaroon that ends later than `max_duration_seconds` from now, by its
        own clock: ten minutes are left for a clock that is late. Where so little time is given that
        ten minutes would be most of it, a quarter is left.
        """
        return self.max_duration_seconds - min(CLOCK_MARGIN_SECONDS, self.max_duration_seconds // 4)

    @model_validator(mode="after")
    def _probe_within(self) -> "DataCache":
        if self.probe_path is not None and not within(self.probe_path, self.path_prefix):
            raise ValueError(f"probePath {self.probe_path} is not below {self.path_prefix}")
        return self


class Hub(SiteModel):
    """The chart's own JupyterHub."""

    namespace: Label
    secret: Label
    """What hub and proxy know alone, in that namespace: made once, by the operator."""


class PodOverrides(SiteModel):
    """What an admin adds to the pods of a profile; the rest of a pod is the operator's."""

    node_selector: dict[str, str] = Field(default_factory=dict)
    tolerations: tuple[dict[str, Any], ...] = ()
    priority_class_name: str | None = None
    env: tuple[dict[str, Any], ...] = ()
    runtime_class_name: str | None = None


class CsiSource(SiteModel):
    """A volume that a driver on the node makes with the pod, such as CVMFS'."""

    driver: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", max_length=63)]
    attributes: dict[str, str] = Field(default_factory=dict)


class Mount(SiteModel):
    """Storage of the site in all pods of a profile's sessions, notebooks included.

    By a driver or a claim: restricted Pod Security has no other way to a network's file system.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=40)]
    path: Annotated[str, Field(pattern=r"^/[A-Za-z0-9._/-]+$", max_length=MAX_PATH)]
    claim: Label | None = None
    """A PersistentVolumeClaim in the sessions' namespace, of NFS for instance."""
    csi: CsiSource | None = None
    sub_path: Annotated[str, Field(pattern=r"^([A-Za-z0-9_][A-Za-z0-9._/-]*)?$")] = ""
    read_only: bool = True
    automount: bool = False
    """Whether what the node mounts below it later appears in pods too, as CVMFS needs."""

    @model_validator(mode="after")
    def _one_source(self) -> "Mount":
        if (self.claim is None) == (self.csi is None):
            raise ValueError(f"mount {self.name} needs either claim or csi")
        if ".." in self.sub_path.split("/") or ".." in self.path.split("/"):
            raise ValueError(f"mount {self.name}: no path may have .. in it")
        return self

    def volume(self) -> dict[str, Any]:
        """Return the pod's volume."""
        named = {"name": f"site-{self.name}"}
        if self.claim:
            claim = {"claimName": self.claim, "readOnly": self.read_only}
            return {**named, "persistentVolumeClaim": claim}
        assert self.csi is not None  # noqa: S101 - see _one_source
        csi = {"driver": self.csi.driver, "readOnly": self.read_only}
        attributes = {"volumeAttributes": self.csi.attributes} if self.csi.attributes else {}
        return {**named, "csi": {**csi, **attributes}}

    def volume_mount(self) -> dict[str, Any]:
        """Return a container's mount of it."""
        found: dict[str, Any] = {"name": f"site-{self.name}", "mountPath": self.path}
        if self.sub_path:
            found["subPath"] = self.sub_path
        if self.read_only:
            found["readOnly"] = True
        if self.automount:
            found["mountPropagation"] = "HostToContainer"
        return found


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
    instant_worker: InstantWorker = InstantWorker(cores=0)
    scheduler_overrides: PodOverrides = PodOverrides()
    worker_overrides: PodOverrides = PodOverrides()
    mounts: Annotated[tuple[Mount, ...], Field(max_length=16), unique_by("name")] = ()

    def allows_image(self, image: str) -> bool:
        """Say whether a session of this profile may run `image`."""
        return image == self.image or any(fnmatchcase(image, p) for p in self.allowed_images)


class Workers(SiteModel):
    """What the pods of all sessions share."""

    drain_seconds: int = Field(default=300, ge=10)
    """How long a retiring worker may take to finish its tasks and hand over its data."""
    cpu_request_percent: int = Field(default=100, ge=1, le=100)
    """Share of its cores that a session's pod reserves; below 100 lets a site overcommit."""
    target_seconds: int = Field(default=30, ge=1)
    """Adaptive sessions have as many workers as do the work at hand in about so long."""
    scale_down_seconds: int = Field(default=60, ge=1)
    """An adaptive session gives up what it has not needed for so long."""


class Quotas(SiteModel):
    """The most cores that workers may have, over all pools and sessions; `None` is no limit."""

    user_cores: int | None = Field(default=None, ge=0)
    """Of each user."""
    site_cores: int | None = Field(default=None, ge=0)
    """Of all users; shared fairly between them when they ask for more."""


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
