"""Images by buildah: without a daemon, a registry or a container engine, as root."""

from __future__ import annotations

import configparser
import io
import os
import shutil
import ssl
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path

from tests.cluster.commands import call, check
from tests.cluster.layout import Layout
from tests.cluster.locations import REPOSITORY, cache
from tests.cluster.packages import DEBIAN_KEYRING
from tests.cluster.recipes import DEBIAN, FOUNDATION, REGISTRY, Recipe

HOST_FILES = "/run/casita-build"
"""Where a build finds what it needs of the host, and an image has nothing."""
# What Debian's own slim container image leaves out, and what it tells apt not to keep.
DEBIAN_OPTIONS = (
    "--variant=minbase",
    "--include=ca-certificates",
    f"--keyring={DEBIAN_KEYRING}",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=path-exclude=/usr/share/info/*",
    '--aptopt=Dir::Cache::pkgcache ""',
    '--aptopt=Dir::Cache::srcpkgcache ""',
    '--aptopt=APT::Install-Recommends "false"',
)


class Buildah:
    """Builds as root without a daemon, in a store under the cache folder.

    Attributes:
        layout: the built images, ready to be sent to a node.
    """

    def __init__(self) -> None:
        self._home = cache() / "buildah"
        for folder in ("tmp", "host-files", "containers", "layout"):
            (self._home / folder).mkdir(parents=True, exist_ok=True)
        self._driver = "overlay" if overlay_works(self._home) else "vfs"
        self.layout = Layout(self._home / "layout")

    def has(self, reference: str) -> bool:
        """See `Builder`."""
        known = self._call(["buildah", "inspect", "--type=image", reference]).returncode == 0
        return known and (f"/{FOUNDATION}:" in reference or reference in self.layout.names())

    def foundation(self, reference: str) -> None:
        """See `Builder`."""
        archive = self._home / "debian.tar"
        check(call(["mmdebstrap", *DEBIAN_OPTIONS, DEBIAN, str(archive)]))
        container = self._do(["buildah", "from", "scratch"]).strip()
        try:
            self._do(["buildah", "add", "--quiet", container, str(archive), "/"])
            self._do(["buildah", "commit", "--quiet", container, reference])
        finally:
            self._do(["buildah", "rm", container])
            archive.unlink()

    def build(self, recipe: Recipe, reference: str, below: Mapping[str, str]) -> None:
        """See `Builder`."""
        options = ["--isolation=chroot", "--pull-never", "--layers", *self._host_files()]
        options += [f"--build-arg={argument}={image}" for argument, image in below.items()]
        options += [f"--tag={reference}", f"--file={recipe.dockerfile}"]
        self._do(["buildah", "bud", *options, str(REPOSITORY)])
        source = f"containers-storage:{reference}"
        target = f"oci:{self._home / 'layout'}:{reference}"
        # Not packed: that costs more time than the disk it saves.
        uncompressed = ["--insecure-policy", "copy", "--dest-oci-accept-uncompressed-layers"]
        self._do(["skopeo", *uncompressed, source, target])

    def archive(self, reference: str, file: Path) -> None:
        """See `Builder`."""
        with file.open("wb") as out:
            self.layout.write(reference, out, without=set())

    def push(self, reference: str, target: str) -> None:
        """See `Builder`."""
        self._do(["buildah", "push", reference, f"docker://{target}"])

    def keep(self, references: Collection[str]) -> None:
        """See `Builder`."""
        self.layout.keep(references)
        listing = ["buildah", "images", "--noheading", "--format", "{{.Name}}:{{.Tag}}"]
        for name in self._do(listing).split():
            if name.startswith(f"{REGISTRY}/") and name not in references:
                # May be refused: one on which a newer one builds stays until that one is gone.
                self._call(["buildah", "rmi", name])

    def _host_files(self) -> list[str]:
        """Mounts for pip's and npm's configuration, and the authorities that they trust here."""
        folder = self._home / "host-files"
        authorities = ssl.get_default_verify_paths().cafile
        if authorities:
            shutil.copyfile(authorities, folder / "ca.pem")
        file = Path("/etc/pip.conf")
        host = file.read_text() if file.exists() else ""
        (folder / "pip.conf").write_text(pip_configuration(host, os.environ, authorities))
        (folder / "npmrc").write_text(npm_configuration(Path("/etc/npmrc"), authorities))
        volumes = [f"--volume={folder}:{HOST_FILES}:ro"]
        volumes.append(f"--volume={folder / 'npmrc'}:/root/.npmrc:ro")
        volumes.append(f"--volume={folder / 'pip.conf'}:/etc/pip.conf:ro")
        wheels = Path(os.environ.get("PIP_FIND_LINKS", ""))
        return [*volumes, *([f"--volume={wheels}:{wheels}:ro"] if wheels.is_absolute() else [])]

    def _do(self, command: list[str]) -> str:
        return check(self._call(command), command)

    def _call(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run buildah or skopeo on our store, with their fixed folders kept off the host."""
        home = self._home
        settings = {
            "CONTAINERS_STORAGE_CONF": f"""[storage]
driver = "{self._driver}"
graphroot = "{home / "storage"}"
runroot = "{home / "run"}"
""",
            "CONTAINERS_CONF": f"""[network]
network_config_dir = "{home / "networks"}"
""",
        }
        for name, text in settings.items():
            (home / name).write_text(text)
        # Cache mounts of builds (RUN --mount=type=cache) are kept under TMPDIR.
        environment = {name: str(home / name) for name in settings} | {"TMPDIR": str(home / "tmp")}
        # A mount namespace of its own: an interrupted build leaves no mount behind.
        inside = 'mkdir -p "$1"; mount --bind "$2" "$1"; shift 2; exec "$@"'
        fixed = ["/var/lib/containers", str(home / "containers")]
        private = ["unshare", "--mount", "--propagation=private", "sh", "-ec", inside, "sh", *fixed]
        return call([*private, *command], environment)


def pip_configuration(host: str, environment: Mapping[str, str], authorities: str | None) -> str:
    """A pip.conf that says what the host's files and PIP_* variables say.

    Args:
        host: text of the host's pip.conf, or nothing.
        environment: the host's environment; PIP_INDEX_URL and its like win over `host`.
        authorities: path of the host's certificate bundle, if it has one.
    """
    parser = configparser.RawConfigParser()
    parser.read_string(host)
    if not parser.has_section("global"):
        parser.add_section("global")
    for name, value in environment.items():
        option = name.removeprefix("PIP_").lower().replace("_", "-")
        # Choices of the host's own Python that say nothing about where packages come from.
        if name.startswith("PIP_") and option not in {"require-virtualenv", "user", "config-file"}:
            parser.set("global", option, value)
    if authorities:
        parser.set("global", "cert", f"{HOST_FILES}/ca.pem")
    else:
        parser.remove_option("global", "cert")
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()


def npm_configuration(host: Path, authorities: str | None) -> str:
    """An npmrc that says what the host's file `host` says, if there is one.

    Args:
        host: the host's file, for all users.
        authorities: path of the host's certificate bundle, if it has one.
    """
    lines = host.read_text().splitlines() if host.exists() else []
    lines = [line for line in lines if line.partition("=")[0].strip() != "cafile"]
    return "\n".join([*lines, *([f"cafile={HOST_FILES}/ca.pem"] if authorities else []), ""])


def overlay_works(folder: Path) -> bool:
    """Whether the kernel lets overlay file systems lie on `folder`'s disk."""
    probe = folder / "overlay-probe"
    parts = [probe / part for part in ("lower", "upper", "work", "merged")]
    for part in parts:
        part.mkdir(parents=True, exist_ok=True)
    lower, upper, work, merged = parts
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    mount = ["mount", "-t", "overlay", "overlay", "-o", options, str(merged)]
    try:
        return call(["unshare", "--mount", "--propagation=private", *mount]).returncode == 0
    finally:
        shutil.rmtree(probe)
