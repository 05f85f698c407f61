"""What only the operator can judge of a specification: profile, image, data, limits."""

from dataclasses import dataclass

from casita.api.conditions import Reason
from casita.api.paths import within
from casita.api.session import SessionSpec, WorkerPool
from casita.config import Profile, Site


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a specification is not acted upon."""

    reason: Reason
    message: str


def pools_of(spec: SessionSpec, profile: Profile) -> tuple[WorkerPool, ...]:
    """Return the session's pools: its own, or those of its profile."""
    return profile.pools if spec.workers is None else spec.workers


def refuse(spec: SessionSpec, site: Site) -> Refusal | None:
    """Judge what only the operator can: profile, image, data, limits."""
    profile = site.profile(spec.profile)
    if profile is None:
        known = ", ".join(p.name for p in site.profiles)
        return Refusal(
            Reason.UNKNOWN_PROFILE, f"there is no profile {spec.profile!r}; this site has: {known}"
        )
    if spec.image is not None and not profile.allows_image(spec.image):
        return Refusal(
            Reason.IMAGE_NOT_ALLOWED,
            f"profile {profile.name!r} does not allow image {spec.image!r}; leave spec.image out "
            "to use the profile's own",
        )
    return _refuse_data(spec, profile, site) or _refuse_sizes(spec, profile)


def _refuse_data(spec: SessionSpec, profile: Profile, site: Site) -> Refusal | None:
    """A site without a cache grants nothing to anybody, and refuses nobody for asking."""
    if spec.data_access is None or site.cache is None:
        return None
    asked, grant = spec.data_access.path_prefix, site.data_grant(profile)
    if grant is None:
        return Refusal(
            Reason.EXCEEDS_PROFILE,
            f"profile {profile.name!r} grants no data; leave spec.dataAccess out",
        )
    if not within(asked, grant):
        return Refusal(
            Reason.EXCEEDS_PROFILE,
            f"dataAccess.pathPrefix is {asked}, profile {profile.name!r} grants {grant} alone",
        )
    return None


def _refuse_sizes(spec: SessionSpec, profile: Profile) -> Refusal | None:
    limits = profile.limits
    sizes = [
        ("scheduler.cores", spec.scheduler.cores, limits.scheduler_cores),
        ("scheduler.memoryMiB", spec.scheduler.memory_mi_b, limits.scheduler_memory_mi_b),
    ]
    for pool in pools_of(spec, profile):
        sizes += [
            (f"pool {pool.pool}: cores", pool.cores, limits.worker_cores),
            (f"pool {pool.pool}: memoryMiB", pool.memory_mi_b, limits.worker_memory_mi_b),
        ]
    for what, asked, allowed in sizes:
        if asked > allowed:
            return Refusal(
                Reason.EXCEEDS_PROFILE,
                f"{what} is {asked}, profile {profile.name!r} allows at most {allowed}",
            )
    return None
