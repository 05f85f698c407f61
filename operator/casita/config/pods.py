"""What an admin adds to pods of a profile's sessions."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from casita.api.paths import MAX_PATH
from casita.config.base import Label, SiteModel


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
