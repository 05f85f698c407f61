"""The site's configuration: one typed model, read from the file that the chart mounts.

The chart renders the file (`charts/casita/charts/operator/templates/configmap.yaml`); operator and
hub read the same one. Everything free-form that ends in a pod comes from here, never from a user.
"""

from casita.config.base import (
    MIN_LEAF_SECONDS,
    ConfigurationError,
    DataFile,
    Domain,
    Label,
    Prefix,
    SiteModel,
)
from casita.config.batch import (
    Batch,
    BatchWorkers,
    Cidr,
    KeyId,
    SubmitCommand,
    SubmitText,
    TrustDomain,
    UidDomain,
    Universe,
)
from casita.config.cache import CLOCK_MARGIN_SECONDS, DataCache, SiteName
from casita.config.credentials import Credentials
from casita.config.gateway import Dns, DnsMode, Gateway, Reporting, RouteApi
from casita.config.pods import CsiSource, Mount, PodOverrides
from casita.config.profiles import DataGrant, InstantWorker, Limits, Notebook, Profile
from casita.config.services import (
    Columns,
    HttpUrl,
    Hub,
    Inference,
    InferenceServer,
    ServerName,
    SiteService,
    Tracking,
    TransformersData,
)
from casita.config.site import Site, load_site
from casita.config.workers import Quotas, Workers

__all__ = [
    "CLOCK_MARGIN_SECONDS",
    "MIN_LEAF_SECONDS",
    "Batch",
    "BatchWorkers",
    "Cidr",
    "Columns",
    "ConfigurationError",
    "Credentials",
    "CsiSource",
    "DataCache",
    "DataFile",
    "DataGrant",
    "Dns",
    "DnsMode",
    "Domain",
    "Gateway",
    "HttpUrl",
    "Hub",
    "Inference",
    "InferenceServer",
    "InstantWorker",
    "KeyId",
    "Label",
    "Limits",
    "Mount",
    "Notebook",
    "PodOverrides",
    "Prefix",
    "Profile",
    "Quotas",
    "Reporting",
    "RouteApi",
    "ServerName",
    "Site",
    "SiteModel",
    "SiteName",
    "SiteService",
    "SubmitCommand",
    "SubmitText",
    "Tracking",
    "TransformersData",
    "TrustDomain",
    "UidDomain",
    "Universe",
    "Workers",
    "load_site",
]
