"""A spawner that gives each server a session: made, followed, mounted, stopped and deleted with it.

On kubespawner, all of whose traits hold. Beside them it needs the site's configuration, the file
that the operator reads.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from jupyterhub.spawner import SpawnException
from jupyterhub.user import User
from kubespawner import KubeSpawner
from traitlets import Float, Unicode, default

from casita.api.names import INFERENCE_LABEL, slug
from casita.config import Mount, Site, load_site
from casita.hub.errors import SessionError
from casita.hub.names import session_name, session_user
from casita.hub.notebook import (
    deliverer,
    hub_environment,
    notebook_labels,
    notebook_mounts,
    notebook_volumes,
)
from casita.hub.pods import missing_image
from casita.hub.profiles import profile_list
from casita.hub.services import service_environment, service_labels
from casita.hub.sessions import Standing, Wanted, standing
from casita.hub.store import SessionReflector, SessionStore

LOOK_SECONDS: Final = 0.1
"""Between two looks at what the watch has brought; no request."""

_IN_THE_WAY: Final = ContextVar("in_the_way", default=False)
"""Whether `stop` is asked to make room for the pod of a server that starts."""


def read_site(path: str) -> Site:
    """Return the site's configuration as it is now; kubelets change the file when it changes.

    Raises:
        ConfigurationError: it cannot be used; the message says why.
    """
    return _read_site(Path(path), Path(path).stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _read_site(path: Path, changed: int) -> Site:  # noqa: ARG001 - a change is another key
    return load_site(path)


class CasitaSpawner(KubeSpawner):  # type: ignore[misc] # kubespawner has no types
    """Starts a user's server together with an AnalysisSession of the user's own."""

    site_file = Unicode("/etc/casita/site/site.yaml", config=True, help="The site's configuration.")
    hub_name = Unicode(
        "casita", config=True, help="Tells the sessions of this hub from those of another."
    )
    operator_seconds = Float(
        30.0, config=True, help="How long the operator may take to look at a new session."
    )
    session_seconds = Float(
        90.0, config=True, help="How long it may take until a session's credentials are there."
    )
    image_seconds = Float(
        30.0, config=True, help="How long a node may fail to get an image before that is told."
    )
    session_profile = Unicode("", help="Of the site's catalogue; set by the user's choice.")

    _run = ""
    _no_image_since: float | None = None

    @default("profile_list")  # type: ignore[untyped-decorator]
    def _catalogue(self) -> Any:
        return choices

    @property
    def session(self) -> str:
        """Name of this server's session."""
        return session_name(self.user.name, self.name)

    @property
    def _session_user(self) -> str:
        return session_user(self.user.name)

    @property
    def _slug(self) -> str:
        return slug(self.namespace, self.session)

    def start(self) -> "asyncio.Future[Any]":
        """Start session and server; fails in words for the user."""
        self._run = ""
        self._no_image_since = None
        self._start_future = asyncio.ensure_future(self._start_both())
        return self._start_future

    async def _start_both(self) -> Any:
        try:
            await self.load_user_options()
            await self._begin()
        except (ValueError, SessionError) as error:  # ValueError: what the form did not offer
            # Refusals are no faults of the hub, which ends itself after some of those in a row.
            raise SpawnException(str(error), reason="session") from error
        return await self._start()

    async def _begin(self) -> None:
        """Ask for the session, and wait until what the pod mounts is there.

        Raises:
            SessionError: it cannot be had; why is for the user to read.
        """
        if not self.session_profile:
            raise SessionError("none of the site's profiles is for your groups: ask an admin")
        watch = await self._watch()
        wanted = Wanted(
            namespace=self.namespace,
            name=self.session,
            user=self._session_user,
            profile=self.session_profile,
            run=uuid4().hex,
            hub=self.hub_name,
            hub_user=self.user.name,
            hub_server=self.name,
        )
        await SessionStore(self.namespace).run(wanted)
        self._run = wanted.run
        began = asyncio.get_running_loop().time()
        while not (found := standing(watch.session(wanted.name), wanted.run)).usable:
            self._give_up_in_time(found, asyncio.get_running_loop().time() - began)
            await asyncio.sleep(LOOK_SECONDS)

    def _give_up_in_time(self, found: Standing, seconds: float) -> None:
        if found.refused:
            raise SessionError(f"the session was refused: {found.refused}")
        if not found.answered and seconds > self.operator_seconds:
            raise SessionError(
                f"casita's operator has not looked at the session for {seconds:.0f} s: try again "
                "soon, or tell an admin that the operator does not answer"
            )
        if seconds > self.session_seconds:
            told = "; ".join(found.lines) or "nothing is known of it"
            raise SessionError(f"the session is not ready after {seconds:.0f} s: {told}")

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """Tell how the session comes up, and then how the pod does."""
        told: set[str] = set()
        future = self._start_future
        percent = 5
        while not (self._run and self._standing().usable):
            for line in self._news(told):
                percent = min(percent + 5, 40)
                yield {"progress": percent, "message": line}
            if future is not None and future.done():
                break
            await asyncio.sleep(LOOK_SECONDS)
        for line in self._news(told):
            yield {"progress": 45, "message": line}
        async for event in super().progress():
            for line in self._news(told):
                yield {"progress": 45, "message": line}
            if "progress" in event:
                event["progress"] = 45 + event["progress"] // 2
            yield event
        # The pod runs, its server starts, and the session goes on as well. The hub ends this.
        while self.pending == "spawn":
            for line in self._news(told):
                yield {"progress": 95, "message": line}
            await asyncio.sleep(LOOK_SECONDS)

    def _news(self, told: set[str]) -> list[str]:
        new = [line for line in self._standing().lines if line not in told]
        told.update(new)
        return new

    def _standing(self) -> Standing:
        watch = self.reflectors.get(self._get_reflector_key(SessionReflector.kind.default_value))
        return standing(watch.session(self.session), self._run) if watch else Standing()

    async def _watch(self) -> SessionReflector:
        kind = SessionReflector.kind.default_value
        watch: SessionReflector = await self._start_reflector(kind, SessionReflector)
        return watch

    def is_pod_running(self, pod: Any) -> bool:
        """Say whether the pod runs, for kubespawner, which asks again and again.

        Raises:
            SpawnException: it never will, since nobody has its image.
        """
        missing, now = missing_image(pod), time.monotonic()
        self._no_image_since = (self._no_image_since or now) if missing else None
        since = self._no_image_since
        if since and now - since >= self.image_seconds and self.pending == "spawn":
            raise SpawnException(f"the node cannot get the image {missing}", reason="image")
        return bool(super().is_pod_running(pod))

    async def get_pod_manifest(self) -> Any:
        """Return kubespawner's pod with the session's files, labels and sidecar."""
        pod = await super().get_pod_manifest()
        site, profile = read_site(self.site_file), self.session_profile
        # The operator's labels decide what the pod may reach: those of a trait have no say.
        pod.metadata.labels.pop(INFERENCE_LABEL, None)
        pod.metadata.labels.update(notebook_labels(self._slug) | service_labels(site, profile))
        spec, (container, *_) = pod.spec, pod.spec.containers
        mounts = _mounts(site, profile)
        own = [*notebook_volumes(self._slug), *(mount.volume() for mount in mounts)]
        spec.volumes = [*(spec.volumes or ()), *own]
        spec.init_containers = [
            *(spec.init_containers or ()),
            deliverer(self.image, self.image_pull_policy),
        ]
        inside = [*notebook_mounts(), *(mount.volume_mount() for mount in mounts)]
        container.volume_mounts = [*(container.volume_mounts or ()), *inside]
        environment = hub_environment() | service_environment(site, profile)
        container.env = [
            *(container.env or ()),
            *({"name": name, "value": text} for name, text in environment.items()),
        ]
        return pod

    async def _make_create_pod_request(self, pod: Any, request_timeout: float) -> Any:
        """Create the pod. One in the way is stopped first, and the session that waits is not.

        It may be of this very start: a busy hub gives a request up that the API server has heard.
        """
        token = _IN_THE_WAY.set(True)
        try:
            return await super()._make_create_pod_request(pod, request_timeout)
        finally:
            _IN_THE_WAY.reset(token)

    async def stop(self, now: bool = False) -> None:
        """Stop the server, then its session: keys and workers go, the object stays."""
        await super().stop(now)
        if _IN_THE_WAY.get():
            return
        await SessionStore(self.namespace).stop(self.session, self._session_user)

    async def delete_forever(self) -> None:
        """Delete the session of a server that is deleted."""
        await SessionStore(self.namespace).delete(self.session, self._session_user)
        await super().delete_forever()


def _mounts(site: Site, name: str) -> tuple[Mount, ...]:
    """Return the storage of the site that a profile has."""
    return next((profile.mounts for profile in site.profiles if profile.name == name), ())


def choices(spawner: CasitaSpawner) -> list[dict[str, Any]]:
    """Return what the user of a spawner may choose from; for ``KubeSpawner.profile_list``."""
    user: User = spawner.user
    groups = [group.name for group in user.groups]
    return profile_list(read_site(spawner.site_file), groups, admin=bool(user.admin))
