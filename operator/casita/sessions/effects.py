"""Carrying out a plan: certificates first, then objects, then pods; every refusal has a name."""

import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TypeVar

from casita.api.conditions import ConditionType, Reason
from casita.api.names import COMPONENT_LABEL, SCHEDULER
from casita.clients.errors import ApiError
from casita.clients.kubernetes import KubernetesClient
from casita.config import Site
from casita.credentials.errors import CredentialError, SigningKeyError
from casita.manifests.common import Manifest
from casita.manifests.resources import NETWORK_POLICY, POD, SECRET, SERVICE, Resource
from casita.sessions.cache import Cache, SessionKey
from casita.sessions.certificates import Certificates
from casita.sessions.findings import Verdict
from casita.sessions.issuing import Issued, Keys
from casita.sessions.objects import NameTakenError, Objects
from casita.sessions.observed import Child
from casita.sessions.plan import Plan
from casita.sessions.token_secrets import TokenSecrets
from casita.sessions.view import View

logger = logging.getLogger(__name__)

T = TypeVar("T")

STOP_GRACE_SECONDS = 5
"""Nothing is drained when a whole session ends: there is nowhere for its data to go."""


@dataclass
class Outcome:
    """What could not be done in one pass.

    Attributes:
        problems: by the condition that tells it.
        retry_after: the longest pause that a server asked for.
        terminating: the namespace is being deleted, nothing can be made there.
        again: something was learned or made on which another plan depends.
    """

    problems: dict[ConditionType, Verdict] = field(default_factory=dict)
    retry_after: float | None = None
    terminating: bool = False
    again: bool = False

    @property
    def complete(self) -> bool:
        """Whether everything was done."""
        return not self.problems and not self.terminating

    def note(self, condition: ConditionType, error: Exception) -> None:
        """Keep an error as the condition's verdict; the first one stays."""
        reason, message = Reason.API_ERROR, str(error)
        if isinstance(error, NameTakenError):
            reason = error.reason
        elif isinstance(error, SigningKeyError):
            reason = Reason.SIGNING_KEY_UNUSABLE
        elif isinstance(error, ApiError):
            self.terminating = self.terminating or error.namespace_is_terminating
            self.retry_after = max(self.retry_after or 0.0, error.retry_after or 0.0) or None
            if error.status == 403:
                reason = Reason.FORBIDDEN
            elif condition is ConditionType.ROUTE_READY and error.status == 404:
                reason = Reason.ROUTE_API_NOT_SERVED
                message = "the cluster does not serve the site's route API; see gateway.routeApi"
        self.problems.setdefault(condition, Verdict(False, reason, message))


class Effects:
    """Does what a plan says, on one API server, and keeps the cache true."""

    def __init__(
        self,
        client: KubernetesClient,
        cache: Cache,
        site: Site,
        keys: Keys,
        issued: Callable[[Issued], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._cache = cache
        self._objects = Objects(client, cache)
        self._certificates = Certificates(client, cache, self._objects, site, keys, issued, clock)
        self._tokens = TokenSecrets(client, cache, self._objects, issued, clock)

    async def carry_out(self, key: SessionKey, view: View, plan: Plan) -> Outcome:
        """Do one plan; what fails is in the outcome, and keeps back only what depends on it."""
        outcome = Outcome()
        credentials = ConditionType.CREDENTIALS_READY
        if plan.seek_authority:
            recover = self._certificates.recover(key, view)
            outcome.again = bool(await self._attempt(outcome, credentials, recover))
            if outcome.again or not outcome.complete:
                return outcome
        for child in plan.withdraw:
            condition = _concerns(child.resource, child.component)
            withdraw = self._objects.withdraw(key, child, _grace(child, plan))
            await self._attempt(outcome, condition, withdraw)
        issue = self._certificates.carry_out(key, view, plan)
        outcome.again = bool(await self._attempt(outcome, credentials, issue))
        if not outcome.again and credentials not in outcome.problems:
            # Not while certificates are made anew: tokens end with the authority of their run.
            tokens = self._tokens.carry_out(key, view, plan.tokens)
            await self._attempt(outcome, credentials, tokens)
        for condition, step in self._steps(key, view, plan, outcome):
            await self._attempt(outcome, condition, step())
            if outcome.terminating:
                break
        for child_key in plan.settled:
            self._cache.settled(key, child_key)
        return outcome

    def _steps(
        self, key: SessionKey, view: View, plan: Plan, outcome: Outcome
    ) -> Iterator[tuple[ConditionType, Callable[[], Awaitable[None]]]]:
        """Yield what is to be written; no pod before the certificates that it mounts."""
        for child, labels in plan.relabel:
            yield (
                _concerns(child.resource, child.component),
                partial(self._objects.relabel, key, child, labels),
            )
        for resource, manifest, uid in plan.repair:
            yield (
                _concerns(resource, _component(manifest)),
                partial(self._objects.repair, key, resource, manifest, uid),
            )
        for resource, manifest, present in plan.write:
            if resource is POD and ConditionType.CREDENTIALS_READY in outcome.problems:
                continue
            yield (
                _concerns(resource, _component(manifest)),
                partial(self._objects.write, key, view.owner, resource, manifest, present),
            )

    async def _attempt(
        self, outcome: Outcome, condition: ConditionType, step: Awaitable[T]
    ) -> T | None:
        try:
            return await step
        except (ApiError, NameTakenError, CredentialError) as error:
            if isinstance(error, CredentialError) or not error_is_routine(error):
                logger.warning("%s", error)
            outcome.note(condition, error)
            return None


def error_is_routine(error: Exception) -> bool:
    """Say whether an error belongs to the order of things and needs no line in the log."""
    if isinstance(error, NameTakenError):
        return error.reason is Reason.WAITING_FOR_PREDECESSOR
    return isinstance(error, ApiError) and error.namespace_is_terminating


def _component(manifest: Manifest) -> str:
    component: str = manifest["metadata"]["labels"][COMPONENT_LABEL]
    return component


def _concerns(resource: Resource, component: str) -> ConditionType:
    if resource is SECRET:
        return ConditionType.CREDENTIALS_READY
    if resource is POD and component != SCHEDULER:
        return ConditionType.WORKERS_READY
    if resource in (SERVICE, NETWORK_POLICY, POD):
        return ConditionType.SCHEDULER_READY
    return ConditionType.ROUTE_READY


def _grace(child: Child, plan: Plan) -> int | None:
    """Return how long a pod may take to end; `None` is its own time, in which a worker drains."""
    if child.resource is not POD:
        return None
    if child.pod is not None and child.pod.ended:
        return 0
    if plan.stopped or child in plan.blockers:
        return STOP_GRACE_SECONDS
    return None
